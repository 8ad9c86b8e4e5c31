"""Scripts and monitors that are real processes, stopped and killed in every phase; a server that is real as well."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.observed import Script, meeting_place, script
from support.rude import RudeMonitor
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError, ChannelPaused, CommandError
from haip_sync.observe import ExplainChannel, ProgramLink, RequestCredits, ResumeChannel, list_programs
from haip_sync.testing import DevServer, Generous, OnRequest

SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print(number)
"""
BUSY = """
import sys, threading
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    def stir():
        while True:
            client.pause_channel("AGENT")
            client.resume_channel("AGENT")
    threading.Thread(target=stir, daemon=True).start()
    while True:
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
"""
MONITOR = """
import sys, time, socket
from haip_sync.observe import ProgramLink, ResumeChannel
phase, path = sys.argv[1:]
if phase == "hello":
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
else:
    link = ProgramLink(path)
    link.connect(20)
    if phase == "events":
        link.attach("sender", every_event=True)
        while not link.drain("sender", 100).events:
            time.sleep(0.01)
    if phase == "command":
        for _ in range(16):
            link.ask(ResumeChannel(channel="USER"), "sender")
print("ready")
while True:
    time.sleep(0.01)
    if phase == "events":
        link.drain("sender", 1000)
"""
PHASES = ("hello", "idle", "command", "events")


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants three messages, and more when it is asked."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as running:
        yield running


@contextmanager
def busy_script() -> Iterator[Script]:
    """Run a script that sends all the time, and pauses and resumes another channel."""
    with DevServer(agent=False, policy=Generous()) as server, script(BUSY, server.url, mode="steer") as running:
        yield running


def progress_of(link: ProgramLink) -> Callable[[], bool]:
    """Return what tells whether the script has sent more than when this was called."""
    until(lambda: link.snapshot("sender"))

    def sent() -> int:
        state = link.snapshot("sender")
        return 0 if state is None else state.channels["USER"].sent_messages

    before = sent()
    return lambda: sent() > before


# ---- What it is for ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_a_blocked_script_is_found_explained_and_freed(server: DevServer) -> None:
    """From another process: the list names channel and reason, a request for credit lets it go on, and its log says who did."""
    with script(SENDER, server.url, "5", mode="steer") as running:
        assert [running.line() for _ in range(3)] == ["0", "1", "2"]
        path = running.path()
        until(lambda: list_programs()[0].state == "blocked")
        (info,) = list_programs()
        assert (info.pid, info.worst.name, info.worst.worst, info.worst.cause) == (running.pid, "sender", "USER", "messages")
        assert "needs 1 message of credit and has 0" in info.worst.why
        with ProgramLink(path, monitor="night shift") as link:
            explanation = link.call(ExplainChannel(channel="USER"), "sender").explanation
            assert (explanation.cause, explanation.missing) == ("messages", 1)
            link.call(RequestCredits(channel="USER", messages=2, reason="3 a.m."), "sender")
            assert [running.line() for _ in range(2)] == ["3", "4"]
        log = running.errors()
    assert f"uid {os.geteuid()}, pid {os.getpid()}, 'night shift'" in log
    assert "RequestCredits of USER on client 'sender'" in log
    assert "3 a.m." in log


@pytest.mark.usefixtures("place")
def test_a_script_that_may_only_be_watched_is_not_steered(server: DevServer) -> None:
    """It is seen with its reason, and a command is refused with how to allow it; it stays where it is."""
    with script(SENDER, server.url, "5") as running:
        with ProgramLink(running.path()) as link:
            with pytest.raises(CommandError, match="HAIP_SYNC_MONITOR=steer") as caught:
                link.call(RequestCredits(channel="USER", messages=2), "sender")
            assert caught.value.refused
            link.attach("sender")
            until(lambda: link.snapshot("sender") and link.snapshot("sender").channels["USER"].waiting_for == "messages")
        running.process.kill()
        assert "RequestCredits" not in running.errors()


@pytest.mark.usefixtures("place")
def test_the_past_is_there_from_the_start(server: DevServer) -> None:
    """Who attaches later sees seconds from before."""
    with script(SENDER, server.url, "5") as running:
        path = running.path()
        link = ProgramLink(path)
        with link:
            pasts: list[float] = []

            def reaches_back() -> bool:
                with ProgramLink(path) as late:
                    late.attach("sender")
                    until(lambda: late.snapshot("sender"))
                    pasts[:] = [sample.time_s for sample in late.take_past("sender")]
                return len(pasts) >= 3

            until(reaches_back)
            assert pasts == sorted(pasts)
            assert pasts[-1] - pasts[0] > 1.5


@pytest.mark.usefixtures("place")
def test_a_script_that_is_stuck_in_connecting_is_seen() -> None:
    """Its client is offered from the moment that it begins to connect."""
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        script(SENDER, f"ws://127.0.0.1:{deaf.getsockname()[1]}", "1") as running,
    ):
        running.path("not connected")
        (info,) = list_programs()
    assert (info.state, info.clients[0].connected) == ("not connected", False)


