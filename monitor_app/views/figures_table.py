"""The table of figures: their names stay beside them however far it is scrolled, and no row or column of it is cut."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from monitor_app.model.spacing import whole_parts
from monitor_app.model.units import short_name
from monitor_app.theme import Theme
from monitor_app.views.parts import put_text, sized

_ROW_HEIGHTS: Final = (18, 21)
"""Least and greatest height of a row."""
_HEADING_HEIGHT: Final = 22
_NAME_LENGTH: Final = 9
"""So much of a channel's name can be read at least."""
_NARROWEST: Final = 64
_HEADING_PIXELS: Final = 10
_CELL_PIXELS: Final = 11
"""Sizes of the fonts as the style sheet has them."""
_MARGIN: Final = 3
_MOST_ROUNDS: Final = 4
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_Index = QModelIndex | QPersistentModelIndex


class FiguresModel(QAbstractTableModel):
    """Rows of cells that are texts already."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._channels: list[str] = []
        self._rows: list[tuple[str, list[str]]] = []

    def show(self, channels: list[str], rows: list[tuple[str, list[str]]]) -> bool:
        """Show other figures; the places of scroll bars and widths of columns stay.

        Return whether there are other rows or columns. Only rows that read otherwise are told of: Qt asks for each cell many
        times, and each time waits for the interpreter.
        """
        if channels != self._channels or [name for name, _ in rows] != [name for name, _ in self._rows]:
            self.beginResetModel()
            self._channels, self._rows = channels, rows
            self.endResetModel()
            return True
        before, self._rows = self._rows, rows
        for number, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(number, 0), self.index(number, len(channels) - 1))
        return False

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of figures."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns, one a channel."""
        return 0 if parent.isValid() else len(self._channels)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the channel of a column, the name of a row's figure."""
        across = orientation is Qt.Orientation.Horizontal
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            return self._channels[section] if across else self._rows[section][0]
        return (_RIGHT if across else _LEFT) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return a cell."""
        name, cells = self._rows[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            return cells[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self._channels[index.column()]}, {name}: {cells[index.column()]}"
        return _RIGHT if role == Qt.ItemDataRole.TextAlignmentRole else None


class _Names(QHeaderView):
    """The names of the figures, each on the ground of its row."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._theme = theme
        self.setAccessibleName("Names of the figures")
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:  # noqa: N802 - Qt's name
        """Paint a name."""
        colours = self._theme.colours
        painter.fillRect(rect, QColor(colours.header if logical % 2 else colours.panel))
        painter.setFont(sized(self.font(), _CELL_PIXELS))
        name = str(self.model().headerData(logical, Qt.Orientation.Vertical))
        put_text(painter, rect.adjusted(_MARGIN, 0, -_MARGIN, 0), name, colours.text)

    def widest(self) -> int:
        """Return the width that the longest name needs."""
        metrics = QFontMetrics(sized(self.font(), _CELL_PIXELS))
        names = [str(self.model().headerData(row, Qt.Orientation.Vertical)) for row in range(self.count())]
        return max((metrics.horizontalAdvance(name) for name in names), default=0) + 3 * _MARGIN


class _Channels(QHeaderView):
    """The names of the channels; of one that does not fit both ends, as many differ at the end only."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = theme
        self.setAccessibleName("Channels of the figures")
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setMinimumSectionSize(1)

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:  # noqa: N802 - Qt's name
        """Paint a name, and the lines below and beside it."""
        colours = self._theme.colours
        painter.fillRect(rect, QColor(colours.inner))
        painter.fillRect(rect.adjusted(0, 0, -1, -1), QColor(colours.panel))
        painter.setFont(sized(self.font(), _HEADING_PIXELS))
        room = rect.adjusted(1, 0, -_MARGIN, -1)
        name = str(self.model().headerData(logical, Qt.Orientation.Horizontal))
        shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, room.width())
        put_text(painter, room, shown, colours.muted, right=True)

    def least(self) -> int:
        """Return the width that a section needs for as much of each name as is to be read at least."""
        metrics = QFontMetrics(sized(self.font(), _HEADING_PIXELS))
        names = [str(self.model().headerData(at, Qt.Orientation.Horizontal)) for at in range(self.count())]
        longest = max((metrics.horizontalAdvance(short_name(name, _NAME_LENGTH)) for name in names), default=0)
        return max(_NARROWEST, longest + 2 * _MARGIN)


class FiguresTable(QTableView):
    """Shows as many rows and columns as fit wholly, and gives them the room that is left."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._model = FiguresModel(self)
        self._names, self._channels = _Names(theme, self), _Channels(theme, self)
        self._rounds_left = 0
        self._is_stale = False
        self.setModel(self._model)
        self.setVerticalHeader(self._names)
        self.setHorizontalHeader(self._channels)
        self.setObjectName("figures")
        self.setAccessibleName("Figures of the span")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)

    def show_figures(self, channels: list[str], rows: list[tuple[str, list[str]]]) -> None:
        """Show other figures."""
        if self._model.show(channels, rows):
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Take in how much room there is."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Share out the room until that changes it no more: a scroll bar may come or go meanwhile."""
        if self._rounds_left:
            self._is_stale = True
            return
        self._rounds_left = _MOST_ROUNDS
        while self._rounds_left:
            self._is_stale = False
            self._share_out()
            self.updateGeometries()  # else the next round adds headers of now to a viewport of before; the corner takes part
            self._rounds_left = self._rounds_left - 1 if self._is_stale else 0

    def _share_out(self) -> None:
        """Share out the room; what cannot be shared evenly goes to the headers."""
        headings, names = self._channels, self._names
        across = self.viewport().width() + names.width() - names.widest()
        width, beside = whole_parts(across, headings.count(), headings.least())
        headings.setDefaultSectionSize(width)
        names.setFixedWidth(names.widest() + beside)
        down = self.viewport().height() + headings.height() - _HEADING_HEIGHT
        height, above = whole_parts(down, names.count(), *_ROW_HEIGHTS)
        names.setDefaultSectionSize(height)
        headings.setFixedHeight(_HEADING_HEIGHT + above)
