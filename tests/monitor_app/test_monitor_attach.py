"""Attaching by hand to a script that runs: the list, a window on its client, and the end of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from support.observed import CONNECTED, IDLE, Script, StandIn, meeting_place, script, served

from haip_sync.observe import ClientSummary, ProgramInfo, list_programs
from haip_sync.testing import DevServer, OnRequest
from monitor_app import gui
from monitor_app.main_window import MainWindow
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.ingest import Ingest
from monitor_app.model.program_rows import ProgramRow, rows_of
from monitor_app.model.status import Status
from monitor_app.model.units import NONE
from monitor_app.options import Options
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme
from monitor_app.views.attach_dialog import AttachDialog

LEFT = Qt.MouseButton.LeftButton
TIMEOUT_MS = 15_000
SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print(number)
    sys.stdin.readline()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def running(place: Path, request: pytest.FixtureRequest) -> Iterator[Script]:
    """Yield a script that is blocked after three messages; five more would do."""
    with (
        DevServer(agent=False, initial_credits=3, policy=OnRequest()) as server,
        script(SENDER, server.url, "8", mode=getattr(request, "param", "steer")) as it,
    ):
        yield it


def row_of(client: str, state: str, why: str) -> ProgramRow:
    """Return a row of the list."""
    return ProgramRow(
        program="p",
        pid="1",
        since="",
        client=client,
        state=state,
        worst="",
        why=why,
        steering="look only",
        info=ProgramInfo(path=Path("/x"), pid=1),
    )


def client(name: str, **changes: Any) -> ClientSummary:
    """Return a client in a line."""
    given = {
        "address": "ws://a:1",
        "connected": True,
        "phase": "open",
        "may_steer": False,
        "worst": None,
        "cause": None,
        "oldest_wait": 0.0,
        "why": "",
        **changes,
    }
    return ClientSummary(name=name, **given)


def test_programs_are_rows_one_for_each_client() -> None:
    """What cannot be attached to is listed with the reason; a client that waits says on which channel, for what and how long."""
    path = Path("/x")
    busy = client("a", worst="USER", cause="bytes", oldest_wait=6.2, why="needs 1 message", may_steer=True)
    rows = rows_of(
        [
            ProgramInfo(path=path, pid=7, name="ingest.py", clients=(busy, client("b", connected=False, phase="offline"))),
            ProgramInfo(path=path, pid=None, trouble="it does not answer"),
        ]
    )
    assert [row.cells for row in rows] == [
        ("ingest.py", "7", NONE, "a", "blocked", "USER waits for bytes, 6.2 s", "allowed"),
        ("ingest.py", "7", NONE, "b", "reconnecting", "", "look only"),
        ("?", NONE, NONE, "", "no answer", "", ""),
    ]
    assert [row.can_attach for row in rows] == [True, True, False]
    assert (rows[0].why, rows[2].why) == ("needs 1 message", "it does not answer")


def test_without_a_script_the_list_says_what_to_do(qtbot: QtBot, place: Path, window: MainWindow) -> None:
    """The dialog names the variable that lets a script be seen; nothing can be attached to, and its thread ends with it."""
    qtbot.keyClick(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    dialog = window.findChild(AttachDialog)
    assert dialog is not None
    assert "HAIP_SYNC_MONITOR=1" in dialog.why.text()
    assert not dialog.attach.isEnabled()
    programs = window.dialogs._programs
    assert programs is not None
    dialog.reject()
    assert not programs._thread.is_alive()
    assert window.dialogs._programs is None


def test_the_list_says_where_nobody_looked(qtbot: QtBot, place: Path, window: MainWindow) -> None:
    """A directory that is open to others is named with the reason in one line, which goes once it is closed to them."""
    place.chmod(0o755)
    qtbot.keyClick(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    dialog = window.findChild(AttachDialog)
    assert dialog is not None

    def is_shown() -> bool:
        window.dialogs.refresh(connected=False)
        return dialog.passed_over.isVisible()

    qtbot.waitUntil(is_shown, timeout=TIMEOUT_MS)
    assert dialog.passed_over.text() == f"Not looked into: {place} is open to other users (mode 0755): chmod 700 it"
    place.chmod(0o700)
    qtbot.waitUntil(lambda: not is_shown(), timeout=TIMEOUT_MS)
    dialog.reject()


def test_the_chosen_row_stays_chosen_while_the_list_changes(qtbot: QtBot, window: MainWindow) -> None:
    """A row that goes leaves the choice on the first; a program that cannot be attached to disables the button."""
    dialog = AttachDialog(window)
    first, second = (row_of(name, "running", "why so") for name in ("a", "b"))
    dialog.show_rows([first, second])
    dialog.table.selectRow(1)
    assert dialog.why.text() == "why so"
    dialog.show_rows([second, first])
    assert dialog.chosen == second
    dialog.show_rows([row_of("", "no answer", "it does not answer")])
    assert not dialog.attach.isEnabled()
    assert dialog.why.text() == "it does not answer"
    dialog.reject()


def test_a_blocked_script_is_helped_by_hand(qtbot: QtBot, running: Script) -> None:
    """A window on its client shows it STARVED; a request from the control dock lets it go on, and its end is told."""
    window = MainWindow(Ingest(AttachedSource(running.path(), "sender")), Theme(Mode.DARK), "test")
    window.start()
    try:

        def status() -> Status | None:
            view = window.ingest.channel("USER")
            return None if view is None else view.status

        qtbot.waitUntil(lambda: status() is Status.STARVED, timeout=TIMEOUT_MS)
        qtbot.waitUntil(window.control.request.send.isVisible, timeout=TIMEOUT_MS)
        assert window.control.why_not() == ""
        window.control.request.messages.setValue(20)
        qtbot.mouseClick(window.control.request.send, LEFT)
        assert [running.line() for _ in range(8)] == [str(number) for number in range(8)]
        qtbot.waitUntil(lambda: status() is not Status.STARVED, timeout=TIMEOUT_MS)
        qtbot.waitUntil(lambda: window.ingest.audit.entries[0].outcome.value == "done", timeout=TIMEOUT_MS)
        running.tell("end")
        qtbot.waitUntil(lambda: not window.control.request.send.isEnabled(), timeout=TIMEOUT_MS)
        qtbot.waitUntil(lambda: status() is Status.OFFLINE, timeout=TIMEOUT_MS)
    finally:
        window.close()
        window.deleteLater()


@pytest.mark.parametrize("running", ["1"], indirect=True)
def test_a_script_that_lets_nobody_steer_says_so(qtbot: QtBot, running: Script) -> None:
    """The controls are disabled in the script's name, with the variable that would change it."""
    window = MainWindow(Ingest(AttachedSource(running.path(), "sender")), Theme(Mode.LIGHT), "test")
    window.start()
    try:
        qtbot.waitUntil(lambda: window.ingest.channel("USER") is not None, timeout=TIMEOUT_MS)
        qtbot.waitUntil(lambda: "HAIP_SYNC_MONITOR=steer" in window.control.pause.pause.toolTip(), timeout=TIMEOUT_MS)
        assert not window.control.pause.pause.isEnabled()
        window.actions_.messages.trigger()
        qtbot.waitUntil(lambda: any("never leaves" in row.text for row in window.ingest.log.rows), timeout=TIMEOUT_MS)
    finally:
        window.close()
        window.deleteLater()


