"""A text that is written piece by piece: it arrives as it is written, whole or without END, and holds its channel meanwhile."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    PartialSendError,
    TextStream,
    UnsupportedByPeerError,
)
from haip_sync.testing import DevServer, Generous, Never

Start = Callable[..., tuple[DevServer, HAIPClient]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server and a client that knows it."""
    with ExitStack() as stack:

        def start_both(**server: Any) -> tuple[DevServer, HAIPClient]:
            running = stack.enter_context(DevServer(agent=False, **server))
            client = stack.enter_context(HAIPClient(running.url))
            running.wait_for_session()
            return running, client

        yield start_both


def types(server: DevServer, channel: str = "USER") -> list[str]:
    """Return the types of the frames that arrived on a channel."""
    return [frame.type for frame in server.wait_for_session().received if frame.channel == channel]


def test_pieces_arrive_as_they_are_written(start: Start) -> None:
    """START is there before the first piece, each piece before the next, and the whole is the pieces in a row."""
    server, client = start()
    with client.text_stream("USER", author="me") as out:
        until(lambda: types(server) == ["MESSAGE_START"])
        for number, piece in enumerate(("grüß ", "", 'dich\n"', "😀"), 1):
            out.write(piece, timeout=PATIENCE_S)
            parts = number if number < 2 else number - 1
            until(lambda parts=parts: types(server) == ["MESSAGE_START"] + ["MESSAGE_PART"] * parts)
        assert client.connection_state().channels["USER"].waiting_for == "writer"
    session = server.wait_for_session()
    session.wait_for(lambda s: s.text_count == 1)
    text = session.texts("USER")[0]
    assert (text.text, text.author, text.message_id) == ('grüß dich\n"😀', "me", out.message_id)
    receipt = out.close()
    assert (receipt, receipt.message_id) == (out.close(), out.message_id)
    with pytest.raises(ConnectionClosedError, match="takes no more"):
        out.write("late")
    assert session.books("USER").breaches == 0


def test_nothing_of_the_channel_passes_an_open_text(start: Start) -> None:
    """Frames and texts that came later wait for its end; other channels do not."""
    server, client = start(policy=None)
    with ThreadPoolExecutor(1) as pool:
        with client.text_stream("USER") as out:
            late = pool.submit(client.send, "USER", "TOOL_CALL", {"call_id": "1", "tool": "t"}, timeout=PATIENCE_S)
            until(lambda: client.connection_state().channels["USER"].waiting == 2)
            assert "a text that somebody streams holds USER" in str(client.explain("USER"))
            with pytest.raises(FlowControlError, match="came first"):
                client.send_text_message("USER", "at once", timeout=0)
            client.send_text_message("AGENT", "elsewhere", timeout=PATIENCE_S)
            out.write("a", timeout=PATIENCE_S)
            out.write("b", timeout=PATIENCE_S)
        late.result(PATIENCE_S)
    until(lambda: types(server) == ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_PART", "MESSAGE_END", "TOOL_CALL"])


def test_a_piece_waits_for_credit_and_a_deadline_takes_it_back(start: Start) -> None:
    """Without credit a piece waits; past its deadline nothing of it is sent, then or later, and the text goes on."""
    server, client = start(policy=Never(), initial_credits=2)
    with client.text_stream("USER") as out:
        out.write("one", timeout=PATIENCE_S)
        with pytest.raises(FlowControlTimeout, match="Nothing of the piece was sent; the text is still open") as caught:
            out.write("never", timeout=0.05)
        assert caught.value.cause == "messages"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(out.write, "two", timeout=PATIENCE_S)
            until(lambda: client.connection_state().channels["USER"].waiting_for == "messages")
            server.grant("USER", 2)
            waiting.result(PATIENCE_S)
    server.wait_for_session().wait_for(lambda s: s.text_count == 1)
    assert server.wait_for_session().texts("USER")[0].text == "onetwo"


def test_a_piece_that_is_longer_than_the_credit_says_how_much_went(start: Start) -> None:
    """A piece that cannot go whole within its deadline is a PartialSendError; what was not sent is never sent."""
    server, client = start(policy=Never(), initial_credits=9, initial_credit_bytes=1_500)
    with pytest.raises(PartialSendError, match="A part of the piece was sent"), client.text_stream("USER") as out:
        out.write("x" * 5_000, timeout=0.05)
    server.grant("USER", 20, 100_000)
    client.send_text_message("USER", "next", timeout=PATIENCE_S)
    session = server.wait_for_session()
    session.wait_for(lambda s: s.text_count == 1)
    assert [text.text for text in session.texts("USER")] == ["next"]
    assert types(server)[:3] == ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_START"]


def test_an_exception_ends_it_without_an_end(start: Start) -> None:
    """After an exception in the block the peer sees no END, and the next text may go."""
    server, client = start()
    streams: list[TextStream] = []

    def fail_inside() -> None:
        with client.text_stream("USER") as out:
            streams.append(out)
            out.write("half", timeout=PATIENCE_S)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    client.send_text_message("USER", "next", timeout=PATIENCE_S)
    server.wait_for_session().wait_for(lambda s: s.text_count == 1)
    assert types(server) == ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]
    streams[0].abandon()


