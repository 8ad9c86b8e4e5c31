"""What the library logs: when it is asked to, without secrets, and in bounds."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
from support.turnstiles import PATIENCE_S

from haip_sync import HAIPClient
from haip_sync.one_line import on_one_line
from haip_sync.runtime.peer_log import PeerLog
from haip_sync.testing import DevServer

PROGRAM = """
import sys
import haip_sync
from haip_sync import HAIPClient
from haip_sync.testing import DevServer
exec(sys.argv[1])
with DevServer(token="secret-token") as server, HAIPClient(server.url, token="secret-token") as client:
    client.send_text_message("USER", "secret-text", timeout=30)
    client.receive(30)
"""


def stderr_of(wanted: str | None, before: str = "") -> str:
    """Return what a program with one client writes to stderr."""
    environment = {"PYTHONPATH": ":".join(sys.path)} | ({} if wanted is None else {"HAIP_SYNC_LOG": wanted})
    command = [sys.executable, "-c", PROGRAM, before]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    return done.stderr


def test_debug_shows_every_frame_and_no_secret() -> None:
    """HAIP_SYNC_LOG=debug writes each frame's type, channel, seq and bytes to stderr, never its payload or the token."""
    lines = stderr_of("debug")
    assert "DEBUG haip_sync.wire: sending HAI on SYSTEM, seq 1, " in lines
    assert "DEBUG haip_sync.wire: received HAI on SYSTEM, seq 1, " in lines
    assert "sending MESSAGE_PART on USER, seq 3, " in lines
    assert "secret" not in lines


@pytest.mark.parametrize("wanted", [None, "", "info"])
def test_less_is_written_when_less_is_wanted(wanted: str | None) -> None:
    """Without the variable nothing is written; with info no frames are."""
    assert "haip_sync.wire" not in stderr_of(wanted)


def test_an_unknown_level_is_told_of() -> None:
    """A level that does not exist names those that do, and warnings are logged."""
    assert "HAIP_SYNC_LOG='loud' is none of debug, info, warning, error: warnings are logged" in stderr_of("Loud ")
    assert stderr_of("x" * 5_000).count("x") < 50


def test_an_application_that_logs_keeps_its_own_handlers() -> None:
    """Where the application has configured logging, before or after, what is asked for goes there, and nowhere else."""
    mine = "import logging; logging.basicConfig(format='MINE %(message)s')"
    lines = stderr_of("debug", mine)
    assert "MINE sending HAI on SYSTEM" in lines
    assert "DEBUG" not in lines
    lines = stderr_of("debug", f"client = HAIPClient('ws://localhost:1'); {mine}")
    assert "MINE sending HAI on SYSTEM" in lines
    assert "DEBUG" not in lines


def test_a_level_of_the_applications_own_stands() -> None:
    """Who has set a level for haip_sync gets no more than that, whatever the environment says."""
    lines = stderr_of("debug", "import logging; logging.getLogger('haip_sync').setLevel(logging.INFO)")
    assert "INFO haip_sync.connection: connected to ws://127.0.0.1:" in lines
    assert ", dialect message" in lines
    assert "sending" not in lines


def test_the_wire_is_logged_under_no_lock(caplog: pytest.LogCaptureFixture) -> None:
    """A handler may take the connection's lock: lines are written by the thread that runs listeners."""
    seen: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(client._connection.rooms.dispatcher.is_current())
            client.connection_state()

    handler = Handler()
    logger = logging.getLogger("haip_sync.wire")
    with caplog.at_level(logging.DEBUG, "haip_sync.wire"), DevServer() as server:
        client = HAIPClient(server.url)
        logger.addHandler(handler)
        try:
            client.connect(PATIENCE_S)
            client.send_text_message("USER", "hello", timeout=PATIENCE_S)
            client.close()
        finally:
            logger.removeHandler(handler)
    assert len(seen) >= 5
    assert all(seen)


class Sink:
    """Keeps lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, logger: logging.Logger, level: int, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def now_s() -> list[float]:
    """Return the time, to be changed."""
    return [0.0]


@pytest.fixture
def clock(now_s: list[float]) -> Callable[[], float]:
    """Return a clock that shows it."""
    return lambda: now_s[0]


def test_lines_are_limited_per_second(now_s: list[float], clock: Callable[[], float]) -> None:
    """So many in a second; the next second begins with how many were left out, and so does the end."""
    sink = Sink()
    log = PeerLog(sink, clock, 2)
    for number in range(5):
        log.warn(f"line {number}")
    assert sink.lines == ["line 0", "line 1"]
    now_s[0] = 1.0
    for number in range(5, 8):
        log.warn(f"line {number}")
    assert sink.lines[2:] == ["3 more suppressed", "line 5", "line 6"]
    log.flush()
    log.flush()
    assert sink.lines[5:] == ["1 more suppressed"]


def test_what_a_peer_says_stays_on_one_line() -> None:
    """Line breaks and control characters are written as escapes, and what is very long is cut."""
    assert on_one_line("ä b") == "ä b"
    assert on_one_line("a\nWARNING fake\x1b[2J") == "a\\nWARNING fake\\x1b[2J"
    assert len(on_one_line("x" * 5_000)) < 1_100
