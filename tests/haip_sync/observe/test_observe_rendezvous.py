"""Where programs and monitors meet: a directory of the user's own, or none."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import meeting_place

from haip_sync.observe import rendezvous
from haip_sync.observe.rendezvous import NoRendezvousError


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


def test_directory_and_socket_are_the_users_alone(place: Path) -> None:
    """The directory is made with mode 0700, the socket has 0600 and our pid in its name, and is inherited by no child."""
    sock, path = rendezvous.listen([place / "made"])
    with sock:
        assert stat.S_IMODE((place / "made").stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert rendezvous.pid_of(path) == os.getpid()
        assert list(rendezvous.sockets(place / "made")) == [path]
        assert not sock.get_inheritable()


def test_a_directory_open_to_others_is_refused(place: Path) -> None:
    """Whoever else could put a socket there could be taken for one of our programs."""
    place.chmod(0o755)
    with pytest.raises(NoRendezvousError, match=r"0755\): chmod 700"):
        rendezvous.listen([place])
    assert list(rendezvous.sockets(place)) == []


def test_somebody_elses_directory_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where we could write into it; nor is it looked into."""
    (place / "1-a.sock").touch()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(NoRendezvousError, match=f"belongs to user {owner}"):
        rendezvous.listen([place])
    assert list(rendezvous.sockets(place)) == []


def test_a_link_to_a_directory_is_refused(place: Path) -> None:
    """A link may be turned elsewhere between the look and the use."""
    (place / "real").mkdir(mode=0o700)
    (place / "link").symlink_to(place / "real")
    with pytest.raises(NoRendezvousError, match="is no directory"):
        rendezvous.listen([place / "link"])


def test_the_next_place_is_taken_where_the_first_cannot_be(place: Path) -> None:
    """And where none can be, the error says why of each."""
    (place / "file").touch()
    (place / "open").mkdir(mode=0o777)
    (place / "open").chmod(0o777)
    sock, path = rendezvous.listen([place / "file", place / "open", place / "good"])
    sock.close()
    assert path.parent == place / "good"
    with pytest.raises(NoRendezvousError, match=r"file.*open"):
        rendezvous.listen([place / "file", place / "open"])


def test_a_path_too_long_for_a_socket_is_said_in_words(place: Path) -> None:
    """The system's own error for it names neither the path nor the limit."""
    with pytest.raises(NoRendezvousError, match="name a shorter directory with HAIP_SYNC_RUNTIME_DIR"):
        rendezvous.listen([place / ("x" * 120)])
    assert os.listdir(place / ("x" * 120)) == []


def test_places_are_those_of_the_environment(place: Path) -> None:
    """The directory that is named is the only one; otherwise the session's comes before the temporary one."""
    assert rendezvous.directories({"HAIP_SYNC_RUNTIME_DIR": "/named"}) == [Path("/named")]
    found = rendezvous.directories({"XDG_RUNTIME_DIR": str(place)})
    assert found[0] == place / "haip-sync"
    assert found[-1].name == f"haip-sync-{os.geteuid()}"
    assert rendezvous.directories({"XDG_RUNTIME_DIR": "/is/not/there"})[0].name != "haip-sync"


def test_only_sockets_with_a_pid_are_programs(place: Path) -> None:
    """What else lies in the directory is left alone, and nothing but a socket is ever removed."""
    for name in ("notes.txt", "x-1.sock", "12.sock", "7-a.new"):
        (place / name).touch()
    assert list(rendezvous.sockets(place)) == []
    rendezvous.remove(place / "12.sock")
    assert (place / "12.sock").exists()
    rendezvous.remove(place / "gone.sock")


def test_a_socket_that_a_process_died_over_is_removed(place: Path) -> None:
    """Once it is so old that nobody can still be making it."""
    old, young = place / "1-old.new", place / "2-young.new"
    for path in (old, young):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    os.utime(old, (1.0, 1.0))
    assert list(rendezvous.sockets(place)) == []
    assert list(place.iterdir()) == [young]


def test_a_socket_refuses_only_when_nobody_is_behind_it(place: Path) -> None:
    """A monitor removes what refuses: a program must never be seen between its socket's name and its readiness."""
    sock, path = rendezvous.listen([place])
    rendezvous.connected(path).close()
    sock.close()
    with pytest.raises(ConnectionRefusedError) as caught:
        rendezvous.connected(path)
    assert rendezvous.is_dead(caught.value)
    assert not rendezvous.is_dead(BlockingIOError())


def test_a_session_directory_that_is_somebody_elses_is_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo -E` leaves the variable of another user, who could put anything in the place of what we make there."""
    environment = {"XDG_RUNTIME_DIR": str(place)}
    assert place / "haip-sync" in rendezvous.directories(environment)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    assert place / "haip-sync" not in rendezvous.directories(environment)
