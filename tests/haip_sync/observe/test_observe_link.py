"""The monitor's side: whatever stands behind a socket, the monitor goes on and can say what is wrong."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.observed import CONNECTED, StandIn, served
from support.rude import RudeProgram, wait_for_the_end, welcome
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError, CommandError, ConfigError, HAIPTimeout, WarningRaised
from haip_sync.observe import ExplainChannel, ProgramLink, RequestCredits, ResumeChannel, SendTestMessage, list_programs
from haip_sync.observe.framing import framed
from haip_sync.observe.messages import VERSION, Answer, Ask, Greeting, Past, Refusal, Roster, Snapshot, encoded
from haip_sync.observe.peers import Peer

# ---- One program -------------------------------------------------------------------------------------------------------------


def test_a_link_shows_a_client_and_steers_it(place: Path) -> None:
    """Snapshot, past, events and answers, and nothing more once it is detached."""
    client = StandIn("sender")
    with served(place) as running:
        running.offer(client, may_steer=True)
        with ProgramLink(running.path) as link:
            assert [line.name for line in link.clients()] == ["sender"]
            assert (link.program.pid, link.trouble, link.has_ended) == (os.getpid(), None, False)
            link.attach("sender")
            link.attach("sender")
            until(lambda: link.snapshot("sender"))
            assert link.snapshot("sender").channels == dict(CONNECTED.channels)
            assert link.snapshot_time("sender") == pytest.approx(time.monotonic(), abs=PATIENCE_S)
            assert len(link.take_past("sender")) >= 1
            assert not link.take_past("sender")
            client.emit(*(WarningRaised(time_s=float(n), text="w") for n in range(3)))
            events = []
            until(lambda: events.extend(link.drain("sender", 2).events) or len(events) == 3)
            assert link.call(ResumeChannel(channel="USER"), "sender").text == "USER is resumed"
            link.detach("sender")
            link.detach("sender")
            assert link.snapshot("sender") is None
            until(lambda: not client.listening)
        assert link.has_ended
    assert client.told == [("resume", "USER")]


def test_what_the_client_refuses_is_raised(place: Path) -> None:
    """In the program's words, told apart from what the monitor may not do."""
    with served(place) as running:
        running.offer(StandIn("watched"))
        with ProgramLink(running.path) as link:
            with pytest.raises(CommandError, match="may be watched only") as caught:
                link.call(ResumeChannel(channel="USER"), "watched")
            assert caught.value.refused
            with pytest.raises(CommandError, match="no client 'other'") as caught:
                link.call(ResumeChannel(channel="USER"), "other")
            assert not caught.value.refused
            with pytest.raises(AttachError, match="too large"):
                link.ask(SendTestMessage(channel="USER", text="x" * 70_000), "watched")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda link: link.call(RequestCredits(channel="USER", messages="5"), "sender"),
        lambda link: link.call(RequestCredits(channel="USER", messages=-5), "sender"),
        lambda link: link.call(RequestCredits(channel="USER", messages=2**70), "sender"),
        lambda link: link.call(RequestCredits(channel="\ud800", messages=5), "sender"),
        lambda link: link.call(RequestCredits(channel=None, messages=5), "sender"),
        lambda link: link.call("resume", "sender"),
        lambda link: link.call(RequestCredits(channel="USER", messages=5), None),
        lambda link: link.call(RequestCredits(channel="USER", messages=5), "sender", timeout_s="soon"),
        lambda link: link.connect("soon"),
        lambda link: link.attach(5),
        lambda link: link.detach(b"sender"),
    ],
)
def test_a_wrong_argument_is_refused_here_and_the_link_goes_on(place: Path, wrong: Callable[[Any], object]) -> None:
    """What the program would not understand is not said to it: that would end the link, and nobody would know what was done."""
    with served(place) as running:
        running.offer(StandIn("sender"))
        with ProgramLink(running.path) as link:
            with pytest.raises(ConfigError):
                wrong(link)
            assert not link.has_ended
            assert link.call(ExplainChannel(channel="USER"), "sender", timeout_s=PATIENCE_S).ok


