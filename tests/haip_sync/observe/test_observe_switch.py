"""How a client is offered to monitors: an argument, an environment variable, and nothing else."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import meeting_place
from support.turnstiles import PATIENCE_S, until

import haip_sync
from haip_sync import AttachError, ConfigError, ConnectError, HAIPClient
from haip_sync.observe import ProgramLink, list_programs, offering, rendezvous
from haip_sync.testing import DevServer

URL = "ws://localhost:1"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a meeting place of the test's own; no client is offered by the environment."""
    monkeypatch.delenv("HAIP_SYNC_MONITOR", raising=False)
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server."""
    with DevServer(agent=False) as running:
        yield running


@pytest.mark.parametrize("monitor", [1, "yes", "watch", "", 2.0, b"steer"])
def test_nonsense_is_refused(monitor: object) -> None:
    """As an argument, before anything is opened."""
    with pytest.raises(ConfigError, match="monitor must be"):
        HAIPClient(URL, monitor=monitor)


def test_nonsense_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable; an argument makes it count for nothing."""
    monkeypatch.setenv("HAIP_SYNC_MONITOR", "yes please")
    with pytest.raises(ConfigError, match="HAIP_SYNC_MONITOR must be 1, steer or 0, not 'yes please'"):
        HAIPClient(URL)
    HAIPClient(URL, monitor=False)


@pytest.mark.parametrize(
    ("argument", "variable", "offered", "may_steer"),
    [
        (None, None, False, False),
        (None, "", False, False),
        (None, "0", False, False),
        (None, "1", True, False),
        (None, "steer", True, True),
        (True, None, True, False),
        (True, "steer", True, False),
        ("steer", "1", True, True),
        (False, "steer", False, False),
    ],
)
def test_the_argument_wins_over_the_environment(
    place: Path,
    server: DevServer,
    monkeypatch: pytest.MonkeyPatch,
    argument: bool | str | None,
    variable: str | None,
    offered: bool,
    may_steer: bool,
) -> None:
    """Neither says anything: nobody sees the client."""
    if variable is not None:
        monkeypatch.setenv("HAIP_SYNC_MONITOR", variable)
    with HAIPClient(server.url, name="it", monitor=argument):
        if offered:
            until(lambda: [line.may_steer for info in list_programs() for line in info.clients] == [may_steer])
        else:
            assert list(place.iterdir()) == []
    until(lambda: list(place.iterdir()) == [])


@pytest.mark.usefixtures("place")
def test_a_client_is_offered_from_connect_to_close(server: DevServer) -> None:
    """Not when it is made only, nor once it is closed, but also when connecting failed; all of a process share one socket."""
    HAIPClient(server.url, monitor=True)
    assert list_programs() == []
    failing = HAIPClient(URL, name="failing", monitor=True)
    for _ in range(2):
        with pytest.raises(ConnectError):
            failing.connect()
    with HAIPClient(server.url, name="first", monitor=True):
        until(lambda: [[line.name for line in info.clients] for info in list_programs()] == [["failing", "first"]])
        failing.close()
        failing.close()
        until(lambda: [[line.name for line in info.clients] for info in list_programs()] == [["first"]])
    until(lambda: list_programs() == [])
    with pytest.raises(haip_sync.ConnectionClosedError):
        failing.connect()
    assert list_programs() == []


@pytest.mark.usefixtures("place")
def test_a_client_that_is_let_go_of_is_offered_no_longer() -> None:
    """To be offered keeps no client alive, though nobody closed it."""
    client = HAIPClient(URL, monitor=True)
    with pytest.raises(ConnectError):
        client.connect()
    until(lambda: len(list_programs()) == 1)
    del client
    gc.collect()
    until(lambda: list_programs() == [])


@pytest.mark.usefixtures("place")
def test_a_monitor_hears_the_end_of_a_connection(server: DevServer) -> None:
    """What happened as the client was closed comes before the news that it is offered no longer."""
    client = HAIPClient(server.url, name="it", monitor=True)
    client.connect()
    with HAIPClient(server.url, name="other", monitor=True):
        until(lambda: len(list_programs()) == 1 and len(list_programs()[0].clients) == 2)
        with ProgramLink(list_programs()[0]) as link:
            link.attach("it")
            until(lambda: link.snapshot("it"))
            client.close()
            until(lambda: [line.name for line in link.clients()] == ["other"])
            assert [type(event).__name__ for event in link.drain("it", 100).events] == ["Disconnected"]
            assert not link.snapshot("it").connected


def test_a_system_without_unix_sockets_is_told_not_yet(
    server: DevServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, in the log; the client works, and the list is empty."""
    monkeypatch.setattr(rendezvous, "has_unix_sockets", lambda: False)
    monkeypatch.setattr(offering._place, "has_complained", False)
    for _ in range(2):
        with HAIPClient(server.url, monitor=True) as client:
            assert client.connection_state().connected
    with pytest.raises(AttachError, match="not yet on this system"), ProgramLink("/somewhere.sock"):
        pass
    assert caplog.text.count("not yet on this system") == 1
    assert list_programs() == []


def test_no_place_to_meet_is_no_trouble_of_the_scripts(server: DevServer, place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client works all the same, and the log says what is wrong with the directory."""
    place.chmod(0o777)
    with HAIPClient(server.url, monitor=True) as client:
        until(lambda: "chmod 700" in caplog.text)
        assert client.connection_state().connected


def test_who_wants_no_monitor_loads_none_of_it(server: DevServer) -> None:
    """Nothing of `haip_sync.observe` is imported, and no thread runs for it."""
    code = (
        "import sys, threading, haip_sync\n"
        "with haip_sync.HAIPClient(sys.argv[1], token='x'):\n"
        "    print([name for name in sys.modules if 'observe' in name])\n"
        "    print([thread.name for thread in threading.enumerate() if 'observe' in thread.name])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HAIP_SYNC_MONITOR"}
    root = str(Path(haip_sync.__file__).parents[1])
    ran = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-c", code, server.url],
        env=environment | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ran.stdout.split() == ["[]", "[]"]
