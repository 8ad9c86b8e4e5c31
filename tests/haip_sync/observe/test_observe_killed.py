"""Scripts and monitors that are real processes, stopped and killed in every phase; a server that is real as well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support.busy_scripts import SENDER, busy_script, progress_of
from support.observed import Script, script
from support.rude import RudeMonitor
from support.stopwatch import within_a_second
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError, ChannelPaused
from haip_sync.observe import Answer, ExplainChannel, ProgramLink, ResumeChannel, SendTestMessage, list_programs
from haip_sync.testing import DevServer, OnRequest

MONITOR = """
import socket, sys, threading
from haip_sync.observe import ProgramLink, ResumeChannel, SendTestMessage, list_programs
from support.turnstiles import PATIENCE_S, until
phase, path = sys.argv[1:]
link = ProgramLink(path, monitor="victim")
if phase == "greeting":
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
elif phase != "listing":
    link.connect(PATIENCE_S)
if phase in ("idle", "flooded", "command"):
    link.attach("sender", every_event=phase == "flooded")
    until(lambda: link.snapshot("sender"))
if phase == "flooded":
    until(lambda: link.drain("sender", 100).events)
if phase == "command":
    link.ask(SendTestMessage(channel="SYSTEM", text="x"), "sender")
    until(lambda: link.snapshot("sender").channels["SYSTEM"].waiting)
print("ready", flush=True)
while phase == "listing":
    list_programs()
while phase == "detaching":
    link.attach("sender")
    until(lambda: link.snapshot("sender"))
    link.detach("sender")
while phase == "flooded":
    link.drain("sender", 1000)
threading.Event().wait()
"""

PHASES = ("listing", "greeting", "attaching", "idle", "flooded", "command", "detaching")

KNOWN_BY_NAME = ("attaching", "idle", "flooded", "command", "detaching")
"""Phases in which the script knows who is at the other end."""


# ---- The script stops or dies ------------------------------------------------------------------------------------------------


@contextmanager
def script_for(phase: str) -> Iterator[Script]:
    """Run a script that sends all the time, or one that stands still."""
    if phase == "idle":
        with DevServer(agent=False, policy=OnRequest(), initial_credits=3) as server, script(SENDER, server.url, "4") as running:
            running.path("blocked")
            yield running
    else:
        with busy_script(floods=phase == "flooded") as running:
            yield running


def begin(phase: str, link: ProgramLink) -> Future[Answer] | None:
    """Bring a link into the phase in which the script is about to stop; return the answer that is waited for, if one is."""
    if phase in {"listing", "greeting"}:
        return None
    link.connect(PATIENCE_S)
    if phase == "attaching":
        return None
    link.attach("sender", every_event=phase == "flooded")
    until(lambda: link.snapshot("sender"))
    if phase == "flooded":
        until(lambda: any(isinstance(event, ChannelPaused) for event in link.drain("sender", 1_000).events))
    if phase == "command":
        future = link.ask(SendTestMessage(channel="SYSTEM", text="x"), "sender")
        until(lambda: link.snapshot("sender").channels["SYSTEM"].waiting)
        return future
    return None


def go_on(phase: str, link: ProgramLink) -> None:
    """Do what there is to do in a phase, now that the script does nothing. Nothing of it waits."""
    if phase == "attaching":
        link.attach("sender")
    elif phase == "detaching":
        link.detach("sender")
    elif phase != "listing":
        link.start()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_stopped_is_silent_within_a_second_and_heard_again_within_one(phase: str) -> None:
    """The monitor says so and goes on, what it asked for is done later, and the list names the program."""
    with script_for(phase) as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            future = begin(phase, link)
            os.kill(running.pid, signal.SIGSTOP)
            go_on(phase, link)
            if phase != "listing":
                within_a_second(lambda: link.trouble is not None and "has not answered for" in link.trouble, running.pid)
                assert (link.has_ended, link.silent_s is not None) == (False, True)
            within_a_second(
                lambda: [(info.pid, info.state) for info in list_programs()] == [(running.pid, "no answer")], running.pid
            )
            assert future is None or not future.done()
            os.kill(running.pid, signal.SIGCONT)
            link.start()
            within_a_second(lambda: link.trouble is None and link.clients(), running.pid)
            assert link.silent_s is None
            if future is not None:  # it had waited for credit, and had a second for that
                assert "test message" in future.result(PATIENCE_S).text or not future.result().ok
            link.attach("sender")
            within_a_second(lambda: link.snapshot("sender"), running.pid)
            assert link.call(ExplainChannel(channel="USER"), "sender").ok
        finally:
            link.close()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_killed_is_over_for_the_monitor_within_a_second(phase: str, place: Path) -> None:
    """With what is known of a command that was under way; its socket is gone after the next list."""
    with script_for(phase) as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            future = begin(phase, link)
            if phase not in {"idle", "flooded", "command"}:
                os.kill(running.pid, signal.SIGSTOP)  # so that nothing of what follows is answered
                go_on(phase, link)
            with ThreadPoolExecutor() as pool:
                listing = pool.submit(list_programs)
                running.process.kill()
                within_a_second(listing.done, running.pid)
            assert [info.trouble for info in listing.result()] in ([], ["it ended before it answered"], [None])
            if phase != "listing":
                within_a_second(lambda: link.has_ended, running.pid)
                assert "ended" in str(link.trouble)
            if future is not None:
                with pytest.raises(AttachError, match="whether the command was carried out is not known"):
                    future.result(0)
        finally:
            link.close()
        running.process.wait(PATIENCE_S)
        within_a_second(lambda: list_programs() == [], running.pid)
        assert list(place.iterdir()) == []


# ---- The monitor stops or dies -----------------------------------------------------------------------------------------------


class Log:
    """What a script logs, line by line, as it comes. The script is killed at the end of the `with` block."""

    def __init__(self, running: Script) -> None:
        self._running = running
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(running.process.stderr,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.process.kill()
        self._thread.join(PATIENCE_S)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append(line)

    def says(self, *words: str) -> bool:
        """Return whether a line has all of these words."""
        return any(all(word in line for word in words) for line in self.lines)


@contextmanager
def victim(phase: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a monitor in a process of its own, in this phase."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MONITOR, phase, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as monitor:  # noqa: S603
        try:
            assert monitor.stdout.readline().strip() == "ready"
            yield monitor
        finally:
            monitor.kill()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_monitor_that_is_stopped_or_killed_costs_the_script_nothing(phase: str, how: signal.Signals) -> None:
    """The script goes on sending, another monitor is served meanwhile, and within a second the log says what happened."""
    with (
        busy_script(floods=phase == "flooded", level="DEBUG") as running,
        Log(running) as log,
        ProgramLink(running.path()) as link,
    ):
        link.attach("sender")
        progress_of(link)
        with victim(phase, running.path()) as monitor:
            os.kill(monitor.pid, how)
            within_a_second(progress_of(link), running.pid)
            if phase in KNOWN_BY_NAME and how is signal.SIGKILL:
                within_a_second(lambda: log.says("'victim'", "is gone: it has ended, or left"), running.pid)
            elif phase in KNOWN_BY_NAME:
                within_a_second(lambda: log.says("'victim'", "has said nothing for", "is it stopped?"), running.pid)
                os.kill(monitor.pid, signal.SIGCONT)
                within_a_second(lambda: log.says("'victim'", "is heard again"), running.pid, monitor.pid)
            assert link.call(ResumeChannel(channel="USER"), "sender").ok
            within_a_second(progress_of(link), running.pid)
            assert link.trouble is None


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