@pytest.mark.parametrize("wrong", [None, 5, b"x.sock", "\ud800", "a\0b", ["x.sock"]])
def test_what_is_no_path_is_refused_by_name(wrong: Any) -> None:
    """A list of programs and a link say which of their arguments is no path of a socket."""
    with pytest.raises(ConfigError, match="each of paths must be the path of a socket"):
        list_programs(wrong)
    with pytest.raises(ConfigError, match="target must be the path of a socket"):
        ProgramLink(wrong)


@pytest.mark.parametrize("wrong", [None, "soon", float("nan"), -1, pytest.param(10**5_000, id="huge")])
def test_programs_are_asked_with_a_number_of_seconds(wrong: Any) -> None:
    """What is none is refused by name."""
    with pytest.raises(ConfigError, match="timeout_s must be"):
        list_programs(timeout_s=wrong)


def test_the_end_of_the_last_client_is_told(place: Path) -> None:
    """The link says that it was the script's own doing."""
    with served(place) as running:
        running.offer(StandIn())
        with ProgramLink(running.path) as link:
            running.close()
            until(lambda: link.has_ended)
            assert "has closed its last client" in link.trouble


def test_a_closed_link_asks_nothing(place: Path) -> None:
    """Before and after it was started, closing is idempotent, and a command says that nothing was asked."""
    with served(place) as running:
        running.offer(StandIn())
        never = ProgramLink(running.path)
        never.close()
        with ProgramLink(running.path) as link:
            pass
        link.close()
        for each in (never, link):
            with pytest.raises(AttachError, match="link is closed"):
                each.call(ExplainChannel(channel="USER"), "client")
            each.start()


# ---- Programs without manners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (welcome(version=VERSION + 1), f"version {VERSION + 1}"),
        (framed(encoded(Refusal(text="go away"))), "go away"),
        (framed(encoded(Roster(clients=()))), "began with Roster"),
        (framed(b"\xff" * 10), "no message"),
        (struct.pack(">I", 1 << 31), "2,147,483,648"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "bytes"),
        (welcome("c")[:-5], "has ended"),
        (b"", "has ended"),
    ],
    ids=["version", "refusal", "no welcome", "garbage", "huge", "HTTP", "truncated", "nothing"],
)
def test_a_program_that_cannot_be_understood_is_named_so(path: Path, said: bytes, why: str) -> None:
    """By the link, which ends, and by the list, which goes on."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)
        sock.sendall(said)
        if (len(said) > 4 and not said.startswith(welcome("c")[:9])) or "version" in why:
            wait_for_the_end(sock)

    with RudeProgram(path, script):
        with pytest.raises(AttachError, match=why), ProgramLink(path):
            pass
        (info,) = list_programs(path, timeout_s=PATIENCE_S)
        assert info.trouble is not None
        assert (info.state, info.pid) == ("no answer", 4_242)


@pytest.mark.parametrize(("said", "why"), [(framed(encoded(Refusal(text="go away"))), "go away"), (b"", "ended")])
def test_a_program_that_refuses_before_it_is_greeted_is_heard(path: Path, said: bytes, why: str) -> None:
    """It turns a stranger away at the door: to greet it then fails, and its reason can be read all the same."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0.0)

        def slammed(_: socket.socket) -> Peer:
            with suppress(BlockingIOError), listener.accept()[0] as sock:  # a link asks again who it is
                sock.sendall(said)
            return Peer(None, None)

        link = ProgramLink(path, peer_of=slammed)
        with pytest.raises(AttachError, match=why):
            link.connect(PATIENCE_S)
        link.close()
        (info,) = list_programs(path, peer_of=slammed)
        assert why in (info.trouble or "")


