"""Users apart: a real second user on either side, and places that are not ours alone. Each is told in a line, nobody stops."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from support.observed import Script, meeting_place, script
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError
from haip_sync.observe import ProgramLink, list_programs, places_passed_over, rendezvous
from haip_sync.testing import DevServer

pytestmark = pytest.mark.skipif(not rendezvous.has_unix_sockets(), reason="there are no Unix sockets here")
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become a second user: run as root to test it"
)

NOBODY: Final = 65_534
LOGS: Final = """
import logging, os, sys, tempfile
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
from haip_sync import HAIPClient, AttachError
from haip_sync.observe import ProgramLink, list_programs
from haip_sync.observe.peers import Peer
from haip_sync.observe import offering, service
"""
WARM: Final = """
with HAIPClient(sys.argv[1], token="x", monitor=False) as client:
    client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
"""
"""Before a script becomes somebody else, who may not read the files, everything that it needs is imported."""
BECOME: Final = f"""
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
"""
SENDER: Final = """
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    print("connected", flush=True)
    for line in sys.stdin:
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print("sent", flush=True)
"""
LOOKER: Final = """
path, others = sys.argv[1:]
for peer_of in ({}, {"peer_of": lambda sock: Peer(None, None)}):
    print([info.trouble for info in list_programs(path, **peer_of)][0])
    link = ProgramLink(path, **peer_of)
    try:
        link.connect()
    except AttachError as error:
        print(error)
    link.close()
"""
"""Looks twice: as it is, and as one that takes everybody for a friend, so that the program itself has to refuse."""


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server with credit enough."""
    with DevServer(agent=False) as running:
        yield running


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


def goes_on(running: Script) -> bool:
    """Have the script send once more; return whether it did."""
    running.tell("go on")
    return running.line() == "sent"


def last_words(running: Script) -> str:
    """End a script, and return what it logged."""
    assert running.process.stdin is not None
    return running.errors()


def socket_in(directory: Path) -> Path:
    """Wait for a program's socket in a directory, and return its path."""
    until(lambda: list(directory.glob("*.sock")))
    (path,) = directory.glob("*.sock")
    return path


@needs_root
def test_another_users_monitor_is_refused_and_the_script_goes_on(place: Path, server: DevServer) -> None:
    """By the system's word on who is there, though directory and socket were opened to everybody meanwhile; our own comes in."""
    with script(LOGS + SENDER, server.url) as running:
        assert running.line() == "connected"
        path = socket_in(place)
        place.chmod(0o755)
        path.chmod(0o666)
        code = LOGS + BECOME + LOOKER
        looked = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-c", code, str(path), ""],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        untrusted = f"{path} is not to be trusted: it belongs to user 0, and this process to user {NOBODY}"
        refused = f"the script refused: this script lets no stranger in: it belongs to user {NOBODY}, and this process to user 0"
        said = looked.stdout.splitlines()
        assert [line.split(": only")[0] for line in said] == [untrusted, untrusted, refused, refused]
        assert goes_on(running)
        with ProgramLink(path) as link:
            link.attach("sender")
            until(lambda: link.snapshot("sender"))
        logged = last_words(running)
    assert logged.count(f"a monitor was turned away: it belongs to user {NOBODY}") == 4, "each of its four attempts"
    assert "Traceback" not in logged


@needs_root
def test_another_users_program_is_not_attached_to_and_the_rest_is_listed(place: Path, server: DevServer) -> None:
    """It could take our commands for its own ends: what stands behind its socket is named, and our own programs are there."""
    theirs = Path(tempfile.mkdtemp(prefix="haip-"))
    os.chown(theirs, NOBODY, NOBODY)
    become = f"os.environ['HAIP_SYNC_RUNTIME_DIR'] = {str(theirs)!r}\n{WARM}{BECOME}"
    with script(LOGS + become + SENDER, server.url) as strange, script(LOGS + SENDER, server.url) as ours:
        assert (strange.line(), ours.line()) == ("connected", "connected")
        their_path, our_path = socket_in(theirs), ours.path()
        smuggled = place / their_path.name
        os.link(their_path, smuggled)
        found = {info.path: info.trouble for info in list_programs()}
        why = f"is not to be trusted: it belongs to user {NOBODY}, and this process to user 0"
        assert found.keys() == {our_path, smuggled}
        assert found[our_path] is None
        assert why in (found[smuggled] or "")
        with pytest.raises(AttachError, match=why), ProgramLink(their_path):
            pass
        assert goes_on(strange)
        assert goes_on(ours)
    their_path.unlink(missing_ok=True)
    theirs.rmdir()


