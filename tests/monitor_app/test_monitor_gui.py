"""The program from start to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

import monitor_app
from haip_sync import ConfigError, HAIPClient
from haip_sync.testing import DevServer
from monitor_app import gui
from monitor_app.demo import read_lines
from monitor_app.main_window import MainWindow
from monitor_app.model.client_source import ClientSource
from monitor_app.options import Options

ROOT = Path(__file__).parents[2]


def start(*arguments: str, **streams: int) -> subprocess.Popen[str]:
    """Start the program without a display."""
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    environment.pop("QT_QPA_PLATFORM", None)
    command = [sys.executable, "-W", "error", "-m", "monitor_app", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE, **streams)  # noqa: S603


def soon(call: Callable[[], object], delay_ms: int = 0) -> QTimer:
    """Call something from within the event loop that is about to run."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(call)
    timer.start(delay_ms)
    return timer


def the_window() -> MainWindow:
    """Return the window that is open."""
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))


def test_the_demo_prints_a_table_and_takes_a_picture(tmp_path: Path) -> None:
    """Without a display the demo runs offscreen, says so, prints, saves its picture and ends with code 0."""
    target = tmp_path / "demo.png"
    text = tmp_path / "text"
    text.write_text("one line\nanother line\n", encoding="utf-8")
    process = start("--demo", str(text), "--duration", "8", "--screenshot", str(target), stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "running offscreen" in err
    assert "STARVED" in out
    assert "PAUSED by us" in out
    image = QImage(str(target))
    assert (image.width(), image.height()) == (1440, 900)


def test_ctrl_c_ends_it_with_code_0() -> None:
    """An interrupt closes the window at once and is no error."""
    process = start("ws://127.0.0.1:1", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """A broken pipe is the end, not an error."""
    process = start("ws://127.0.0.1:1", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 0, err
    assert "Traceback" not in err
    assert "Exception" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_full_disk_ends_it_with_a_sentence() -> None:
    """A table that cannot be written is told once, and the code is 1."""
    with Path("/dev/full").open("w") as full:
        process = start("ws://127.0.0.1:1", stdout=full.fileno())
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert err.splitlines()[-1] == "haip-monitor: the table cannot be written: No space left on device. The monitor ends"


def test_of_several_windows_each_has_its_table(qtbot: QtBot, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a display two windows print two tables, each with the name of what it shows."""
    with DevServer() as server, HAIPClient(server.url) as one, HAIPClient(server.url) as other:
        session = gui.Session(gui._application(), ClientSource(one, name="one"), Options(duration_s=2.5), has_screen=False)
        session.open(ClientSource(other, name="other"))
        assert session.run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(f"one: Connected to {one.address}") for line in lines) >= 1
    assert sum(line.endswith(f"other: Connected to {other.address}") for line in lines) >= 1


def test_a_duration_ends_it(qtbot: QtBot, capsys: pytest.CaptureFixture[str]) -> None:
    """With a duration the program ends by itself; on a screen nothing is printed."""
    with DevServer() as server:
        assert gui.run(Options(url=server.url, duration_s=0.3), has_screen=True) == 0
    assert capsys.readouterr().out == ""


def test_a_picture_that_cannot_be_written_is_an_error(qtbot: QtBot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the folder is gone at the end the program says so and ends with code 1."""
    options = Options(url="ws://127.0.0.1:1", duration_s=0.2, screenshot=tmp_path / "gone" / "s.png")
    assert gui.run(options, has_screen=True) == 1
    assert "could not be written" in capsys.readouterr().err


def test_watch_blocks_until_the_window_is_closed_and_leaves_the_client_open(qtbot: QtBot) -> None:
    """`watch` returns when the window is closed; the client goes on."""
    with DevServer() as server, HAIPClient(server.url, name="mine") as client:
        titles: list[str] = []

        def look_and_close() -> None:
            titles.append(the_window().windowTitle())
            the_window().close()

        timer = soon(look_and_close, 50)
        monitor_app.watch(client)
        assert titles == ["mine - HAIP Monitor"]
        assert not timer.isActive()
        client.send_text_message("USER", "still here", timeout=5.0)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"client": "ws://localhost:8080"}, "watch shows a HAIPClient, not str"),
        ({"client": None}, "watch shows a HAIPClient"),
        ({"title": 5}, "title"),
        ({"script": 5}, "script"),
    ],
)
def test_watch_refuses_a_wrong_argument_before_a_window_is_open(wrong: dict[str, Any], what: str) -> None:
    """What is no client, no title or no function is a `ConfigError` that says so, and no window comes up."""
    with pytest.raises(ConfigError, match=what):
        monitor_app.watch(**{"client": HAIPClient("ws://localhost:1")} | wrong)
    assert not [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]


def test_watch_can_be_called_again_and_only_on_the_main_thread() -> None:
    """Two windows one after another in one process, and a clear refusal elsewhere."""
    code = """
import threading
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
import monitor_app
from haip_sync import ConfigError, HAIPClient
from haip_sync.testing import DevServer

def close():
    for widget in QApplication.topLevelWidgets():
        widget.close()

def elsewhere(client):
    try:
        monitor_app.watch(client)
    except RuntimeError as error:
        print("refused:", error)

with DevServer() as server, HAIPClient(server.url) as client:
    thread = threading.Thread(target=elsewhere, args=(client,))
    thread.start()
    thread.join()
    application = QApplication([])
    for _ in range(2):
        timer = QTimer()
        timer.timeout.connect(close)
        timer.start(100)
        monitor_app.watch(client)
        timer.stop()
        print("closed")
"""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "refused:" in done.stdout
    assert done.stdout.count("closed") == 2


def test_watch_runs_a_script_beside_the_window(qtbot: QtBot) -> None:
    """The script runs on a thread of its own, and what it raises is raised once the window is closed."""
    with DevServer() as server, HAIPClient(server.url) as client:

        def script() -> None:
            client.send_text_message("USER", "from the script", timeout=5.0)
            raise LookupError("the script's own trouble")

        seen: list[str] = []

        def look_and_close() -> None:
            rows = [row.text for row in the_window().ingest.log.rows if row.kind == "script"]
            if rows:
                timer.stop()
                seen.extend(rows)
                the_window().close()

        timer = QTimer()
        timer.timeout.connect(look_and_close)
        timer.start(20)
        with pytest.raises(LookupError, match="own trouble"):
            monitor_app.watch(client, script=script, title="beside")
        timer.stop()
        assert seen == ["LookupError: the script's own trouble"]
        assert server.wait_for_session().text_count == 1


def test_the_demo_sends_the_lines_of_a_real_text(tmp_path: Path) -> None:
    """Empty lines are left out, bytes that are no text are replaced, and a file without text says so."""
    path = tmp_path / "text"
    path.write_bytes(b"one\n\n  \ntwo \xff\n")
    assert read_lines(path) == ["one", "two \ufffd"]
    path.write_bytes(b"\n")
    assert read_lines(path) == ["(the file has no text)"]
    assert read_lines(None)
