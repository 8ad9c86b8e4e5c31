"""The channel table in the window."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from monitor_app.main_window import MainWindow
from monitor_app.views import channel_delegate
from monitor_app.views.channel_cells import Side
from monitor_app.views.parts import put_text


def test_every_channel_has_a_row_and_a_why_line(window: MainWindow) -> None:
    """Rows have channels with their state in words; each has one child that says why."""
    model = window.table.model()
    assert [model.index(row, 0).data() for row in range(model.rowCount())] == [
        f"{name} IDLE" for name in ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
    ]
    top = model.index(0, 0)
    assert model.rowCount(top) == 1
    assert model.index(0, 0, top).data() == "Nothing to send so far."
    assert model.parent(model.index(0, 0, top)) == top
    assert window.table.isExpanded(top)


def test_numbers_stand_in_words_for_who_cannot_see_bars(window: MainWindow, source: Any) -> None:
    """Each cell has its text: balances against caps, backlog with the oldest wait, rate."""
    source.change("USER", credits=46, byte_credits=512, backlog=31, oldest_wait=6.2, waiting_for="bytes", missing=7168)
    window.refresh()
    model = window.table.model()
    assert [model.index(0, column).data() for column in range(6)] == [
        "USER STARVED",
        "46 / 100",
        "0.5 / 512",
        "31, 6.2 s",
        "0 /s, 0 KiB/s",
        "now, bytes",
    ]
    assert model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole).startswith("Needs 7.5 KiB, has 512 B.")


def test_a_new_channel_joins_below_and_the_choice_stays(window: MainWindow, source: Any) -> None:
    """A channel that appears later is added; nothing is chosen anew."""
    window.table.choose("AUDIO_IN")
    late = source.state.channels["USER"]
    source.state = msgspec.structs.replace(source.state, channels={**source.state.channels, "LATE": late})
    window.refresh()
    model = window.table.model()
    assert model.index(5, 0).data() == "LATE IDLE"
    assert window.table.chosen == "AUDIO_IN"
    assert window.table.isExpanded(model.index(5, 0))


def test_a_click_chooses_everywhere(qtbot: QtBot, window: MainWindow) -> None:
    """A click on a row, or on its why-line, chooses the channel in table, plots and controls."""
    model = window.table.model()
    for row, name in ((3, "AUDIO_IN"), (4, "AUDIO_OUT")):
        why = model.index(0, 0, model.index(row, 0))
        rect = window.table.visualRect(why)
        qtbot.mouseClick(window.table.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
        assert window.table.chosen == name
        assert name in window.control.pause.pause.text()


def test_the_model_keeps_qts_rules(window: MainWindow, source: Any) -> None:
    """Qt's own tester finds nothing while channels come and change."""
    model = window.table.model()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    late = source.state.channels["USER"]
    source.state = msgspec.structs.replace(source.state, channels={**source.state.channels, "LATE": late})
    window.refresh()
    assert tester.model() is model
    assert not model.index(0, 0, QModelIndex()).parent().isValid()
    del tester


def test_the_line_of_a_hidden_channel_has_room(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is hidden is told before why it is as it is, and the end of a long reason is still not cut off."""
    reason = "10 messages left. Last grant +10 messages, +276 B, 10.4 s ago."
    painted: list[tuple[str, int, int]] = []

    def note(painter: QPainter, rect: QRect, text: str, colour: str | QColor, *, right: bool = False) -> None:
        painted.append((text, painter.fontMetrics().horizontalAdvance(text), rect.width()))
        put_text(painter, rect, text, colour, right=right)

    monkeypatch.setattr(channel_delegate, "why", lambda *_: reason)
    monkeypatch.setattr(channel_delegate, "put_text", note)
    window.ingest.visibility.toggle("AGENT")
    window.table.grab()
    [(_, needed, room)] = [line for line in painted if line[0].endswith(reason) and line[0] != reason]
    assert needed <= room


@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize(
    ("messages", "caps", "told"),
    [
        (9, (100, 96 << 10), ["9", " / 100", "9", " / 96 K"]),
        (100, (100, 512 << 10), ["100", "/100", "512", "/512 K"]),
        (5_000, (5_000, 1 << 30), ["5 000", "", "1 024", ""]),
    ],
)
def test_no_balance_is_cut_for_its_cap(
    window: MainWindow,
    source: Any,
    monkeypatch: pytest.MonkeyPatch,
    messages: int,
    caps: tuple[int, int],
    told: list[str],
    lacking: bool,
) -> None:
    """A full window reads 100/100: the cap gives up its room, and then its place, before a digit of the balance goes."""
    painted: dict[str, bool] = {}

    def note(painter: QPainter, rect: QRect, text: str, colour: str | QColor, *, right: bool = False) -> None:
        painted[text] = painter.fontMetrics().horizontalAdvance(text) <= rect.width()
        put_text(painter, rect, text, colour, right=right)

    waits = {"backlog": 1, "waiting_for": "messages", "missing": 1} if lacking else {}
    kib = messages << 10 if caps[1] < 512 << 10 else caps[1]
    source.change("USER", credits=messages, byte_credits=kib, max_credits=caps[0], max_credit_bytes=caps[1], **waits)
    window.refresh()
    monkeypatch.setattr(channel_delegate, "put_text", note)
    window.table.grab()
    assert all(painted[text] for text in told)


@pytest.mark.parametrize("side", list(Side))
def test_great_numbers_have_room(window: MainWindow, source: Any, monkeypatch: pytest.MonkeyPatch, side: Side) -> None:
    """A backlog of a hundred thousand, a wait of hours, rates of ten thousand a second, gigabytes received: nothing is cut."""
    cut: list[str] = []

    def note(painter: QPainter, rect: QRect, text: str, colour: str | QColor, *, right: bool = False) -> None:
        if painter.fontMetrics().horizontalAdvance(text) > rect.width():
            cut.append(text)
        put_text(painter, rect, text, colour, right=right)

    waits = {"waiting_for": "messages", "missing": 3, "credits": 0, "oldest_wait": 5999.0}
    source.change("USER", backlog=123_464, queued=123_456, waiting=8, max_credits=1_000_000, **waits)
    source.change("AGENT", backlog=9, **{**waits, "oldest_wait": 3599.0})
    source.change("SYSTEM", received_messages=199_500, received_bytes=35 << 30)
    window.refresh()
    window.table.show_side(side)
    monkeypatch.setattr(channel_delegate, "why", lambda *_: "")
    monkeypatch.setattr(channel_delegate, "put_text", note)
    window.table.grab()
    assert cut == []


def test_the_words_beside_the_title_of_a_group_end_in_an_ellipsis(window: MainWindow, source: Any) -> None:
    """Where they have no room they lose their end and not their beginning; the tip has the whole, and what it means."""
    detail = window.control.request.detail
    assert not detail.toolTip().startswith("cap")
    source.change("USER", max_credits=1_000_000_000, max_credit_bytes=1 << 40)
    window.refresh()
    detail.grab()
    assert detail.toolTip().startswith("cap 1 000 000 000 · 1 048 576 MiB. The most credit")
    assert detail.alignment() & Qt.AlignmentFlag.AlignRight
