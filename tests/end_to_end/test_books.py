"""The whole road: many threads, a real file, a server that grants in small steps; at the end all books agree."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest
from support.books import check_books
from support.turnstiles import PATIENCE_S

from haip_sync import FlowControlConfig, HAIPClient
from haip_sync.testing import CreditPolicy, DevServer, Generous, Paced, RenewAtHalf, Stingy

THREADS = 8
LINES = 2_000


def real_lines() -> list[str]:
    """Return the first lines of the files of this project, in a fixed order: real text, empty lines and all."""
    root = Path(__file__).parents[2]
    files = sorted([*root.glob("haip_sync/**/*.py"), *root.glob("haip_sync/**/*.md")])
    lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")]
    assert len(lines) >= LINES
    return lines[:LINES]


@pytest.mark.parametrize(
    ("policy", "window", "config"),
    [
        (Generous(), 3, FlowControlConfig()),
        (RenewAtHalf(idle=0.002), 5, FlowControlConfig()),
        (RenewAtHalf(idle=0.002), 10, FlowControlConfig(max_credits=4)),
    ],
    ids=["a window of three, frame by frame", "at half", "more than the cap"],
)
def test_eight_threads_send_a_real_file(policy: CreditPolicy, window: int, config: FlowControlConfig) -> None:
    """Every line arrives once, each thread's lines in order, without a breach; at the end the books are equal."""
    lines = real_lines()
    with (
        DevServer(policy=policy, initial_credits=window, agent=False) as server,
        HAIPClient(server.url, flow_control=config) as client,
    ):

        def send(number: int) -> None:
            for index in range(number, len(lines), THREADS):
                client.send_text_message("USER", f"{number}:{lines[index]}", timeout=90)

        with ThreadPoolExecutor(THREADS) as pool:
            for future in [pool.submit(send, number) for number in range(THREADS)]:
                future.result(100)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == LINES, timeout=PATIENCE_S)
        arrived: dict[str, list[str]] = {str(number): [] for number in range(THREADS)}
        for text in session.texts("USER"):
            number, _, line = text.text.partition(":")
            arrived[number].append(line)
        assert arrived == {str(number): lines[number::THREADS] for number in range(THREADS)}
        assert (session.books("USER").breaches, session.out_of_order) == (0, 0)
        check_books(client, session)


@pytest.mark.parametrize("policy", [Paced(500), Stingy(0.005)], ids=["paced", "stingy"])
def test_slow_grants_are_never_overdrawn(policy: CreditPolicy) -> None:
    """Policies that trickle credit see no breach, and the texts arrive whole and in order."""
    with DevServer(policy=policy, initial_credits=3, agent=False) as server, HAIPClient(server.url) as client:
        for number in range(60):
            client.send_text_message("USER", f"line {number}", timeout=PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 60, timeout=PATIENCE_S)
        assert [text.text for text in session.texts("USER")] == [f"line {number}" for number in range(60)]
        assert session.books("USER").breaches == 0


def test_a_conversation_both_ways() -> None:
    """While threads send, the agent's answers stream in within what we grant, and both directions' books agree."""
    with DevServer(policy=RenewAtHalf(idle=0.002), initial_credits=6, agent=True) as server, HAIPClient(server.url) as client:
        answers: list[str] = []

        def read() -> None:
            while len(answers) < 100:
                message = client.receive(PATIENCE_S)
                if message.type == "MESSAGE_END":
                    answers.append(message.payload["message_id"])

        with ThreadPoolExecutor(3) as pool:
            reading = pool.submit(read)
            sending = [pool.submit(lambda: [client.send_text_message("USER", "hello") for _ in range(50)]) for _ in range(2)]
            for future in (*sending, reading):
                future.result(PATIENCE_S * 3)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.books("AGENT").to_client.balance == 10, timeout=PATIENCE_S)
        assert len(set(answers)) == 100
        window = client.connection_state().channels["AGENT"]
        assert (window.receive_window, window.receive_window_bytes) == (10, session.books("AGENT").to_client.balance_bytes)
        check_books(client, session)


def _interrupt_the_library(_signal: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt as Python does, but only inside haip_sync: the test's own bookkeeping is not on trial."""
    while frame is not None:
        if "/_pytest/" in frame.f_code.co_filename:
            return  # its hook, which says what Python swallowed in the library
        if "/haip_sync/" in frame.f_code.co_filename:
            raise KeyboardInterrupt
        frame = frame.f_back


# One may strike in a weak reference's callback inside of the library's call, where Python swallows it and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs Unix signals")
def test_interrupts_lose_nothing_that_was_admitted() -> None:
    """Hundreds of SIGINTs at the sending main thread: frames stay whole, seq has no hole, books agree, the next send works."""
    stop = threading.Event()
    interrupted = 0

    def pester() -> None:
        while not stop.wait(0.001):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, _interrupt_the_library)
    pest = threading.Thread(target=pester)
    with DevServer(policy=RenewAtHalf(idle=0.002), initial_credits=4, agent=False) as server, HAIPClient(server.url) as client:
        try:
            pest.start()
            while interrupted < 300:
                try:
                    client.send_text_message("USER", "interrupted", timeout=PATIENCE_S)
                except KeyboardInterrupt:
                    interrupted += 1
        finally:
            stop.set()
            pest.join(PATIENCE_S)
            signal.signal(signal.SIGINT, before)
        client.send_text_message("USER", "the end", timeout=PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: any(text.text == "the end" for text in s.texts("USER")), timeout=PATIENCE_S)
        assert interrupted == 300
        assert [int(frame.seq) for frame in session.received] == list(range(1, session.received_count + 1))
        assert session.books("USER").breaches == 0
        check_books(client, session)
