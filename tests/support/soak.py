"""Threads that send at random, and one that grants and pauses at random. Each keeps an account of what it did."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Final, Literal

from haip_sync import (
    FlowControlError,
    HAIPClient,
    NotSentError,
    PartialSendError,
    PendingSend,
    SendReceipt,
)
from haip_sync.testing import DevServer
from support.turnstiles import PATIENCE_S

CHANNELS: Final = ("USER", "AUDIO_IN", "notes")
_FILLER: Final = 'ein "Zitat", ein \\ und ein\tTab; grün, 漢字, 😀, \x01.\n' * 400
_LONGEST_PART: Final = 300
_MOST_QUEUED: Final = 3

Fate = Literal["pending", "sent", "nothing", "partial", "waited"]


def dice(seed: str) -> random.Random:
    """Return chance that can be repeated."""
    return random.Random(seed)  # noqa: S311 - no secret is made of it


@dataclass
class Attempt:
    """One call of a sender's, and what came of it. `key` travels as the thread_id of each of its frames."""

    key: str
    channel: str
    kind: Literal["text", "queued", "frame", "binary", "wait"]
    content: str = ""
    fate: Fate = "pending"
    receipt: SendReceipt | None = None
    parts: int = 0
    error: str = ""
    pending: PendingSend | None = None

    @property
    def blocks(self) -> bool:
        """Whether the call came back only when it was written."""
        return self.kind != "queued"

    def sent(self, receipt: SendReceipt) -> None:
        self.fate, self.receipt = "sent", receipt

    def failed(self, error: FlowControlError | NotSentError | PartialSendError) -> None:
        self.error = type(error).__name__
        self.fate, self.parts = ("partial", error.parts_sent) if isinstance(error, PartialSendError) else ("nothing", 0)


class Sender(threading.Thread):
    """Sends whatever the dice say until `over` is set, and keeps an account of it."""

    def __init__(self, client: HAIPClient, number: int, seed: int, over: threading.Event) -> None:
        super().__init__(name=f"sender-{number}", daemon=True)
        self.attempts: list[Attempt] = []
        self.raised: BaseException | None = None
        self._client = client
        self._over = over
        self._dice = dice(f"{seed}/{number}")
        self._queued: list[Attempt] = []

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._try_something()
            while self._queued:
                self._settle_oldest()
        except BaseException as exc:
            self.raised = exc

    def _try_something(self) -> None:
        kinds = ("text", "queued", "frame", "binary", "wait")
        kind = self._dice.choices(kinds, (9, 3, 4, 1, 2))[0]
        attempt = Attempt(f"{self.name}/{len(self.attempts)}", self._dice.choice(CHANNELS), kind)
        self.attempts.append(attempt)
        try:
            getattr(self, f"_try_{kind}")(attempt)
        except FlowControlError as exc:
            attempt.failed(exc)
            self._over.wait(self._dice.uniform(0, 0.02))  # whoever is turned away does something else first
        except PartialSendError as exc:
            attempt.failed(exc)

    def _try_text(self, attempt: Attempt) -> None:
        attempt.content = self._text(attempt.key)
        timeout = self._timeout()
        attempt.sent(self._client.send_text_message(attempt.channel, attempt.content, thread_id=attempt.key, timeout=timeout))

    def _try_queued(self, attempt: Attempt) -> None:
        attempt.content = self._text(attempt.key)
        attempt.pending = self._client.enqueue_text_message(attempt.channel, attempt.content, thread_id=attempt.key)
        self._queued.append(attempt)
        if self._dice.random() < 0.3 and attempt.pending.cancel():
            self._queued.remove(attempt)
            self._settle(attempt)
            assert attempt.fate == "nothing"
        if len(self._queued) > _MOST_QUEUED:
            self._settle_oldest()

    def _try_frame(self, attempt: Attempt) -> None:
        attempt.content = self._text(attempt.key)[:_LONGEST_PART]
        payload = {"call_id": attempt.key, "tool": "soak", "params": {"text": attempt.content}}
        timeout = self._timeout()
        attempt.sent(self._client.send(attempt.channel, "TOOL_CALL", payload, thread_id=attempt.key, timeout=timeout))

    def _try_binary(self, attempt: Attempt) -> None:
        attempt.content = attempt.key * self._dice.randint(1, 20)
        data = attempt.content.encode()
        attempt.sent(
            self._client.send(
                attempt.channel,
                "AUDIO_CHUNK",
                {"message_id": attempt.key, "mime": "audio/opus"},
                thread_id=attempt.key,
                binary=data,
                timeout=self._timeout(),
            )
        )

    def _try_wait(self, attempt: Attempt) -> None:
        needed, needed_bytes = self._dice.randint(0, 12), self._dice.randint(0, 4_000)
        self._client.wait_for_credits(attempt.channel, messages=needed, byte_credits=needed_bytes, timeout=self._timeout())
        attempt.fate = "waited"

    def _settle_oldest(self) -> None:
        self._settle(self._queued.pop(0))

    @staticmethod
    def _settle(attempt: Attempt) -> None:
        """Wait for the outcome of a queued text."""
        assert attempt.pending is not None
        try:
            attempt.sent(attempt.pending.result(PATIENCE_S * 2))
        except (NotSentError, PartialSendError) as exc:
            attempt.failed(exc)

    def _text(self, key: str) -> str:
        """Return a text of its own: mostly short, sometimes far longer than any balance, now and then empty."""
        length = self._dice.choices((0, self._dice.randint(1, 300), self._dice.randint(3_000, 12_000)), (1, 10, 2))[0]
        begin = self._dice.randrange(len(_FILLER) - length)
        return f"{key} {_FILLER[begin : begin + length]}" if length else ""

    def _timeout(self) -> float | None:
        """Return how long to wait: for ever, not at all, almost not at all, a while."""
        some = (None, 0.0, self._dice.uniform(1e-6, 0.005), self._dice.uniform(0.005, 0.5))
        return self._dice.choices(some, (6, 2, 3, 4))[0]