def test_a_forgotten_text_holds_nobody_up(start: Start) -> None:
    """A stream that nobody holds any more lets the next go."""
    _, client = start()
    streams = [client.text_stream("USER")]
    streams[0].write("half", timeout=PATIENCE_S)
    streams.clear()
    gc.collect()
    client.send_text_message("USER", "next", timeout=PATIENCE_S)


def test_the_end_of_the_connection_is_told_to_the_writer(start: Start) -> None:
    """A writer that waits is told how many parts are out when the client closes; so is one that comes later."""
    _, client = start(policy=Never(), initial_credits=2)
    out = client.text_stream("USER")
    out.write("one", timeout=PATIENCE_S)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(out.write, "two", timeout=PATIENCE_S)
        until(lambda: client.connection_state().channels["USER"].waiting_for == "messages")
        client.close()
        with pytest.raises(PartialSendError) as caught:
            waiting.result(PATIENCE_S)
    assert caught.value.parts_sent == 1
    with pytest.raises(PartialSendError):
        out.write("three", timeout=PATIENCE_S)
    out.abandon()


def test_who_waits_to_write_is_told_that_the_text_was_given_up(start: Start) -> None:
    """abandon() in one thread ends the wait of another; so it does in a signal handler of the thread that waits."""
    _, client = start(policy=Never(), initial_credits=1)
    out = client.text_stream("USER")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(out.write, "one", timeout=None)
        until(lambda: client.connection_state().channels["USER"].waiting_for == "messages")
        out.abandon()
        with pytest.raises(PartialSendError, match=r"given up by another call\. Its START and 0 part\(s\) were sent") as caught:
            waiting.result(PATIENCE_S)
    assert caught.value.parts_sent == 0
    assert client.connection_state().channels["USER"].backlog == 0


def test_a_deadline_covers_the_wait_for_another_writer(start: Start) -> None:
    """Who writes while another thread does comes back when it said, whichever of the two it waits for; nothing is closed."""
    _, client = start(policy=Never(), initial_credits=1)
    out = client.text_stream("USER")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(out.write, "one", timeout=1.0)
        until(lambda: client.connection_state().channels["USER"].waiting_for == "messages")
        for timeout, kind in ((0, FlowControlError), (0.05, FlowControlTimeout)):
            with pytest.raises(kind, match="another thread writes") as caught:
                out.write("two", timeout=timeout)
            assert (type(caught.value), caught.value.cause) == (kind, "behind_others")
        began_s = time.monotonic()
        with pytest.raises(FlowControlTimeout):
            out.write("three", timeout=1.5)  # the first gives up in the middle of it
        assert time.monotonic() - began_s == pytest.approx(1.5, abs=0.4)
        with pytest.raises(FlowControlTimeout):
            first.result(PATIENCE_S)
    out.abandon()


def test_an_interrupted_writer_leaves_the_turn_to_others(start: Start) -> None:
    """Wherever an interrupt strikes a write, another thread may end the text."""
    _, client = start(policy=Generous(), initial_credits=50)
    with ThreadPoolExecutor(1) as pool:

        def run(place: int) -> bool:
            out = client.text_stream("USER", timeout=PATIENCE_S)
            was_reached, raised = interrupted_at(place, lambda: out.write("one", timeout=PATIENCE_S))
            assert raised is None or isinstance(raised, KeyboardInterrupt)
            pool.submit(out.close, timeout=PATIENCE_S).result(PATIENCE_S)
            return was_reached

        assert sum(1 for _ in every_interrupt(run)) > 50
    user = client.connection_state().channels["USER"]
    assert (user.backlog, user.is_conserved) == (0, True)


