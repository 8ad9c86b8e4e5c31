"""The list of running programs, kept current."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
from support.observed import StandIn, meeting_place, script, served
from support.stopwatch import within_a_second
from support.turnstiles import PATIENCE_S, until

from haip_sync.observe import ProgramInfo
from monitor_app.model.programs import Programs

ONE = ProgramInfo(path=Path("/1"), pid=1, name="one.py", since_s=1.0)
TWO = ProgramInfo(path=Path("/2"), pid=2, name="two.py", since_s=0.5)


class Lister:
    """Lists what the test says."""

    def __init__(self, *found: ProgramInfo) -> None:
        self.found: Sequence[ProgramInfo] = found
        self.asked = threading.Semaphore(0)

    def __call__(self) -> Sequence[ProgramInfo]:
        self.asked.release()
        return self.found


def test_what_comes_changes_and_goes_is_told_once() -> None:
    """Since the last time that somebody asked, however often was looked meanwhile."""
    lister = Lister(ONE)
    programs = Programs(lister)
    programs.look()
    assert programs.take_changes() == ([ONE], [], [])
    lister.found = [msgspec.structs.replace(ONE, name="1.py"), TWO]
    programs.look()
    programs.look()
    assert programs.take_changes() == ([TWO], [lister.found[0]], [])
    assert programs.take_changes() == ([], [], [])
    lister.found = []
    programs.look()
    assert {program.path for program in programs.take_changes().gone} == {ONE.path, TWO.path}


def test_the_oldest_is_first() -> None:
    """So that a program that comes moves none that is there."""
    programs = Programs(Lister(ONE, TWO))
    programs.look()
    assert programs.current() == [TWO, ONE]


def test_a_program_that_does_not_answer_keeps_its_name() -> None:
    """What it said before is what a person knows it by."""
    lister = Lister(ONE)
    programs = Programs(lister)
    programs.look()
    lister.found = [ProgramInfo(path=ONE.path, pid=1, trouble="silent")]
    programs.look()
    (program,) = programs.current()
    assert (program.name, program.state, program.trouble) == ("one.py", "no answer", "silent")
    lister.found = [ONE]
    programs.look()
    assert programs.current() == [ONE]


def test_it_looks_by_itself_until_it_is_closed() -> None:
    """On a thread of its own; closing is idempotent, also where it was never started."""
    lister = Lister()
    programs = Programs(lister, period_s=0.001)
    programs.start()
    programs.start()
    for _ in range(3):
        assert lister.asked.acquire(timeout=PATIENCE_S)
    programs.close()
    programs.close()
    Programs(lister).close()


def test_real_programs_come_and_go() -> None:
    """As the sockets say."""
    with meeting_place() as place:
        programs = Programs(period_s=0.01)
        programs.start()
        try:
            with served(place) as running:
                running.offer(StandIn("sender"))
                until(lambda: [line.name for program in programs.current() for line in program.clients] == ["sender"])
            until(lambda: not programs.current())
        finally:
            programs.close()


def test_a_real_program_that_is_stopped_is_named_so_within_a_second_and_heard_again() -> None:
    """It keeps its name and its client meanwhile; killed, it is gone from the list as soon."""
    code = "import sys; from haip_sync import HAIPClient; HAIPClient(sys.argv[1], name='sender', token='x').connect(timeout=60)"
    with (
        meeting_place(),
        socket.create_server(("127.0.0.1", 0)) as deaf,
        script(code, f"ws://127.0.0.1:{deaf.getsockname()[1]}") as running,
    ):
        programs = Programs()
        programs.start()
        try:

            def seen() -> list[tuple[str, list[str]]]:
                return [(program.state, [line.name for line in program.clients]) for program in programs.current()]

            until(lambda: seen() == [("not connected", ["sender"])])
            os.kill(running.pid, signal.SIGSTOP)
            within_a_second(lambda: seen() == [("no answer", ["sender"])], running.pid)
            os.kill(running.pid, signal.SIGCONT)
            within_a_second(lambda: seen() == [("not connected", ["sender"])], running.pid)
            running.process.kill()
            within_a_second(lambda: seen() == [], running.pid)
        finally:
            programs.close()
