"""Which programs are listed, and what is said of those that do not answer or have ended."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.observed import StandIn, served
from support.rude import RudeProgram, summary, wait_for_the_end, welcome
from support.turnstiles import PATIENCE_S

from haip_sync import AttachError
from haip_sync.observe import ProgramInfo, ProgramLink, list_programs


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
