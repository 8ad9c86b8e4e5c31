"""What an operator does, by clicks and keys, on a source that notes it: read-only, offline, strategy, queue, audit trail."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from monitor_app.main_window import MainWindow
from monitor_app.model.source import Notice, QueuedMessage
from monitor_app.model.strategy_plan import KINDS
from monitor_app.views.clear_queue_dialog import ClearQueueDialog
from monitor_app.views.export_dialog import ExportDialog

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier


def controls(window: MainWindow) -> list[QPushButton]:
    """Return the buttons that would steer the chosen channel."""
    panel = window.control
    return [
        *panel.request.findChildren(QPushButton),
        panel.pause.pause,
        panel.pause.resume,
        panel.strategy.apply,
        panel.queue.clear,
        panel.test_message.send,
    ]


def banner(window: MainWindow) -> str:
    """Return what stands above the disabled controls."""
    found = [part for part in window.control.findChildren(QLabel) if part.property("tone") == "why-not" and part.isVisible()]
    return found[0].text() if found else ""


def answer(window: MainWindow, source: Any, action: str, result: str, *, channel: str | None = "USER", ok: bool = True) -> None:
    """Let the source answer a command."""
    source.notices.append(Notice(time_s=1000.0, channel=channel, action=action, result=result, ok=ok))
    window.refresh()


def queue(window: MainWindow, source: Any, count: int) -> None:
    """Let messages wait on USER."""
    source.change("USER", queued=count, queued_bytes=count * 100, backlog=count, oldest_wait=6.2, waiting_for="paused_by_us")
    source.waiting["USER"] = [QueuedMessage(f"m{number}", 100, 1000.0) for number in range(count)]
    window.refresh()


# ---- Read-only and offline


def test_read_only_disables_every_control_and_says_why(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """By key, by menu or by the button in the toolbar: all agree, and nothing reaches the source until it is switched off."""
    queue(window, source, 2)
    source.change("USER", paused_by_us=True)
    window.refresh()
    qtbot.keyClick(window, Qt.Key.Key_L, CTRL)
    assert window.actions_.read_only.isChecked()
    assert window._bar.steering.text().strip() == "Read-only"
    assert not any(control.isEnabled() for control in controls(window))
    assert all("read-only" in control.toolTip() for control in controls(window))
    assert "read-only" in banner(window)
    assert not window.control.answer.action.isEnabled()
    for name in ("pause", "resume", "request", "clear_queue"):
        action = getattr(window.actions_, name)
        assert not action.isEnabled()
        assert "read-only" in action.toolTip()
    qtbot.keyClick(window, Qt.Key.Key_R)
    qtbot.keyClick(window, Qt.Key.Key_R, CTRL)
    assert source.calls == []
    qtbot.mouseClick(window._bar.steering, LEFT)
    assert not window.actions_.read_only.isChecked()
    assert banner(window) == ""
    qtbot.mouseClick(window.control.pause.resume, LEFT)
    assert source.calls == [("resume", "USER")]


def test_a_source_that_takes_no_commands_says_why_in_its_words(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The window does not know what stands behind it; it shows the reason that it is given, and nowhere says that it steers."""
    source.steering_refused = "This script lets nobody steer it."
    window.refresh()
    assert not any(control.isEnabled() for control in controls(window))
    assert "lets nobody steer it" in banner(window)
    steering = window._bar.steering
    assert (steering.text().strip(), steering.isChecked()) == ("Look only", False)
    assert "lets nobody steer it" in steering.toolTip()
    for shown in ("Read-only", "Look only"):
        qtbot.mouseClick(steering, LEFT)
        assert (steering.text().strip(), steering.isChecked()) == (shown, False)
    source.steering_refused = None
    window.refresh()
    assert (steering.text().strip(), steering.isChecked()) == ("Steering", True)


