"""TLS under two threads, for long: what an `ssl.SSLSocket` does not survive.

By default 40 connections of 2,000 messages each way. `HAIP_TLS_MESSAGES=20000` makes it 40 connections of 20,000.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import pytest
from support.certificates import client_context, server_context
from support.lean_peer import lean_peer
from support.turnstiles import PATIENCE_S

from haip_sync import FlowControlConfig, HAIPClient
from haip_sync.testing import DevServer, RenewAtHalf

RUNS = 40
MESSAGES = int(os.environ.get("HAIP_TLS_MESSAGES", "2000"))
WINDOW = 10
_LEAST_PER_SECOND = 100
# The peer repeats everything, whatever we have taken of it.
_OPEN = FlowControlConfig(initial_credits=1 << 40, initial_credit_bytes=1 << 50, max_credits=1 << 40, max_credit_bytes=1 << 50)


@pytest.mark.timeout(PATIENCE_S + RUNS * MESSAGES / _LEAST_PER_SECOND)
def test_two_threads_on_one_connection(capsys: pytest.CaptureFixture[str]) -> None:
    """One thread sends as a small window allows, another receives as much: nothing is lost, torn or turned round."""
    began_s = time.monotonic()
    with lean_peer(server_context(), window=WINDOW) as peer:
        for _ in range(RUNS):
            run(peer.url, peer.numbers)
    took_s = time.monotonic() - began_s
    with capsys.disabled():
        rate = RUNS * MESSAGES / took_s
        sys.stdout.write(f" {RUNS} TLS connections, {MESSAGES} messages each way, window {WINDOW}: {rate:.0f} messages/s\n")


def run(url: str, arrived: list[list[int]]) -> None:
    """Send and receive over one connection, and check both directions."""
    received: list[int] = []
    with HAIPClient(url, ssl=client_context(), flow_control=_OPEN) as client:

        def receive() -> None:
            while len(received) < MESSAGES:
                received.append(client.receive(PATIENCE_S).payload["number"])

        receiver = threading.Thread(target=receive)
        receiver.start()
        for number in range(MESSAGES):
            update = {"call_id": "soak", "status": "RUNNING", "number": number, "filler": "x" * (number % 400)}
            client.send("USER", "TOOL_UPDATE", update, timeout=PATIENCE_S)
        receiver.join(PATIENCE_S)
    assert client.connection_state().last_error is None
    assert received == arrived[-1] == list(range(MESSAGES))


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
def test_interrupts_lose_and_repeat_nothing_that_was_admitted() -> None:
    """Hundreds of SIGINTs at a thread that sends through TLS: frames stay whole, seq has no hole, and the next send works."""
    stop = threading.Event()
    interrupted = 0

    def pester() -> None:
        while not stop.wait(0.001):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, _interrupt_the_library)
    pest = threading.Thread(target=pester)
    server = DevServer(policy=RenewAtHalf(idle=0.002), initial_credits=40, agent=False, ssl_context=server_context())
    with server, HAIPClient(server.url, ssl=client_context()) as client:
        try:
            pest.start()
            while interrupted < 300:
                try:
                    client.send_text_message("USER", "interrupted " * 500, timeout=PATIENCE_S)
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
        assert {text.text for text in session.texts("USER")} == {"interrupted " * 500, "the end"}
        assert session.books("USER").breaches == 0
