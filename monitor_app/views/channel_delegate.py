"""How a channel's block is painted."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.forecast import Outlook
from monitor_app.model.status import LOW_SHARE, STALE, Status
from monitor_app.model.units import format_count, format_part
from monitor_app.model.visibility import Visibility
from monitor_app.theme import Theme
from monitor_app.views.channel_cells import Column, Side, balance, cap_beside, status_on, two_lines, why
from monitor_app.views.channel_shapes import draw_shape
from monitor_app.views.parts import put_name, put_text, sized
from monitor_app.views.signs import STATUS_SIGNS, draw, status_colour

VIEW_ROLE: Final = Qt.ItemDataRole.UserRole + 1
ROW_HEIGHT: Final = 40
WHY_HEIGHT: Final = 20
_INDENT: Final = 26
_MARGIN: Final = 4
_LINE: Final = 16
_Index = QModelIndex | QPersistentModelIndex


class ChannelDelegate(QStyledItemDelegate):
    """Paints the two lines of a channel's cells and the why-line below them.

    Attributes:
        side: Which way credit goes.
    """

    def __init__(self, theme: Theme, visibility: Visibility, parent: QObject) -> None:
        super().__init__(parent)
        self.side = Side.SEND
        self._theme = theme
        self._visibility = visibility

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 - Qt's name
        """Return the fixed height of a block's first or second row."""
        return QSize(option.rect.width(), ROW_HEIGHT if index.internalId() == 0 else WHY_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Paint one cell."""
        view: ChannelView = index.data(VIEW_ROLE)
        painter.save()
        self._paint_ground(painter, option, view, first=index.internalId() == 0 and index.column() == 0)
        if index.internalId() != 0:
            self._paint_why(painter, option, view)
        else:
            self._paint_cell(painter, option, view, Column(index.column()), index.row())
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem, view: ChannelView, *, first: bool) -> None:
        chosen = option.widget.property("chosen") == view.name
        rect = option.rect
        colours = self._theme.colours
        if chosen:
            painter.fillRect(rect, QColor(colours.selected))
        if rect.height() == WHY_HEIGHT:
            painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, QColor(colours.inner))
        if chosen and (first or rect.height() == WHY_HEIGHT):
            painter.fillRect(rect.left(), rect.top(), 3, rect.height(), QColor(colours.accent))

    def _paint_why(self, painter: QPainter, option: QStyleOptionViewItem, view: ChannelView) -> None:
        starved = view.status is Status.STARVED and self.side is Side.SEND
        colour = self._theme.colours.starved if starved else self._theme.colours.muted
        painter.setFont(sized(option.font, 11))
        hidden = "Hidden. " if self._visibility.is_hidden(view.name) else ""
        put_text(painter, option.rect.adjusted(_INDENT, -3, -_MARGIN, -3), f"{hidden}{why(view, self.side)}", colour)

    def _paint_cell(self, painter: QPainter, option: QStyleOptionViewItem, view: ChannelView, column: Column, row: int) -> None:
        upper = QRect(option.rect.left() + _MARGIN, option.rect.top() + 5, option.rect.width() - 2 * _MARGIN, _LINE)
        lower = upper.translated(0, _LINE + 1)
        if column is Column.CHANNEL:
            self._paint_name(painter, option, view, row)
            return
        painter.setFont(sized(option.font, 11))
        if column in {Column.MESSAGES, Column.BYTES}:
            now, cap, peak = balance(view, column, self.side)
            texts = (format_count(now), format_count(cap)) if column is Column.MESSAGES else format_part(now, cap)
            credit = "messages" if column is Column.MESSAGES else "bytes"
            self._paint_balance(painter, upper, *texts, view, credit)
            self._paint_bar(painter, lower, view, now, cap, peak, row)
        else:
            self._paint_numbers(painter, upper, lower, view, column)

    def _paint_name(self, painter: QPainter, option: QStyleOptionViewItem, view: ChannelView, row: int) -> None:
        colours = self._theme.colours
        left, top = option.rect.left(), option.rect.top()
        hidden = self._visibility.is_hidden(view.name)
        swatch = QColor(colours.disabled) if hidden else self._theme.channel_colour(view.name, row)
        draw_shape(painter, view.name, row, QPointF(left + 13, top + 13), swatch)
        width = option.rect.width() - _INDENT - 2
        painter.setFont(sized(option.font, 12, bold=True))
        ink = colours.disabled if hidden else colours.text
        put_name(painter, QRect(left + _INDENT, top + 5, width, _LINE), view.name, ink)
        status = status_on(view, self.side)
        if status is None:
            return
        colour = status_colour(status, colours)
        draw(painter, STATUS_SIGNS[status], left + 7, top + 24, colour, QColor(colours.panel))
        painter.setFont(sized(option.font, 11, bold=True))
        put_text(painter, QRect(left + _INDENT, top + 22, width, _LINE), status.value, colour)

    def _paint_balance(self, painter: QPainter, rect: QRect, balance: str, cap: str, view: ChannelView, credit: str) -> None:
        colours = self._theme.colours
        lacking = self.side is Side.SEND and view.status is Status.STARVED and view.state.waiting_for == credit
        plain, font = painter.fontMetrics(), sized(painter.font(), 11, bold=lacking)
        cap_text = cap_beside(cap, rect.width() - QFontMetrics(font).horizontalAdvance(balance), plain.horizontalAdvance)
        cap_width = plain.horizontalAdvance(cap_text)
        put_text(painter, rect, cap_text, colours.muted, right=True)
        painter.setFont(font)
        put_text(painter, rect.adjusted(0, 0, -cap_width, 0), balance, self._value_colour(view, lacking=lacking), right=True)
        painter.setFont(sized(painter.font(), 11))

    def _value_colour(self, view: ChannelView, *, lacking: bool) -> str:
        colours = self._theme.colours
        if lacking:
            return colours.starved
        return colours.disabled if view.status in STALE else colours.text

    def _paint_bar(self, painter: QPainter, line: QRect, view: ChannelView, balance: int, cap: int, peak: int, row: int) -> None:
        colours = self._theme.colours
        bar = QRect(line.left() + 8, line.top() + 4, line.width() - 8, 7)
        painter.fillRect(bar, QColor(colours.disabled))  # a frame that is seen on the chosen row as well
        painter.fillRect(bar.adjusted(1, 1, -1, -1), QColor(colours.field))
        inner = bar.adjusted(1, 1, -1, -1)
        share = min(1.0, max(0.0, balance / cap)) if cap else 0.0
        colour = self._theme.channel_colour(view.name, row)
        if view.status in STALE:
            colour = QColor(colours.disabled)
        filled = round(inner.width() * share)
        painter.fillRect(inner.left(), inner.top(), filled, inner.height(), colour)
        if self.side is Side.RECEIVE:
            return
        low_at = inner.left() + round(inner.width() * min(1.0, min(cap, peak) * LOW_SHARE / cap)) if cap else inner.left()
        if low_at < inner.left() + filled:  # a gap at either side, for the fill may be as light as the line
            painter.fillRect(QRect(low_at - 1, inner.top(), 3, inner.height()) & inner, QColor(colours.field))
        painter.fillRect(low_at, bar.top() - 1, 1, bar.height() + 2, QColor(colours.text))

    def _paint_numbers(self, painter: QPainter, upper: QRect, lower: QRect, view: ChannelView, column: Column) -> None:
        first, second = two_lines(view, column, self.side)
        colour = self._number_colour(view, column)
        if colour != self._theme.colours.text:
            painter.setFont(sized(painter.font(), 11, bold=True))
        put_text(painter, upper, first, colour, right=True)
        painter.setFont(sized(painter.font(), 11))
        put_text(painter, lower, second, self._theme.colours.muted, right=True)

    def _number_colour(self, view: ChannelView, column: Column) -> str:
        """Return vermilion for what waits now, yellow for what will soon; each is said in words as well."""
        colours = self._theme.colours
        if self.side is Side.SEND and column in {Column.BACKLOG, Column.OUTLOOK} and view.status is Status.STARVED:
            return colours.starved
        soon = view.forecast is not None and view.forecast.outlook is Outlook.STARVES
        if self.side is Side.SEND and column is Column.OUTLOOK and soon:
            return colours.low
        return self._value_colour(view, lacking=False)
