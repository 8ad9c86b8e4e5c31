"""Tables as they are seen: headings over their cells, whole frames, no row or column cut; and fields that fit their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QAbstractButton, QApplication, QHeaderView, QLineEdit, QTableView, QToolButton, QTreeView
from pytestqt.qtbot import QtBot
from support.ink import ink
from support.states import make_grant

from haip_sync.observe import ProgramInfo
from monitor_app.main_window import MainWindow
from monitor_app.model.program_rows import ProgramRow
from monitor_app.theme import Mode
from monitor_app.views.attach_dialog import AttachDialog
from monitor_app.views.channel_cells import Column
from monitor_app.views.figures_table import FiguresTable
from monitor_app.views.parts import sized
from monitor_app.views.shortcut_sheet import ShortcutSheet

NAME_AT = 26
"""Where in its cell the name of a channel begins."""
GAP = 14
"""How many pixels are free between two cells at least."""


def header_of(table: QTableView | QTreeView) -> QHeaderView:
    """Return the headings of a table."""
    return table.header() if isinstance(table, QTreeView) else table.horizontalHeader()


def words(table: QTableView | QTreeView, column: int, row: int) -> tuple[QRect, QRect]:
    """Return the place of a heading and that of the words of a cell, as they are seen, from the edge of the column."""
    QApplication.processEvents()
    header, image = header_of(table), table.grab().toImage()
    edge, width = header.sectionViewportPosition(column), header.sectionSize(column)
    corner = header.mapTo(table, QPoint(edge, 0))
    head = ink(image, QRect(corner, header.size()) & QRect(corner.x(), corner.y(), width - 1, header.height() - 1))
    place = table.viewport().mapTo(table, table.visualRect(table.model().index(row, column)).topLeft())
    height = table.visualRect(table.model().index(row, column)).height()
    cell = ink(image, QRect(place.x(), place.y() + 1, width, min(height, 22) - 2))
    return head.translated(-corner.x(), 0), cell.translated(-place.x(), 0)


def test_headings_of_numbers_end_where_the_numbers_do(window: MainWindow) -> None:
    """In the table of channels and in that of the figures, but for the blank around a last letter."""
    for column in range(Column.MESSAGES, Column.OUTLOOK + 1):
        head, cell = words(window.table, column, 0)
        assert abs(head.right() - cell.right()) <= 2, column
        assert head.left() > 1
    head, cell = words(window.figures.table, 0, 0)
    assert abs(head.right() - cell.right()) <= 1


def test_headings_of_words_begin_where_the_words_do(window: MainWindow, source: Any, clock: Any) -> None:
    """Channel stands over the names, and what the log has over each column over what is in it."""
    head, _ = words(window.table, Column.CHANNEL, 0)
    assert abs(head.left() - NAME_AT) <= 2
    source.events.append(make_grant(clock.time_s, 40, 4096))
    window.refresh()
    for column in (0, 1, 3):
        head, cell = words(window.log, column, window.log.model().rowCount() - 1)
        assert abs(head.left() - cell.left()) <= 1, column


def row_of(since: str, client: str) -> ProgramRow:
    """Return a row of the list of scripts."""
    others = {"program": "python -c", "pid": "14212", "state": "blocked", "worst": "", "why": "", "steering": "look only"}
    return ProgramRow(since=since, client=client, info=ProgramInfo(path=Path("/x"), pid=1), **others)


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_the_tables_of_dialogs_are_whole(qtbot: QtBot, window: MainWindow, mode: Mode) -> None:
    """Their frames have an upper edge too, as they stand below no title."""
    window.actions_.modes[mode].trigger()
    colours = window._theme.colours
    for dialog in (AttachDialog(window), ShortcutSheet([], window)):
        dialog.show()
        QApplication.processEvents()
        image = dialog.table.grab().toImage()
        edge = {image.pixelColor(x, 0).name().upper() for x in range(image.width())}
        assert edge in ({colours.border}, {colours.accent})
        dialog.close()


def test_the_cells_of_the_list_of_scripts_stand_apart(qtbot: QtBot, window: MainWindow) -> None:
    """Between two columns there is the width of two letters, and headings begin where the words of their cells do."""
    dialog = AttachDialog(window)
    dialog.show_rows([row_of("Nov 26 22:52:27", "sender")])
    dialog.show()
    for column in range(dialog.table.columnCount() - 1):
        head, cell = words(dialog.table, column, 0)
        if not cell.isEmpty():
            assert abs(head.left() - cell.left()) <= 1, column
            assert cell.left() >= GAP / 2
            assert dialog.table.columnWidth(column) - cell.right() >= GAP / 2
    dialog.close()


def with_many(source: Any, clock: Any, window: MainWindow, names: list[str]) -> FiguresTable:
    """Let these channels have sent something, and return the table of their figures."""
    used = msgspec.structs.replace(next(iter(source.state.channels.values())), sent_messages=9)
    source.state = msgspec.structs.replace(source.state, channels={**source.state.channels, **dict.fromkeys(names, used)})
    clock.time_s += 1.0
    window.refresh()
    QApplication.processEvents()
    return window.figures.table


def whole(table: FiguresTable, row: int, column: int) -> bool:
    """Return whether a cell is seen whole."""
    return table.viewport().rect().contains(table.visualRect(table.model().index(row, column)))


def test_no_row_or_column_of_the_figures_is_cut(window: MainWindow, source: Any, clock: Any) -> None:
    """In a small dock with many channels too: what is seen is seen whole, at the beginning, in the midst and at the very end."""
    table = with_many(source, clock, window, [f"WORKER_{number}" for number in range(20)])
    model, across, down = table.model(), table.horizontalScrollBar(), table.verticalScrollBar()
    assert across.isVisible()
    assert down.isVisible()
    for share in (0.0, 0.5, 1.0):
        across.setValue(round(share * across.maximum()))
        down.setValue(round(share * down.maximum()))
        columns = range(table.columnAt(1), table.columnAt(table.viewport().width() - 2) + 1)
        rows = range(table.rowAt(1), table.rowAt(table.viewport().height() - 2) + 1)
        assert len(columns) >= 4
        assert len(rows) >= 3
        assert all(whole(table, row, column) for row in rows for column in columns)
        assert table.verticalHeader().isVisible()
        assert not table.verticalScrollBar().geometry().intersects(table.viewport().geometry())
    assert whole(table, model.rowCount() - 1, model.columnCount() - 1)
    assert table.viewport().height() % table.rowHeight(0) == table.viewport().width() % table.columnWidth(0) == 0


def test_the_headers_of_the_figures_meet(window: MainWindow, source: Any, clock: Any) -> None:
    """Whatever room is left over: the corner is as high as the headings beside it, and no strip of a next row is seen."""
    for height in (800, 803, 807, 811):
        window.resize(1280, height)
        table = with_many(source, clock, window, ["USER"])
        (corner,) = (made for made in table.findChildren(QAbstractButton) if made.parent() is table)
        assert corner.geometry().bottom() == table.horizontalHeader().geometry().bottom()
        assert corner.geometry().right() == table.verticalHeader().geometry().right()
        assert table.viewport().height() % table.rowHeight(0) == 0


def test_no_name_in_the_figures_is_cut_where_there_is_room(window: MainWindow, source: Any, clock: Any) -> None:
    """The names of the five channels are read whole without a scroll bar, and a long one where it is alone."""
    window.resize(1280, 800)
    table = with_many(source, clock, window, list(source.state.channels))
    assert not table.horizontalScrollBar().isVisible()
    assert all(fits(table, column) for column in range(5))
    name = "A_WORKER_WITH_A_LONG_NAME_1"
    source.state = msgspec.structs.replace(source.state, channels={name: source.state.channels["USER"]})
    window.ingest.reset()
    with_many(source, clock, window, [name])
    window.ingest.visibility.solo = name
    window.refresh()
    assert table.model().columnCount() == 1
    assert fits(table, 0)


def fits(table: FiguresTable, column: int) -> bool:
    """Return whether the heading of a column is seen whole: an ellipsis would be shorter than the name."""
    name = str(table.model().headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))
    head, _ = words(table, column, 0)
    return head.width() >= QFontMetrics(sized(table.font(), 10)).tightBoundingRect(name).width() - 2


def test_the_clear_icon_stands_in_the_middle_of_its_field(qtbot: QtBot, window: MainWindow) -> None:
    """As much of the field is above it as below it."""
    sheet = ShortcutSheet([], window)
    sheet.show()
    for field in (window.log.text_filter, sheet.search):
        field.setText("x")
        QApplication.processEvents()
        (clear,) = (made for made in field.findChildren(QToolButton) if made.isVisible())
        above = clear.geometry().top()
        below = field.height() - 1 - clear.geometry().bottom()
        assert abs(above - below) <= 1
    sheet.close()


def test_fields_have_the_room_for_what_they_ask_for(window: MainWindow) -> None:
    """In a window of the least size the words in the empty field of the filter are read whole."""
    window.resize(1280, 800)
    QApplication.processEvents()
    for field in (window.log.text_filter, *window.control.findChildren(QLineEdit)):
        if field.placeholderText() and field.isVisible():
            assert field.fontMetrics().horizontalAdvance(field.placeholderText()) <= field.width() - 16, field.placeholderText()