# ---- The script stops or dies ------------------------------------------------------------------------------------------------


def begin(phase: str, path: Path, link: ProgramLink) -> None:
    """Bring a link into a phase."""
    if phase == "hello":
        link.start()
        return
    link.connect(PATIENCE_S)
    if phase == "events":
        link.attach("sender")
        until(lambda: any(isinstance(event, ChannelPaused) for event in link.drain("sender", 1_000).events))


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_stopped_is_named_and_heard_again_when_it_goes_on(phase: str) -> None:
    """The monitor goes on meanwhile, what it asked for is done later, and the list is not held up."""
    with busy_script() as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            if phase != "hello":
                begin(phase, path, link)
            os.kill(running.pid, signal.SIGSTOP)
            if phase == "hello":
                begin(phase, path, link)
            future = link.ask(ResumeChannel(channel="USER"), "sender") if phase == "command" else None
            until(lambda: link.trouble is not None and "is it stopped?" in link.trouble)
            (info,) = list_programs()
            assert (info.pid, info.state) == (running.pid, "no answer")
            os.kill(running.pid, signal.SIGCONT)
            until(lambda: link.trouble is None)
            if future is not None:
                assert future.result(PATIENCE_S).ok
            link.attach("sender")
            until(progress_of(link))
        finally:
            link.close()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_killed_is_over_for_the_monitor(phase: str, place: Path) -> None:
    """At once, with what is known of a command that was under way; its socket is gone after the next list."""
    with busy_script() as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            if phase == "hello":
                os.kill(running.pid, signal.SIGSTOP)  # so that the greeting is not answered
            begin(phase, path, link)
            if phase == "command":
                os.kill(running.pid, signal.SIGSTOP)
                future = link.ask(ResumeChannel(channel="USER"), "sender")
                until(lambda: link.trouble is not None)
            running.process.kill()
            until(lambda: link.has_ended)
            if phase == "command":
                with pytest.raises(AttachError, match="whether the command was carried out is not known"):
                    future.result(PATIENCE_S)
        finally:
            link.close()
        running.process.wait(PATIENCE_S)
        assert path.exists()
        assert list_programs() == []
        assert list(place.iterdir()) == []


# ---- The monitor stops or dies -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_monitor_that_is_stopped_or_killed_costs_the_script_nothing(phase: str, how: signal.Signals) -> None:
    """The script goes on sending, and another monitor is served meanwhile."""
    with busy_script() as running:
        path = running.path()
        with subprocess.Popen([sys.executable, "-c", MONITOR, phase, str(path)], stdout=subprocess.PIPE, text=True) as monitor:  # noqa: S603
            try:
                assert monitor.stdout.readline().strip() == "ready"
                os.kill(monitor.pid, how)
                with ProgramLink(path) as link:
                    link.attach("sender")
                    for _ in range(3):
                        until(progress_of(link))
                    assert link.call(ResumeChannel(channel="USER"), "sender").ok
                    assert link.trouble is None
            finally:
                monitor.kill()


@pytest.mark.usefixtures("place")
def test_twenty_that_connect_and_say_nothing_hold_up_nobody() -> None:
    """Neither the script nor a monitor that has something to say."""
    with busy_script() as running:
        path = running.path()
        silent = [RudeMonitor(path) for _ in range(20)]
        try:
            with ProgramLink(path) as link:
                link.attach("sender")
                until(progress_of(link))
                assert all(monitor.is_sent_away() for monitor in silent)
                until(progress_of(link))
        finally:
            for monitor in silent:
                monitor.sock.close()


# ---- Forks -------------------------------------------------------------------------------------------------------------------

FORKING = """
import os, sys, time
from haip_sync import HAIPClient
client = HAIPClient(sys.argv[1], token="x", name="parents")
client.connect()
sys.stdin.readline()
if os.fork():
    os.write(1, b"parent\\n")  # in one piece: the other process writes there too
    while True:
        time.sleep(1)
os.write(1, f"child {os.getpid()}\\n".encode())
sys.stdin.readline()
own = HAIPClient(sys.argv[1], token="x", name="childs")
own.connect()
print("connected")
sys.stdin.readline()
"""


@pytest.mark.usefixtures("place")
def test_a_forked_child_answers_on_a_socket_of_its_own(server: DevServer) -> None:
    """It opens one with its first client, and holds none of the parent's, so that a monitor hears of the parent's end."""
    with script(FORKING, server.url) as running, ProgramLink(running.path()) as link:
        running.tell("fork")
        said = sorted(running.line() for _ in range(2))
        child = int(said[0].removeprefix("child "))
        try:
            assert [info.pid for info in list_programs()] == [running.pid]
            running.tell("connect")
            assert running.line() == "connected"
            until(lambda: len(list_programs()) == 2)
            names = {info.pid: [line.name for line in info.clients] for info in list_programs()}
            assert names == {running.pid: ["parents"], child: ["childs"]}
            assert link.trouble is None
            running.process.kill()
            until(lambda: link.has_ended)
            until(lambda: [info.pid for info in list_programs()] == [child])
        finally:
            os.kill(child, signal.SIGKILL)
