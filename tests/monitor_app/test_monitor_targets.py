"""What `haip-monitor --list` prints, and which client `--attach` means."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from support.observed import CONNECTED, IDLE, StandIn, meeting_place, served
from support.programs import run_program
from support.turnstiles import PATIENCE_S, until

from haip_sync.observe import list_programs
from monitor_app import app
from monitor_app.model.targets import NotFoundError, find

STARVED = msgspec.structs.replace(
    CONNECTED,
    channels={"USER": msgspec.structs.replace(IDLE, waiting_for="messages", backlog=1, waiting=1, oldest_wait=6.2)},
)
LISTING = """
import sys
from monitor_app.app import main
code = main(sys.argv[1:])
assert not any(name.startswith(("PySide6", "shiboken6", "pyqtgraph")) for name in sys.modules)
sys.exit(code)
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a meeting place of the test's own. Its programs are asked with patience: they all answer, on a busy machine late."""
    monkeypatch.setattr("monitor_app.model.targets.NEAR_S", PATIENCE_S)
    monkeypatch.setattr("monitor_app.model.targets.FAR_S", PATIENCE_S)
    with meeting_place() as directory:
        yield directory


@contextmanager
def mute_socket(directory: Path) -> Iterator[Path]:
    """Yield the path of a socket behind which somebody hangs up at once."""
    path = directory / "mute.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        hangs_up = threading.Thread(target=_hang_up, args=(listener,))
        hangs_up.start()
        yield path
        hangs_up.join(PATIENCE_S)


def _hang_up(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.close()


def blocked(name: str) -> StandIn:
    """Return a client that has waited for 6.2 s."""
    client = StandIn(name)
    client.state = STARVED
    return client


def test_the_list_is_printed_without_a_display_and_without_qt(place: Path) -> None:
    """A line for each client: name, pid, since, state, worst channel; code 0, and no window is thought of."""
    with served(place) as running:
        running.offer(blocked("sender"), may_steer=True)
        running.offer(StandIn("other"))
        ended = run_program(LISTING, "--list", HAIP_SYNC_RUNTIME_DIR=str(place))
        path = str(running.path)
    assert (ended.code, ended.err) == (0, "")
    heading, *lines = ended.out.splitlines()
    assert heading.split() == ["NAME", "PID", "SINCE", "CLIENT", "STATE", "WORST", "CHANNEL", "STEERING", "SOCKET"]
    (first, second) = lines
    assert "sender" in first
    assert "blocked  USER waits for messages, 6.2 s  allowed" in first
    assert second.split()[-2:] == ["only", path]
    assert first.split()[-2:] == ["allowed", path], "what SSH is told to forward"
    assert "running" in second


def test_an_empty_list_says_how_to_be_seen_and_ends_with_1(place: Path) -> None:
    """For scripts the code, for people the sentence; a directory that is passed over is named, as it is to who attaches."""
    ended = run_program(LISTING, "--list", HAIP_SYNC_RUNTIME_DIR=str(place))
    assert (ended.code, ended.out) == (1, "")
    assert "HAIP_SYNC_MONITOR=1" in ended.err
    assert "chmod" not in ended.err
    place.chmod(0o755)
    for arguments in (["--list"], ["--attach", "it"]):
        ended = run_program(LISTING, *arguments, HAIP_SYNC_RUNTIME_DIR=str(place))
        assert f"{place} is open to other users (mode 0755): chmod 700 it" in ended.err


def test_where_there_are_no_unix_sockets_the_list_says_not_yet(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As does attaching; nothing is raised."""
    monkeypatch.delattr("socket.AF_UNIX")
    assert app.main(["--list"]) == 1
    assert "not yet on this system" in capsys.readouterr().err
    assert app.main(["--attach", "x"]) == 2
    assert "not yet on this system" in capsys.readouterr().err


def test_a_name_that_would_move_the_cursor_is_shown_as_it_is_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a client calls itself, it stays on its line and sends no terminal anywhere."""
    with served(place) as running:
        running.offer(StandIn("a\x1b[2J\nroot 1 fake\u202e"))
        assert app.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert "a\\x1b[2J\\nroot 1 fake\\u202e" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_a_client_is_found_by_the_programs_name_pid_and_socket_and_by_its_own_name(place: Path) -> None:
    """Of several it is the one that waits longest, with a word about the others, or the one that is named."""
    with served(place) as running:
        for client in (StandIn("calm"), blocked("stuck"), StandIn("late")):
            running.offer(client)
        program = running.service._program
        for wanted in (program.name, str(program.pid), str(running.path)):
            target, client, word = find(wanted)
            assert (target.path, target.name, client) == (running.path, program.name, "stuck")
            assert "3 clients, calm, stuck, late: showing stuck" in word
        assert find("late")[1:] == ("late", "")
        assert find(program.name, "calm")[1:] == ("calm", "")


def test_what_is_not_found_is_told_with_what_is_there(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name, a pid, a socket, a client: each in words, with code 2 and no window."""
    with served(place) as running, served(place) as twin, mute_socket(tmp_path) as mute:
        for each in (running, twin):
            each.offer(StandIn("sender"))
        name = running.service._program.name
        seen = f"{name} (pid {running.service._program.pid})"
        for arguments, words in (
            (["nobody"], f"no script that can be seen is called nobody; what can be seen is {seen}, {seen}"),
            (["1"], "no script that can be seen is process 1; what can be seen is"),
            ([name], f"{name} may be any of {seen}, {seen}: name one by its pid"),
            ([str(place / "none.sock")], "no script can be reached there: No such file"),
            ([str(mute)], f"{mute}: it ended before it answered"),
            ([str(running.path), "--client", "x"], "has no client x; its clients are sender"),
        ):
            assert app.main(["--attach", *arguments]) == 2
            assert words in capsys.readouterr().err
    until(lambda: not list_programs())
    with pytest.raises(NotFoundError, match="no script of yours can be seen: start a script with HAIP_SYNC_MONITOR=1"):
        find("nobody")


def test_somebody_elses_program_is_not_attached_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names both users."""
    with served(place) as running:
        running.offer(StandIn("sender"))
        monkeypatch.setattr("os.geteuid", lambda: 12345)
        with pytest.raises(NotFoundError, match=r"is not to be trusted: it belongs to user \d+, and this process to user 12345"):
            find(str(running.path))
