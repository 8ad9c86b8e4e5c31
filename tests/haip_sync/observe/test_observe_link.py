"""The monitor's side: whatever stands behind a socket, the monitor goes on and can say what is wrong."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.observed import CONNECTED, StandIn, meeting_place, served
from support.rude import RudeProgram, summary, welcome
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError, CommandError, ConfigError, HAIPTimeout, Reconnecting, WarningRaised
from haip_sync.observe import (
    ExplainChannel,
    ProgramInfo,
    ProgramLink,
    RequestCredits,
    ResumeChannel,
    Sample,
    SendTestMessage,
    list_programs,
)
from haip_sync.observe.framing import framed
from haip_sync.observe.messages import VERSION, Answer, Ask, Greeting, Happened, Past, Refusal, Roster, Snapshot, encoded
from haip_sync.observe.peers import Peer
from haip_sync.observe.watched import MOST_EVENTS, Offset, Watched


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def path(place: Path) -> Path:
    """Return the path of a socket that a program might have."""
    return place / "4242-rude.sock"


def wait_for_the_end(sock: socket.socket) -> None:
    """Return once the monitor has left."""
    while sock.recv(4_096):
        pass


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


# ---- The list ----------------------------------------------------------------------------------------------------------------


def test_programs_that_say_nothing_are_listed_as_such(place: Path) -> None:
    """However many they are; those that answer are listed beside them."""
    listeners = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    client = StandIn()
    client.change("USER", waiting_for="bytes", oldest_wait=3.0, waiting=1, backlog=1)
    try:
        for number, listener in enumerate(listeners):
            listener.bind(str(place / f"{number}-silent.sock"))
            listener.listen()
        with served(place) as running:
            running.offer(client)
            (info,) = list_programs(running.path)
            assert info.state == "blocked"
            found = list_programs(timeout_s=0.3)
        assert len(found) == 21
        silent = [info.trouble for info in found if info.path != running_path(found)]
        assert silent == ["it has not answered within 0.3 s: is it stopped?"] * 20
    finally:
        for listener in listeners:
            listener.close()


def running_path(found: list[ProgramInfo]) -> Path:
    """Return the socket of this process."""
    return next(info.path for info in found if info.pid == os.getpid())


def test_all_programs_are_asked_at_once(place: Path) -> None:
    """One after another these would never answer: each waits until every other has been asked too."""
    everybody = threading.Barrier(8)

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)
        everybody.wait(PATIENCE_S)
        sock.sendall(welcome("c"))
        wait_for_the_end(sock)

    with ExitStack() as stack:
        for number in range(8):
            stack.enter_context(RudeProgram(place / f"{number}-rude.sock", script))
        found = list_programs(timeout_s=PATIENCE_S)
    assert [(info.state, info.trouble) for info in found] == [("running", None)] * 8


@pytest.mark.parametrize("is_removed", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_program_that_has_ended_is_named_by_whoever_knew_it(place: Path, is_removed: bool, is_known: bool) -> None:
    """Whether its socket is still there or not; who has only the path of a socket is told what became of that."""
    pid = 4_194_305  # beyond the largest that Linux gives
    path = place / f"{pid}-gone.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    if is_removed:
        path.unlink()
    listed = ProgramInfo(path=path, pid=pid, name="gone.py", since_s=1.0, clients=(summary("c"),))
    link = ProgramLink(listed if is_known else path)
    with pytest.raises(AttachError) as caught, link:
        pass
    if is_known:
        assert str(caught.value) == "gone.py (pid 4194305) has ended"
    else:
        assert str(caught.value).startswith(f"{path}: no script can be reached there: ")


def test_a_program_that_offers_no_client_any_more_is_not_said_to_have_ended(place: Path) -> None:
    """Its process is there, and its socket is not."""
    path = place / f"{os.getpid()}-mine.sock"
    with pytest.raises(AttachError, match=rf"^mine\.py \(pid {os.getpid()}\) offers no client any more$"):
        ProgramLink(ProgramInfo(path=path, pid=os.getpid(), name="mine.py", since_s=1.0)).connect()


def test_a_program_that_was_listed_and_ends_before_it_answers_is_named(path: Path) -> None:
    """The link knows from the list whom it came for."""

    def script(program: RudeProgram, sock: socket.socket) -> None:
        program.hear(sock)

    with RudeProgram(path, script):
        listed = ProgramInfo(path=path, pid=os.getpid(), name="brief.py", since_s=1.0, clients=(summary("c"),))
        with pytest.raises(AttachError, match=r"^brief\.py \(pid \d+\) has ended$"), ProgramLink(listed):
            pass


def test_sockets_that_nobody_is_behind_are_removed(place: Path) -> None:
    """By whoever lists; what is no socket stays, and so does a socket that was named."""
    dead = place / "99999-dead.sock"
    (place / "1-file.sock").touch()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    (info,) = list_programs(dead)
    assert "no script can be reached" in info.trouble
    assert dead.exists()
    assert [info.path.name for info in list_programs()] == []
    assert not dead.exists()
    assert (place / "1-file.sock").exists()


# ---- What is kept ------------------------------------------------------------------------------------------------------------


def test_events_that_nobody_takes_are_counted() -> None:
    """A monitor that stands still keeps the latest, and the number of the others."""
    watched, offset = Watched(every_event=False), Offset()
    for begin in range(0, MOST_EVENTS + 500, 500):
        events = tuple(WarningRaised(time_s=float(n), text="w") for n in range(begin, begin + 500))
        watched.take_in(Happened(client="c", events=events, dropped=1), offset)
    taken = watched.drain(1)
    assert (taken.events[0].time_s, taken.dropped) == (500.0, 500 + 41)
    assert watched.drain(1).dropped == 0


@pytest.mark.parametrize(
    ("heard", "expected_s"),
    [([(100.0, 100.3), (101.0, 101.002)], 0.0), ([(100.0, 7.5), (101.0, 8.1)], -92.9), ([(5.0, 900.0), (6.0, 902.0)], 895.0)],
    ids=["one machine", "a machine that runs longer", "a younger one"],
)
def test_clocks_of_two_machines_are_reckoned_from_one_to_the_other(heard: list[tuple[float, float]], expected_s: float) -> None:
    """On one machine the clock is the same; otherwise the message that came fastest is the nearest to the truth."""
    offset = Offset()
    for theirs_s, ours_s in heard:
        offset.learn(theirs_s, ours_s)
    assert offset.ours(0.0) == pytest.approx(expected_s)


def test_every_time_is_reckoned_onto_our_clock() -> None:
    """Of events, snapshots and the past: when they were, and when an attempt is to come."""
    watched, offset = Watched(every_event=False), Offset()
    offset.learn(100.0, 1_100.0)
    state = msgspec.structs.replace(CONNECTED, phase="offline", next_try_s=102.0, offline_since_s=99.0)
    event = Reconnecting(time_s=99.0, attempt=1, delay_s=3.0, next_try_s=102.0, reason="r")
    watched.take_in(Snapshot(client="c", now_s=100.0, state=state), offset)
    watched.take_in(Happened(client="c", events=(event,), dropped=0), offset)
    watched.take_in(Past(client="c", now_s=100.0, samples=(Sample(98.0, True, {}),)), offset)
    assert watched.state is not None
    assert (watched.state_s, watched.state.next_try_s, watched.state.offline_since_s) == (1_100.0, 1_102.0, 1_099.0)
    (moved,) = watched.drain(1).events
    assert (moved.time_s, moved.next_try_s) == (1_099.0, 1_102.0)
    assert [sample.time_s for sample in watched.take_past()] == [1_098.0]