def test_an_interrupt_of_who_opens_a_text_holds_nobody_up(start: Start) -> None:
    """Wherever it strikes, before START has its place or behind that, the channel is free, and a note says what was sent."""
    _, client = start(policy=Generous(), initial_credits=50)
    kept: list[BaseException] = []  # with their tracebacks, as an interactive session keeps the last one

    def run(place: int) -> bool:
        was_reached, raised = interrupted_at(place, partial(client.text_stream, "USER", timeout=PATIENCE_S))
        kept.extend([] if raised is None else [raised])
        if not was_reached:
            return False
        client.send_text_message("USER", "next", timeout=PATIENCE_S)
        return was_reached

    assert sum(1 for _ in every_interrupt(run)) > 50
    notes = [note for raised in kept for note in getattr(raised, "__notes__", ())]
    assert any("nothing was sent" in note for note in notes)
    assert any("its START and 0 part(s) were sent, no END follows" in note for note in notes)
    assert all(len(getattr(raised, "__notes__", ())) <= 1 for raised in kept)
    gc.collect()  # the text of the last round, which was opened
    until(lambda: client.connection_state().channels["USER"].backlog == 0)
    assert client.connection_state().channels["USER"].is_conserved


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_an_interrupt_on_the_way_out_of_the_block_holds_nobody_up(start: Start, error: Exception | None) -> None:
    """Wherever it strikes once the way out has begun, the text is over, though whoever was interrupted still has it."""
    _, client = start(policy=Generous(), initial_credits=50)
    kept: list[TextStream] = []

    def run(place: int) -> bool:
        out = client.text_stream("USER", timeout=PATIENCE_S)
        kept.append(out)
        leave = partial(out.__exit__, None if error is None else type(error), error, None)
        was_reached, _ = interrupted_at(place + 1, leave)  # before the first line nothing can be done
        client.send_text_message("USER", "next", timeout=PATIENCE_S)
        return was_reached

    assert sum(1 for _ in every_interrupt(run)) > 20


@pytest.mark.parametrize("ends", ["abandon", "close", "write"])
def test_a_signal_handler_does_not_wait_for_the_write_that_it_interrupts(start: Start, ends: str) -> None:
    """Giving up works there, at every place; what would have to wait for the write raises DeadlockError."""
    _, client = start(policy=Generous(), initial_credits=50)
    places = {"abandon": 0, "close": 0, "write": 0}

    def run(place: int) -> bool:
        out = client.text_stream("USER", timeout=PATIENCE_S)

        def handler() -> None:
            with suppress(DeadlockError):
                {"abandon": out.abandon, "close": out.close, "write": lambda: out.write("two", timeout=None)}[ends]()
                places[ends] += 1

        was_reached, raised = interrupted_at(place, lambda: out.write("one", timeout=PATIENCE_S), handler)
        assert raised is None or (ends != "write" and isinstance(raised, (ConnectionClosedError, PartialSendError)))
        out.abandon()
        return was_reached

    assert sum(1 for _ in every_interrupt(run)) > 50
    assert places[ends] > 0
    client.send_text_message("USER", "next", timeout=PATIENCE_S)
    user = client.connection_state().channels["USER"]
    assert (user.backlog, user.is_conserved) == (0, True)


def test_what_cannot_be_streamed_is_refused(start: Start) -> None:
    """A wrong argument, a start without credit, a full line at timeout 0 and a peer of another dialect leave nothing behind."""
    _, client = start(policy=Never(), initial_credits=0)
    with pytest.raises(FlowControlError, match="Nothing was sent"):
        client.text_stream("USER", timeout=0)
    with pytest.raises(FlowControlTimeout, match="Nothing was sent"):
        client.text_stream("USER", timeout=0.01)
    assert client.connection_state().channels["USER"].backlog == 0
    _, other = start()
    with other.text_stream("USER") as out, pytest.raises(ConfigError, match="text must be a string"):
        out.write(5)  # type: ignore[arg-type]
    _, third = start(dialect="transaction")
    with pytest.raises(UnsupportedByPeerError, match="inside a transaction only"):
        third.text_stream("USER")


def test_a_stream_says_what_it_is(start: Start) -> None:
    """Its repr names the text, the channel and its state."""
    _, client = start()
    with client.text_stream("USER") as out:
        assert isinstance(out, TextStream)
        assert repr(out) == f"<TextStream {out.message_id} on USER: open>"
    assert repr(out).endswith("over>")