def test_controls_rest_while_the_source_is_away_and_wake_when_it_is_back(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """OFFLINE they say that there is no connection; with the connection they work as before, on the same channel."""
    window.table.choose("AGENT")
    connection = source.state
    source.lose()
    window.refresh()
    assert not any(control.isEnabled() for control in controls(window))
    assert "no connection" in banner(window)
    assert window.actions_.pause.toolTip() == "There is no connection."
    assert not window.control.answer.action.isVisible(), "the centre has the button"
    source.state, source.failure = connection, None
    window.refresh()
    assert banner(window) == ""
    qtbot.mouseClick(window.control.pause.pause, LEFT)
    assert source.calls == [("pause", "AGENT", None)]


# ---- Strategy


def test_a_strategy_and_its_thresholds_can_be_set(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The numbers in the fields are what is applied; the result stands below and in the title, unfolded or not."""
    window.actions_.strategy.trigger()
    group = window.control.strategy
    assert group.chooser.isVisible()
    group.chooser.setCurrentIndex([kind.name for kind in KINDS].index("threshold"))
    group.fields["message_threshold"].setValue(9)
    group.fields["byte_threshold"].setValue(64)
    qtbot.mouseClick(group.apply, LEFT)
    settings = {"message_threshold": 9, "byte_threshold": 64 << 10, "request_messages": 10, "request_bytes": 512 << 10}
    assert source.calls == [("use_strategy", "threshold", settings)]
    answer(window, source, "strategy", "In use.", channel=None)
    assert group.detail.text() == "threshold, every channel"
    [entry] = window.ingest.audit.entries
    assert entry.details.startswith("threshold: below 9 msg")


def test_a_strategy_proposes_no_more_than_the_cap_lets_in(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The chosen channel's caps bound what the fields propose; what was typed, or applied, stays whichever channel is chosen."""
    source.change("USER", max_credits=4, max_credit_bytes=96 << 10)
    source.change("AGENT", max_credits=100, max_credit_bytes=256 << 10)
    window.refresh()
    window.actions_.strategy.trigger()
    group = window.control.strategy

    def values() -> list[float]:
        return [field.value() for field in group.fields.values()]

    group.chooser.setCurrentText("Threshold")
    assert values() == [2, 48, 4, 96]
    group.fields["request_messages"].setValue(7)
    window.table.choose("AGENT")
    window.refresh()
    assert values() == [5, 128, 7, 256]
    qtbot.mouseClick(group.apply, LEFT)
    window.table.choose("USER")
    window.refresh()
    assert values() == [5, 128, 7, 256]
    group.chooser.setCurrentText("Aggressive")
    assert values() == [4, 96]


def test_a_threshold_that_cannot_be_is_told_before_it_is_applied(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The library's own check speaks while the number is typed, and the button rests until it is right."""
    window.actions_.strategy.trigger()
    group = window.control.strategy
    for kind, field, words in (
        ("threshold", "request_messages", "“Ask for … msg” must"),
        ("conservative", "delay_s", "“After a grant, wait … s” must"),
        ("adaptive", "most", "“At most … msg” must"),
    ):
        group.chooser.setCurrentIndex([known.name for known in KINDS].index(kind))
        assert group.apply.isEnabled()
        group.fields[field].setValue(0)
        assert not group.apply.isEnabled()
        assert words in group.apply.toolTip()
        assert any(words in part.text() for part in group.findChildren(QLabel) if part.property("tone") == "bad")
        window.refresh()
        assert not group.apply.isEnabled()
        group.fields[field].setValue(3)
        assert group.apply.isEnabled()
    assert source.calls == []


# ---- Queue


def test_clearing_asks_and_keeping_is_the_default(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The question names number, bytes and age; Return keeps everything."""
    assert not window.control.queue.clear.isEnabled()
    queue(window, source, 31)
    assert window.control.queue.detail.text() == "oldest 6.2 s"
    qtbot.mouseClick(window.control.queue.clear, LEFT)
    dialog = window.findChild(ClearQueueDialog)
    assert dialog is not None
    words = " ".join(part.text() for part in dialog.findChildren(QLabel))
    for expected in ("Discard 31 messages of USER?", "3.0 KiB", "waits for 6.2 s", "cannot be brought back", "told “cleared”"):
        assert expected in words
    assert dialog.focusWidget() is dialog.keep
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert source.calls == []


def test_discarding_takes_the_reason_along(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """While somebody thinks, the numbers go on; what was seen last is what the audit trail says."""
    queue(window, source, 3)
    qtbot.keyClick(window, Qt.Key.Key_Delete, CTRL)
    dialog = window.findChild(ClearQueueDialog)
    assert dialog is not None
    queue(window, source, 5)
    assert "5 messages" in dialog.discard.text()
    dialog.reason.setText("stale")
    qtbot.mouseClick(dialog.discard, LEFT)
    assert source.calls == [("clear_queue", "USER", "stale")]
    [entry] = window.ingest.audit.entries
    assert (entry.action, entry.reason, entry.details) == ("clear queue", "stale", "5 messages, 500 B")


def test_the_connection_may_go_while_the_question_stands(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Offline nothing can be discarded, and the button says why; keeping always works."""
    queue(window, source, 3)
    qtbot.mouseClick(window.control.queue.clear, LEFT)
    dialog = window.findChild(ClearQueueDialog)
    assert dialog is not None
    source.lose()
    window.refresh()
    assert not dialog.discard.isEnabled()
    assert dialog.discard.toolTip() == "There is no connection."
    qtbot.mouseClick(dialog.keep, LEFT)
    assert source.calls == []


def test_the_queue_can_be_exported_before_it_is_cleared(qtbot: QtBot, window: MainWindow, source: Any, tmp_path: Path) -> None:
    """What is known of each message, its id, size and time, goes to a file; the question stays open."""
    queue(window, source, 2)
    qtbot.mouseClick(window.control.queue.clear, LEFT)
    question = window.findChild(ClearQueueDialog)
    assert question is not None
    qtbot.mouseClick(question.export, LEFT)
    dialog = window.findChild(ExportDialog)
    assert dialog is not None
    dialog.path.setText(str(tmp_path / "queue.csv"))
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.mouseClick(dialog.start, LEFT)
    with (tmp_path / "queue.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["channel", "message_id", "bytes", "queued_at"]
    assert [row[:3] for row in rows[1:]] == [["USER", "m0", "100"], ["USER", "m1", "100"]]
    dialog.reject()
    assert question.isVisible()
    question.reject()


# ---- Audit trail


def test_every_action_is_in_the_audit_page(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Who, where, what, why and what came of it, a refusal in the colour of trouble."""
    window.ingest.audit.who = "mara"
    window.control.pause.reason.setText("tea")
    qtbot.mouseClick(window.control.pause.pause, LEFT)
    qtbot.mouseClick(window.control.request.send, LEFT)
    answer(window, source, "pause", "asked for, “tea”")
    answer(window, source, "request", "no", ok=False)
    qtbot.mouseClick(window.log_panel.audit_tab, LEFT)
    model = window.log_panel.audit.model()
    texts = [[model.index(row, column).data() for column in range(1, 6)] for row in range(model.rowCount())]
    assert texts == [
        ["mara", "USER", "pause", "tea", "done: asked for, “tea”"],
        ["mara", "USER", "request +10 messages", "", "failed: no"],
    ]
    assert model.index(1, 5).data(Qt.ItemDataRole.ForegroundRole) is not None
    assert "2 actions by mara" in model.headerData(5, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)
    assert not window.log.text_filter.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_F, CTRL)
    assert window.log.text_filter.isVisible()


def test_a_resume_has_a_reason_too(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Return in the field does what can be done: for a paused channel it resumes."""
    source.change("USER", paused_by_us=True)
    window.refresh()
    window.control.pause.reason.setText("codec is back")
    qtbot.keyClick(window.control.pause.reason, Qt.Key.Key_Return)
    assert source.calls == [("resume", "USER")]
    assert window.ingest.audit.entries[0].reason == "codec is back"
    assert window.control.pause.reason.text() == ""


def test_the_audit_trail_can_be_exported(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    """The page that is shown is the one that is exported."""
    qtbot.mouseClick(window.control.pause.pause, LEFT)
    window.actions_.show_audit.trigger()
    window.actions_.export.trigger()
    dialog = window.findChild(ExportDialog)
    assert dialog is not None
    dialog.path.setText(str(tmp_path / "audit.csv"))
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.mouseClick(dialog.start, LEFT)
    text = (tmp_path / "audit.csv").read_text()
    assert text.startswith("time,who,channel,action,details,reason,outcome,result")
    assert ",USER,pause," in text
    dialog.reject()


@pytest.mark.parametrize("name", ["test_message", "strategy", "pause"])
def test_a_key_brings_the_hands_to_the_field_even_if_it_is_folded_away(window: MainWindow, qtbot: QtBot, name: str) -> None:
    """A folded group opens, a closed dock comes back."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    group = getattr(window.control, name)
    group.fold.setChecked(False)
    window.docks.by_name["control"].close()
    getattr(window.actions_, name).trigger()
    focus = window.focusWidget()
    assert focus is not None
    assert group.isAncestorOf(focus)
    assert focus.isVisible()


def test_controls_are_not_cut_off_beside_their_scroll_bar(window: MainWindow, source: Any) -> None:
    """With every group open and senders in line the controls still fit beside the bar that they then need."""
    source.change("USER", backlog=12, waiting=12, waiting_for="messages", missing=3, credits=0, oldest_wait=12.0)
    window.control.strategy.fold.setChecked(True)
    window.control.strategy.chooser.setCurrentIndex(1)
    for _ in range(2):
        window.refresh()
        QApplication.processEvents()
    assert window.control.verticalScrollBar().isVisible()
    assert window.control.widget().minimumSizeHint().width() <= window.control.viewport().width()
