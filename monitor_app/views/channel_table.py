"""The channel table: a block for each channel, and under it the line that says why."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.explanations import explain
from monitor_app.model.ingest import Ingest
from monitor_app.model.units import format_count, format_duration, format_kib, format_rate
from monitor_app.theme import Theme
from monitor_app.views.channel_delegate import VIEW_ROLE, ChannelDelegate, Column

_HEADINGS: Final = ("Channel", "Messages", "Bytes, KiB", "Backlog", "Rate")
_WIDTHS: Final = (140, 66, 84, 60, 64)
_KEYS_OF_THE_WINDOW: Final = frozenset({Qt.Key.Key_Space, Qt.Key.Key_L, Qt.Key.Key_P})
_Index = QModelIndex | QPersistentModelIndex


class ChannelModel(QAbstractItemModel):
    """Channels as rows of the first level; each has one child, its why-line.

    Attributes:
        views: What is shown, in the order of the rows.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.views: list[ChannelView] = []

    def show(self, views: list[ChannelView]) -> None:
        """Show `views`. Rows are only ever added, so that selection and scrolling stay."""
        if [view.name for view in views[: len(self.views)]] != [view.name for view in self.views]:
            self.beginResetModel()
            self.views = views
            self.endResetModel()
            return
        if len(views) > len(self.views):
            self.beginInsertRows(QModelIndex(), len(self.views), len(views) - 1)
            self.views = views
            self.endInsertRows()
        self.views = views
        for row in range(len(views)):
            top = self.index(row, 0)
            self.dataChanged.emit(top, self.index(row, len(_HEADINGS) - 1))
            child = self.index(0, 0, top)
            self.dataChanged.emit(child, child)

    def index(self, row: int, column: int, parent: _Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's signature
        """Return the index of a cell. A why-line carries its channel's row + 1 as internal id, a channel 0."""
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, child: _Index = QModelIndex()) -> Any:  # noqa: B008 - Qt overloads `parent`
        """Return the channel that a why-line belongs to."""
        if not child.isValid() or child.internalId() == 0:
            return QModelIndex()
        return self.createIndex(child.internalId() - 1, 0, 0)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of rows below `parent`."""
        if not parent.isValid():
            return len(self.views)
        return 1 if parent.internalId() == 0 and parent.column() == 0 else 0

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008, ARG002 - Qt's name and signature
        """Return the number of columns."""
        return len(_HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADINGS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if section == 0 else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return the channel's view for the delegate, and text for everybody else (screen readers among them)."""
        if not index.isValid():
            return None
        child = index.internalId() != 0
        view = self.views[index.internalId() - 1 if child else index.row()]
        if role == VIEW_ROLE:
            return view
        if role == Qt.ItemDataRole.ToolTipRole:
            return explain(view)
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return explain(view) if child else _cell_text(view, Column(index.column()))
        return None


def _cell_text(view: ChannelView, column: Column) -> str:
    state = view.state
    match column:
        case Column.CHANNEL:
            return f"{view.name} {view.status.value}"
        case Column.MESSAGES:
            return f"{format_count(state.credits)} / {format_count(state.max_credits)}"
        case Column.BYTES:
            return f"{format_kib(state.byte_credits)} / {format_kib(state.max_credit_bytes)}"
        case Column.BACKLOG:
            return f"{state.backlog}, {format_duration(state.oldest_wait)}"
        case Column.RATE:
            return f"{format_rate(view.rate_messages)}/s {format_kib(view.rate_bytes)} KiB/s"


class ChannelTable(QTreeView):
    """The channels of one connection.

    Attributes:
        chosen: The name of the channel that is chosen; empty before there are any.

    Signals:
        channel_chosen: The operator chose a channel; its name.
        channel_filtered: The operator double-clicked a channel; its name.
    """

    channel_chosen = Signal(str)
    channel_filtered = Signal(str)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self.chosen = ""
        self._ingest = ingest
        self._model = ChannelModel(self)
        self.setModel(self._model)
        self.setItemDelegate(ChannelDelegate(theme, self))
        self.setAccessibleName("Channels")
        self._set_up_looks()
        self.selectionModel().currentChanged.connect(self._on_current_changed)
        self.doubleClicked.connect(self._on_double_clicked)
        self._model.rowsInserted.connect(self._on_rows_changed)
        self._model.modelReset.connect(self._on_rows_changed)

    def _set_up_looks(self) -> None:
        self.setMinimumWidth(400)
        self.setRootIsDecorated(False)
        self.setIndentation(0)
        self.setItemsExpandable(False)
        self.setExpandsOnDoubleClick(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        header = self.header()
        header.setSectionsMovable(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setFixedHeight(24)
        for column, width in enumerate(_WIDTHS):
            header.resizeSection(column, width)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def refresh(self) -> None:
        """Show the channels as they are now. Called at the rate of text."""
        self._model.show(self._ingest.channels())
        if not self.chosen and self._model.views:
            self.choose(self._model.views[0].name)

    def choose(self, channel: str) -> None:
        """Make `channel` the chosen one, as a click does."""
        for row, view in enumerate(self._model.views):
            if view.name == channel:
                flag = QItemSelectionModel.SelectionFlag.NoUpdate
                self.selectionModel().setCurrentIndex(self._model.index(row, 0), flag)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Move by whole channels, and leave the window's own keys to the window."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if event.key() in _KEYS_OF_THE_WINDOW and not event.modifiers():
            event.ignore()
        elif step is None:
            super().keyPressEvent(event)
        else:
            self.step(step)

    def step(self, by: int) -> None:
        """Choose the channel `by` rows further down, if there is one."""
        names = [view.name for view in self._model.views]
        if self.chosen in names and 0 <= names.index(self.chosen) + by < len(names):
            self.choose(names[names.index(self.chosen) + by])

    @Slot(QModelIndex, QModelIndex)
    def _on_current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        view = current.data(VIEW_ROLE)
        if view is not None and view.name != self.chosen:
            self.chosen = view.name
            self.setProperty("chosen", view.name)  # for the delegate, which is handed the widget
            self.viewport().update()
            self.channel_chosen.emit(view.name)

    @Slot(QModelIndex)
    def _on_double_clicked(self, index: QModelIndex) -> None:
        self.channel_filtered.emit(index.data(VIEW_ROLE).name)

    @Slot()
    def _on_rows_changed(self) -> None:
        self.expandAll()
        for row in range(self._model.rowCount()):
            self.setFirstColumnSpanned(0, self._model.index(row, 0), True)  # noqa: FBT003 - Qt takes it by place