def opened(place: Path) -> tuple[Path, str]:
    """Return a directory that others may look into."""
    place.chmod(0o750)
    return place, "is open to other users (mode 0750): chmod 700 it"


def linked(place: Path) -> tuple[Path, str]:
    """Return a link to a directory of ours."""
    (place / "real").mkdir(mode=0o700)
    (place / "link").symlink_to(place / "real")
    return place / "link", "is no directory; remove it, or name another with HAIP_SYNC_RUNTIME_DIR"


def occupied(place: Path) -> tuple[Path, str]:
    """Return a file."""
    (place / "file").touch()
    return place / "file", "cannot be used: File exists"


def long(place: Path) -> tuple[Path, str]:
    """Return a directory whose sockets would have too long a path."""
    return place / ("x" * 100), "name a shorter directory with HAIP_SYNC_RUNTIME_DIR"


def strange(place: Path) -> tuple[Path, str]:
    """Return a directory of somebody else's."""
    os.chown(place, NOBODY, NOBODY)
    return place, f"belongs to user {NOBODY}, not to us: name another with HAIP_SYNC_RUNTIME_DIR"


@pytest.mark.parametrize("make", [opened, linked, occupied, long, pytest.param(strange, marks=needs_root)])
def test_a_place_that_cannot_be_used_costs_the_script_one_line(
    place: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], tuple[Path, str]]
) -> None:
    """Which directory, what is wrong with it, and what helps; the script works as if nobody had asked for monitors."""
    directory, why = make(place)
    monkeypatch.setenv("HAIP_SYNC_RUNTIME_DIR", str(directory))
    with script(LOGS + SENDER, server.url) as running:
        assert running.line() == "connected"
        assert goes_on(running)
        logged = last_words(running)
    (line,) = [line for line in logged.splitlines() if "no monitor can attach to this process" in line]
    assert line.startswith(f"WARNING no monitor can attach to this process: {directory}")
    assert line.endswith(why)
    assert "Traceback" not in logged


@pytest.mark.parametrize("make", [opened, linked, pytest.param(strange, marks=needs_root)])
def test_a_monitor_says_which_place_it_passes_over(
    place: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], tuple[Path, str]]
) -> None:
    """An empty list would let an operator look for the fault in the script; a place that is not there is no news."""
    assert places_passed_over() == []
    directory, why = make(place)
    monkeypatch.setenv("HAIP_SYNC_RUNTIME_DIR", str(directory))
    assert places_passed_over() == [f"{directory} {why}"]
    monkeypatch.setenv("HAIP_SYNC_RUNTIME_DIR", str(place / "missing"))
    assert places_passed_over() == []


@needs_root
def test_a_session_directory_of_another_users_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo -E haip-monitor --list` finds none of the user's programs: it says which directory it does not look into."""
    os.chown(place, NOBODY, NOBODY)
    monkeypatch.delenv("HAIP_SYNC_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    said = f"{place}, which XDG_RUNTIME_DIR names, belongs to user {NOBODY}, not to us: it is passed over"
    assert said in places_passed_over()


@pytest.mark.parametrize("mode", [None, 0o500])
def test_without_a_session_directory_that_can_be_used_the_next_place_is_taken(
    place: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    """One that is not there (None), and one that nothing can be made in; the monitor looks into the next place too."""
    session, temporary = place / "session", place / "temporary"
    temporary.mkdir()
    place.chmod(0o755)
    temporary.chmod(0o777)
    if mode is not None:
        session.mkdir(mode=mode)
    is_root = os.geteuid() == 0
    if is_root and mode is not None:
        os.chown(session, NOBODY, NOBODY)
    monkeypatch.delenv("HAIP_SYNC_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.setenv("TMPDIR", str(temporary))
    finds = f"\ntempfile.tempdir = {str(temporary)!r}\nprint(*rendezvous.directories(), sep=os.pathsep, flush=True)\n"
    code = LOGS + "from haip_sync.observe import rendezvous\n" + (WARM + BECOME if is_root else "") + finds + SENDER
    with script(code, server.url) as running:
        first, *others = map(Path, running.line().split(os.pathsep))
        assert running.line() == "connected"
        assert (first.parent == session) == (mode is not None)
        taken = next(each for each in (first, *others) if each.parent != session)
        until(lambda: list(taken.glob(f"{running.pid}-*.sock")))
        assert taken.stat().st_mode & 0o777 == 0o700
        assert goes_on(running)
        assert "no monitor can attach" not in last_words(running)