def test_nonsense_in_the_middle_ends_the_link(path: Path) -> None:
    """And a command that is under way ends with it; what is known of it is said."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)
        sock.sendall(welcome("c"))
        while not isinstance(program.hear(sock), Ask):
            pass
        sock.sendall(framed(b"nonsense"))
        wait_for_the_end(sock)

    with RudeProgram(path, script), ProgramLink(path) as link:
        with pytest.raises(AttachError, match="whether the command was carried out is not known"):
            link.call(ResumeChannel(channel="USER"), "c", timeout_s=PATIENCE_S)
        assert "no message" in link.trouble


def test_a_program_that_says_nothing_is_said_to_be_silent(path: Path) -> None:
    """Before its welcome and after it; a command says that it may still be carried out, and the link recovers."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        hears = program.hear(sock)
        assert isinstance(hears, Greeting)
        until(lambda: link.trouble)
        sock.sendall(welcome("c"))
        while not isinstance(ask := program.hear(sock), Ask):
            pass
        assert goes_on.wait(PATIENCE_S)
        sock.sendall(framed(encoded(Answer(number=ask.number, ok=True, text="late"))))
        wait_for_the_end(sock)

    goes_on = threading.Event()
    link = ProgramLink(path)
    with RudeProgram(path, script):
        try:
            with pytest.raises(AttachError, match="not answered"):
                link.connect(0.05)
            link.connect(PATIENCE_S)
            until(lambda: link.trouble is None)
            future = link.ask(ResumeChannel(channel="USER"), "c")
            with pytest.raises(HAIPTimeout, match="may be carried out all the same"):
                link.call(ResumeChannel(channel="USER"), "c", timeout_s=0.01)
            until(lambda: link.trouble is not None and "is it stopped?" in link.trouble)
            goes_on.set()
            assert future.result(PATIENCE_S).text == "late"
            until(lambda: link.trouble is None)
        finally:
            link.close()


def test_what_was_not_asked_for_is_not_kept(path: Path) -> None:
    """Snapshots of clients that nobody attached to, answers to nothing: they cost no memory and end nothing."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)
        sock.sendall(welcome("c"))
        for said in (
            Snapshot(client="other", now_s=1.0, state=CONNECTED),
            Past(client="other", now_s=1.0, samples=()),
            Answer(number=99, ok=True, text="?"),
            Roster(clients=()),
        ):
            sock.sendall(framed(encoded(said)))
        wait_for_the_end(sock)

    with RudeProgram(path, script), ProgramLink(path) as link:
        until(lambda: link.clients() == ())
        assert link.snapshot("other") is None
        assert not link.take_past("other")
        assert link.drain("other", 9) == ((), 0)
        assert not link.has_ended


def test_a_program_that_reads_nothing_holds_nobody_up(path: Path) -> None:
    """Commands beyond a bound are refused at once; the rest end with the link."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)
        sock.sendall(welcome("c"))
        until(lambda: link.has_ended)

    link = ProgramLink(path)
    with RudeProgram(path, script):
        link.connect(PATIENCE_S)
        futures = [link.ask(SendTestMessage(channel="USER", text="x" * 16_000), "c") for _ in range(64)]
        with pytest.raises(AttachError, match="nothing was asked"):
            link.ask(ResumeChannel(channel="USER"), "c")
        link.close()
        assert all(isinstance(future.exception(0), AttachError) for future in futures)


def test_a_socket_of_another_users_is_not_talked_to(place: Path) -> None:
    """Not a word is said to it: it could be anybody's."""
    heard: list[bytes] = []

    def script(program: RudeProgram, sock: socket.socket) -> None:
        del program
        heard.append(sock.recv(100))

    path = place / "1-x.sock"
    stranger = Peer(1, os.geteuid() + 1)
    with RudeProgram(path, script):
        with pytest.raises(AttachError, match="is not to be trusted"), ProgramLink(path, peer_of=lambda _: stranger):
            pass
        (info,) = list_programs(peer_of=lambda _: stranger)
        assert "is not to be trusted" in info.trouble
        until(lambda: len(heard) >= 2)
    assert set(heard) == {b""}


@pytest.mark.parametrize("name", ["gone.sock", "x" * 120])
def test_a_socket_that_is_not_there_is_named(place: Path, name: str) -> None:
    """By link and list; one that was named explicitly is never removed."""
    with pytest.raises(AttachError, match=name), ProgramLink(place / name):
        pass
    (info,) = list_programs(place / name)
    assert name in info.trouble