def test_attaching_opens_a_window_and_the_empty_one_goes(
    qtbot: QtBot, running: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the empty page to the script's client by hand; the session ends with the last window."""
    running.path()
    monkeypatch.setattr(gui, "Settings", lambda: Settings(tmp_path / "monitor.ini"))
    application = QApplication.instance()
    session = gui.Session(application, ClientSource(factory=open_client), Options(), has_screen=True)
    titles: list[str] = []
    timer = QTimer()

    def drive() -> None:
        shown = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow) and widget.isVisible()]
        dialog = session.window.findChild(AttachDialog)
        if not shown:
            return
        if session.window not in shown:
            titles.extend(window.windowTitle() for window in shown)
            shown[0].close()
        elif dialog is None:
            session.window.page.attach.click()
        elif dialog.attach.isEnabled():
            dialog.attach.click()

    timer.timeout.connect(drive)
    timer.start(50)
    assert session.run() == 0
    timer.stop()
    assert len(titles) == 1
    assert titles[0].startswith("sender in ")
    running.tell("end")


def test_a_script_is_detached_from_and_attached_to_again_by_keys(qtbot: QtBot, running: Script) -> None:
    """Ctrl+D leaves it alone: the picture stays, the sentence on top says so, and Ctrl+Shift+O shows how it is now."""
    window = MainWindow(Ingest(AttachedSource(running.path(), "sender")), Theme(Mode.DARK), "test")
    window.start()
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    try:
        qtbot.waitUntil(lambda: "is starved" in window.answer.title.text(), timeout=TIMEOUT_MS)
        assert (window.actions_.detach.isEnabled(), window.actions_.attach_again.isEnabled()) == (True, False)
        qtbot.keyClick(window, Qt.Key.Key_D, control)
        qtbot.waitUntil(lambda: window.answer.title.text() == "Detached", timeout=TIMEOUT_MS)
        qtbot.waitUntil(lambda: "DETACHED" in window.table.model().index(0, 0).data(), timeout=TIMEOUT_MS)
        assert (window.actions_.detach.isEnabled(), window.actions_.attach_again.isEnabled()) == (False, True)
        assert window.flow.isVisible()
        assert window.control.why_not() == "We have detached from the script."
        assert running.process.poll() is None
        qtbot.keyClick(window, Qt.Key.Key_O, control | shift)
        qtbot.waitUntil(lambda: "is starved" in window.answer.title.text(), timeout=TIMEOUT_MS)
        assert window.control.why_not() == ""
    finally:
        window.close()
        window.deleteLater()


