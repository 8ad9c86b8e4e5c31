"""A script that the operator has left: it is DETACHED, which is no trouble; and what is said of it once it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from support.observed import Script, meeting_place, script

from haip_sync.observe import list_programs
from haip_sync.testing import DevServer, OnRequest
from monitor_app.colours import DARK
from monitor_app.main_window import MainWindow
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.event_log import Tone
from monitor_app.model.figures import figures_of, rows_of
from monitor_app.model.ingest import Ingest
from monitor_app.model.status import Status
from monitor_app.theme import Mode, Theme
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.status_line import StatusLine
from monitor_app.views.time_strip import legends_of

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
TIMEOUT_MS = 15_000
SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(8):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
"""


@pytest.fixture
def running() -> Iterator[Script]:
    """Yield a script that is blocked after three messages."""
    with (
        meeting_place(),
        DevServer(agent=False, initial_credits=3, policy=OnRequest()) as server,
        script(SENDER, server.url, mode="steer") as it,
    ):
        yield it


@pytest.fixture
def attached(qtbot: QtBot, running: Script) -> Iterator[MainWindow]:
    """Yield a window that has seen the script starve."""
    running.path()
    (program,) = list_programs()
    made = MainWindow(Ingest(AttachedSource(program, "sender")), Theme(Mode.DARK), "test")
    made.start()
    qtbot.waitUntil(lambda: "is starved" in made.answer.title.text(), timeout=TIMEOUT_MS)
    yield made
    made.close()
    made.deleteLater()


def texts(window: MainWindow, part: type) -> str:
    """Return what the labels of a part of the window say."""
    return " ".join(label.text() for label in window.findChild(part).findChildren(QLabel))


def test_a_script_that_we_left_is_detached_in_every_part_at_once(qtbot: QtBot, attached: MainWindow) -> None:
    """The table, the control dock, the plots, the strip of times and the status bar all say so as soon as Ctrl+D is pressed."""
    qtbot.keyClick(attached, Qt.Key.Key_D, CTRL)
    view = attached.ingest.channel("USER")
    assert view is not None
    assert view.status is Status.DETACHED
    model = attached.table.model()
    assert model.index(0, 0).data() == "USER DETACHED"
    assert model.index(0, 0, model.index(0, 0)).data() == "We have detached. The last known values."
    assert attached.control.answer._title.text().startswith("DETACHED for ")
    assert "DETACHED, last known values" in texts(attached, FlowBar)
    assert "Detached" in texts(attached, StatusLine)
    qtbot.waitUntil(lambda: "detached" in attached.flow._times.accessibleDescription(), timeout=TIMEOUT_MS)
    assert "silent" not in attached.flow._times.accessibleDescription()
    picture = attached.flow.picture
    assert "detached" in [activity.value for activity in legends_of(picture.shares(picture.frame()))[0]]
    tracker = attached.ingest.tracker("USER")
    assert tracker is not None
    cells = dict(rows_of([figures_of(tracker, attached.ingest.history, *picture.edges())]))
    assert (cells["Detached"] != ["0 %"], cells["Silent"]) == (True, ["0 %"])


def test_to_have_left_is_no_trouble(qtbot: QtBot, attached: MainWindow) -> None:
    """Neither the sentence on top nor the control dock warns, and the log has it as our own act; Attach again ends it."""
    qtbot.keyClick(attached, Qt.Key.Key_D, CTRL)
    assert attached.answer._frame._colours[:2] == (DARK.header, DARK.border)
    assert DARK.low not in attached.answer.title.styleSheet()
    assert attached.control._why_not.property("tone") == "by-choice"
    (row,) = [row for row in attached.log.shown_rows if row.text.startswith("Detached from")]
    assert row.tone is Tone.OURS
    qtbot.keyClick(attached, Qt.Key.Key_O, CTRL | SHIFT)
    qtbot.waitUntil(lambda: "is starved" in attached.answer.title.text(), timeout=TIMEOUT_MS)
    assert attached.table.model().index(0, 0).data() == "USER STARVED"


def _kill(running: Script) -> None:
    running.process.kill()
    running.process.wait()


def _leave(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClick(window, Qt.Key.Key_D, CTRL)


def _come_back(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClick(window, Qt.Key.Key_O, CTRL | SHIFT)


@pytest.mark.parametrize(
    "when", ["attached again", "before it answers", "while detached", "and its socket removed", "never left"]
)
def test_a_script_that_was_killed_is_told_in_one_sentence(qtbot: QtBot, attached: MainWindow, running: Script, when: str) -> None:
    """Whenever it was killed, and whoever has listed programs since: on top, in the log, and beside what is disabled."""
    path = Path(attached.ingest.source.program.path)
    if when != "never left":
        _leave(qtbot, attached)
    match when:
        case "attached again":
            _come_back(qtbot, attached)
            qtbot.waitUntil(lambda: "is starved" in attached.answer.title.text(), timeout=TIMEOUT_MS)
        case "before it answers":
            os.kill(running.pid, signal.SIGSTOP)
            _come_back(qtbot, attached)
    _kill(running)
    if when == "and its socket removed":
        assert list_programs() == []
        assert not path.exists()
    if when in {"while detached", "and its socket removed"}:
        assert attached.answer.title.text() == "Detached", "we do not look, and say no more than that"
        assert attached.answer.evidence.text().startswith("The script was left as it was. ")
        _come_back(qtbot, attached)
    qtbot.waitUntil(lambda: attached.answer.title.text() == "The script is not there any more", timeout=TIMEOUT_MS)
    sentence = f"python -c (pid {running.pid}) has ended."
    assert (
        attached.answer.evidence.text()
        == f"{sentence} Attach to it anew once it is there again. What is shown are the last known values."
    )
    qtbot.waitUntil(lambda: sentence in [row.text for row in attached.log.shown_rows], timeout=TIMEOUT_MS)
    assert [row.text for row in attached.log.shown_rows if row.kind == "script"][-1] == sentence
    assert attached.table.model().index(0, 0).data() == "USER OFFLINE", "no part denies what another says"
    assert attached.control.why_not() == "The script is not there any more."