class Chaos(threading.Thread):
    """Grants at random, pauses and resumes from both sides, clears queues; looks at the books meanwhile."""

    def __init__(self, server: DevServer, client: HAIPClient, seed: int, over: threading.Event) -> None:
        super().__init__(name="chaos", daemon=True)
        self.grants = 0
        self.raised: BaseException | None = None
        self._server = server
        self._client = client
        self._over = over
        self._dice = dice(f"{seed}/chaos")

    def run(self) -> None:
        try:
            while not self._over.wait(self._dice.uniform(0, 0.003)):
                self._do_something(self._dice.choice(CHANNELS))
        except BaseException as exc:
            self.raised = exc

    def _do_something(self, channel: str) -> None:
        deeds = (
            self._grant,
            self._server.pause,
            self._server.resume,
            self._client.pause_channel,
            self._client.resume_channel,
            self._client.clear_queue,
            self._look,
        )
        self._dice.choices(deeds, (80, 2, 8, 2, 8, 1, 5))[0](channel)

    def _grant(self, channel: str) -> None:
        messages, byte_credits = self._dice.randint(0, 10), self._dice.randint(0, 6_000)
        if messages or byte_credits:
            self._server.grant(channel, messages, byte_credits)
            self.grants += 1

    def _look(self, channel: str) -> None:
        """Check that the client's books balance at this very moment."""
        now = self._client.connection_state().channels[channel]
        assert now.granted == now.sent_messages + now.credits + now.set_aside
        assert now.granted_bytes == now.sent_bytes + now.byte_credits + now.set_aside_bytes
        assert 0 <= now.credits <= now.max_credits
        assert 0 <= now.byte_credits <= now.max_credit_bytes

    def relent(self) -> None:
        """Lift every pause and grant plenty: whoever still waits may go. Call it again until nobody does."""
        for channel in CHANNELS:
            self._client.resume_channel(channel)
            self._server.resume(channel)
            self._server.grant(channel, 100, 100_000)
