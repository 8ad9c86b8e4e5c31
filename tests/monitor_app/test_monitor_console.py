"""What the monitor writes beside its windows, where nobody reads it, where it cannot be written, or not in these characters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import StandIn, meeting_place, served

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")


@pytest.fixture
def listed() -> Iterator[Path]:
    """Yield a meeting place where one program is, whose client stands still nowhere."""
    with meeting_place() as place, served(place) as running:
        running.offer(StandIn("sender"))
        yield place


def run(*arguments: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, **more: str) -> tuple[int, str, str]:
    """Return the code, the output and the complaints of a monitor without a display."""
    without = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    environment = {name: value for name, value in os.environ.items() if name not in without} | more
    command = [sys.executable, "-W", "error", "-m", "monitor_app", *arguments]
    done = subprocess.run(  # noqa: S603 - our own words
        command, check=False, cwd=ROOT, env=environment, text=True, stdout=stdout, stderr=stderr, timeout=TIMEOUT_S
    )
    return done.returncode, done.stdout or "", done.stderr or ""


def test_a_list_that_nobody_reads_is_no_error(listed: Path) -> None:
    """A reader that is gone has what it wanted: code 0, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    code, _, err = run("--list", stdout=writer, HAIP_SYNC_RUNTIME_DIR=str(listed))
    os.close(writer)
    assert (code, err) == (0, "")


@needs_full
def test_a_list_that_cannot_be_written_is_told_in_a_sentence(listed: Path) -> None:
    """A full disk is an error: code 2, and no traceback."""
    with Path("/dev/full").open("w") as full:
        code, _, err = run("--list", stdout=full.fileno(), HAIP_SYNC_RUNTIME_DIR=str(listed))
    assert (code, err) == (2, "haip-monitor: the list cannot be written: No space left on device\n")


def test_a_terminal_that_lacks_a_character_gets_a_question_mark(listed: Path) -> None:
    """The dash for "nothing" is not ASCII, and no reason to end with a traceback."""
    code, out, err = run("--list", HAIP_SYNC_RUNTIME_DIR=str(listed), PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert "?" in out.splitlines()[1].split()


@needs_full
def test_complaints_that_cannot_be_written_end_nothing() -> None:
    """With standard error full the monitor watches on, and its table is printed."""
    with Path("/dev/full").open("w") as full:
        code, out, _ = run("ws://127.0.0.1:1", "--duration", "1.5", stderr=full.fileno())
    assert code == 0
    assert "cannot be reached" in out


@needs_full
def test_with_both_full_it_ends_all_the_same() -> None:
    """A table that cannot be written ends the monitor though that cannot be said either; it does not run on unseen."""
    with Path("/dev/full").open("w") as full:
        code, _, _ = run("ws://127.0.0.1:1", stdout=full.fileno(), stderr=full.fileno())
    assert code == 1