def test_a_window_on_a_client_of_its_own_has_nothing_to_detach_from(window: MainWindow) -> None:
    """The entries say why they are disabled."""
    for name in ("detach", "attach_again"):
        assert not getattr(window.actions_, name).isEnabled()
        assert "in this window" in getattr(window.actions_, name).toolTip()


CLAIMS = {
    "not a number": {"oldest_wait": math.nan, "waiting_for": "messages", "backlog": 1, "last_grant_age": math.nan},
    "without end": {
        "oldest_wait": math.inf,
        "waiting_for": "bytes",
        "backlog": 1,
        "last_grant_age": math.inf,
        "missing": 1 << 62,
    },
    "below nothing": {"oldest_wait": -1e300, "waiting_for": "x\n\x1b", "backlog": -5, "credits": -(1 << 62), "max_credits": 0},
}


@pytest.mark.parametrize("claim", list(CLAIMS))
def test_a_program_that_claims_nonsense_is_shown_all_the_same(qtbot: QtBot, place: Path, claim: str) -> None:
    """Whatever figures and names it tells, list and window go on, nothing of it is taken for markup, and no line is broken."""
    channel = msgspec.structs.replace(IDLE, **CLAIMS[claim])
    client = StandIn("<b>evil</b>\n\x1b[2J")
    client.state = msgspec.structs.replace(CONNECTED, channels={"USER": channel, "<b>\n": IDLE}, round_trip=math.nan)
    with served(place) as running:
        running.offer(client, may_steer=True)
        (info,) = list_programs()
        assert all(cell.isprintable() for row in rows_of([info]) for cell in row.cells)
        source = AttachedSource(info, client.name)
        window = MainWindow(Ingest(source), Theme(Mode.DARK), "test")
        window.start()
        try:
            qtbot.waitUntil(lambda: window.ingest.channel("USER") is not None, timeout=TIMEOUT_MS)
            qtbot.waitUntil(lambda: window.answer.title.text() not in {"", "No channels yet"}, timeout=TIMEOUT_MS)
            dialog = AttachDialog(window)
            dialog.show_rows(rows_of([info]))
            assert dialog.table.item(0, 3).toolTip().startswith(("<qt>&lt;b&gt;", "USER it is"))
            assert source.name.isprintable()
            dialog.reject()
        finally:
            window.close()
            window.deleteLater()
