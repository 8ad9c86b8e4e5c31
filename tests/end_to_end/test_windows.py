"""Windows of any size, under every policy that grants: nobody hangs, everything arrives once and whole, the books agree."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import pytest
from support.books import check_books

from haip_sync import HAIPClient, HAIPError, PartialSendError, ThresholdStrategy
from haip_sync.testing import Bursty, CreditPolicy, DevServer, Generous, OnRequest, Paced, RenewAtHalf, Session, Stingy

WINDOWS: Final = (*range(1, 13), 20, 100)
BYTES_BEYOND_THE_LEAST: Final = (0, 1, 6, 100, 200, 400, 600, 800)
BYTE_WINDOWS: Final = (1_500, 2_048, 4_096, 12_000, 16_384, 65_536)
POLICIES: Final = (RenewAtHalf(), Generous(), Paced(1_000), Bursty(0.01), Stingy(0.002), OnRequest())
STRICTLY_AT_HALF: Final = RenewAtHalf(idle=3_600)
"""Gives nothing to a client that stands still, as DevServer's own default does after a tenth of a second."""
THREADS: Final = 4
PLENTY: Final = 1 << 20
MESSAGES: Final = 10
SEND_TIMEOUT_S: Final = 20.0
"""Nothing but a hang reaches it."""

# One, six, two, three and four bytes each.
FILLER: Final = "x\x01é漢😀" * 600
LONGEST_CHARACTER: Final = "\x01"
# What one thread sends: lengths of texts in characters; None is a single frame.
Mix = tuple[int | None, ...]
LONG_AND_SHORT: Final[Mix] = (None, 3_000, 0, None, 1, 40)
SHORT: Final[Mix] = (None, 40, 0, None, 1, 40)
TEXTS: Final[Mix] = (3_000, 1, 40, 0, 2_000, 40)


def send_all(client: HAIPClient, channel: str, mix: Mix) -> dict[str, str | None]:
    """Send a mix; return each text, or None for a single frame, by its message id."""
    sent: dict[str, str | None] = {}
    for length in mix:
        if length is None:
            receipt = client.send(channel, "TOOL_LIST", {"tools": []}, timeout=SEND_TIMEOUT_S)
        else:
            receipt = client.send_text_message(channel, FILLER[:length], timeout=SEND_TIMEOUT_S)
        sent[receipt.message_id] = None if length is None else FILLER[:length]
    return sent


def exchange(policy: CreditPolicy, window: int, byte_window: int, mix: Mix) -> None:
    """Let one thread send on one channel and four on another, each from another place of the mix on; check what arrived."""
    server = DevServer(
        policy=policy,
        initial_credits=window,
        initial_credit_bytes=byte_window,
        agent=False,
        dialect="text" if (window + byte_window) % 2 else "message",
    )
    strategy = ThresholdStrategy() if isinstance(policy, OnRequest) else None
    with server, HAIPClient(server.url, strategy=strategy) as client, ThreadPoolExecutor(1 + THREADS) as pool:
        alone = pool.submit(send_all, client, "USER", mix)
        together = [pool.submit(send_all, client, "notes", mix[n:] + mix[:n]) for n in range(THREADS)]
        try:
            sent = {"USER": alone.result(), "notes": {key: text for job in together for key, text in job.result().items()}}
        except HAIPError as exc:
            exc.add_note(f"{policy} with a window of {window} messages and {byte_window} bytes")
            raise
        check_arrived(client, server.wait_for_session(), sent)


def check_arrived(client: HAIPClient, session: Session, sent: dict[str, dict[str, str | None]]) -> None:
    """Check the books and that each text and each frame arrived once, whole, without a breach."""
    for channel, contents in sent.items():
        check_books(client, session, channel)
        texts = [(text.message_id, text.text) for text in session.texts(channel)]
        frames = [(frame.id, None) for frame in session.received if (frame.type, frame.channel) == ("TOOL_LIST", channel)]
        assert len(contents) == len(texts) + len(frames)
        assert contents == dict([*texts, *frames])
        assert session.books(channel).breaches == 0
    assert session.out_of_order == 0


def all_at_once(policy: CreditPolicy, cases: Sequence[tuple[int, int, Mix]]) -> None:
    """Run the cases side by side, each with a server and a client of its own: most of the time they wait."""
    with ThreadPoolExecutor(len(cases)) as pool:
        for job in [pool.submit(partial(exchange, policy), *case) for case in cases]:
            job.result()


@pytest.fixture(scope="module")
def least_bytes() -> int:
    """Return the least byte window that lets any text through: one frame with one character, its seq and ack in five digits."""
    with DevServer(dialect="text", agent=False) as server, HAIPClient(server.url) as client:
        client.send_text_message("notes", LONGEST_CHARACTER)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count)
        return max(frame.cost_bytes for frame in session.received) + 2 * (len("12345") - len("1"))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_any_window_of_messages(policy: CreditPolicy) -> None:
    """Texts and frames get through windows of 1 to 100 messages, whatever the policy, in both dialects."""
    all_at_once(policy, [(window, PLENTY, LONG_AND_SHORT) for window in WINDOWS])


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_any_window_of_bytes(policy: CreditPolicy, least_bytes: int) -> None:
    """Texts and frames get through byte windows from one frame with one character on, whatever the policy."""
    small = [(MESSAGES, least_bytes + more, SHORT) for more in BYTES_BEYOND_THE_LEAST]
    all_at_once(policy, [*small, *((MESSAGES, window, LONG_AND_SHORT) for window in BYTE_WINDOWS)])


def test_a_peer_that_renews_strictly_at_half(least_bytes: int) -> None:
    """At a peer that waits for us to spend half of its window no text waits for ever for credit for all of it."""
    windows = [(window, PLENTY, LONG_AND_SHORT) for window in WINDOWS]
    # Below two frames of a byte window one frame can be larger than what is left of more than half; nothing can split it.
    byte_windows = [(MESSAGES, window, TEXTS) for window in (2 * least_bytes, 800, 900, 1_000, 4_096, 16_384, 65_536)]
    all_at_once(STRICTLY_AT_HALF, windows + byte_windows)


def test_the_least_window_is_one_frame_with_one_character() -> None:
    """A text gets through a byte window of its largest frame, and stops, saying so, where that is one byte too large."""
    with DevServer(dialect="text", agent=False) as server, HAIPClient(server.url) as client:
        client.send_text_message("notes", LONGEST_CHARACTER)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count)
        largest = max(frame.cost_bytes for frame in session.received)
    for byte_window in (largest, largest - 1):
        server = DevServer(policy=Generous(), dialect="text", initial_credit_bytes=byte_window, agent=False)
        with server, HAIPClient(server.url) as client:
            if byte_window == largest:
                client.send_text_message("notes", LONGEST_CHARACTER, timeout=SEND_TIMEOUT_S)
            else:
                with pytest.raises(PartialSendError, match=f"needs {largest} bytes"):
                    client.send_text_message("notes", LONGEST_CHARACTER, timeout=0.5)
