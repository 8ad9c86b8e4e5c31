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
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.ingest import Ingest
from monitor_app.theme import Theme
from monitor_app.views.channel_cells import HEADINGS, Column, Side, cell_text, why
from monitor_app.views.channel_delegate import VIEW_ROLE, ChannelDelegate
from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.side_switch import SideSwitch

_WIDTHS: Final = (128, 60, 66, 54, 60, 68)
_SWATCH_PX: Final = 22
_EMPTY: Final = "No channels yet. They are listed here as soon as there is a connection."
_KEYS_OF_THE_WINDOW: Final = frozenset({Qt.Key.Key_Space, Qt.Key.Key_L, Qt.Key.Key_P})
_Index = QModelIndex | QPersistentModelIndex


class ChannelModel(QAbstractItemModel):
    """Channels as rows of the first level; each has one child, its why-line.

    Attributes:
        views: What is shown, in the order of the rows.
        side: Which way credit goes.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.views: list[ChannelView] = []
        self.side = Side.SEND

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
            self.dataChanged.emit(top, self.index(row, len(HEADINGS[self.side]) - 1))
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
        return len(HEADINGS[self.side])

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[self.side][section]
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
            return why(view, self.side)
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return why(view, self.side) if child else cell_text(view, Column(index.column()), self.side)
        return None


class ChannelTable(QTreeView):
    """The channels of one connection.

    Attributes:
        chosen: The name of the channel that is chosen; empty before there are any.
        hint: What stands there before there are any.
        switch: Chooses the side that is shown.

    Signals:
        channel_chosen: The operator chose a channel; its name.
        channel_filtered: The operator double-clicked a channel; its name.
        visibility_changed: Other channels are to be drawn than before.
        side_changed: The other side is shown.
    """

    channel_chosen = Signal(str)
    channel_filtered = Signal(str)
    visibility_changed = Signal()
    side_changed = Signal()

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self.chosen = ""
        self._ingest = ingest
        self._model = ChannelModel(self)
        self.setModel(self._model)
        self._delegate = ChannelDelegate(theme, ingest.visibility, self)
        self.setItemDelegate(self._delegate)
        self.setObjectName("channels")
        self.setAccessibleName("Channels")
        self.setAccessibleDescription(
            "H hides the chosen channel from the plots, S shows it alone, Left and Right change the side."
        )
        self.hint = EmptyHint(self)
        self.switch = SideSwitch()
        self.switch.chosen.connect(self.show_side)
        self._set_up_looks()
        self.selectionModel().currentChanged.connect(self._on_current_changed)
        self.doubleClicked.connect(self._on_double_clicked)
        self._model.rowsInserted.connect(self._on_rows_changed)
        self._model.modelReset.connect(self._on_rows_changed)

    def _set_up_looks(self) -> None:
        self.setMinimumWidth(440)
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
        self.hint.tell("" if self._model.views else _EMPTY)
        if not self.chosen and self._model.views:
            self.choose(self._model.views[0].name)

    def choose(self, channel: str) -> None:
        """Make `channel` the chosen one, as a click does."""
        for row, view in enumerate(self._model.views):
            if view.name == channel:
                flag = QItemSelectionModel.SelectionFlag.NoUpdate
                block = self._model.index(row, 0)
                self.scrollTo(self._model.index(0, 0, block))  # its why-line as well
                self.selectionModel().setCurrentIndex(block, flag)

    @property
    def side(self) -> Side:
        """The side that is shown."""
        return self._model.side

    @Slot(object)
    def show_side(self, side: Side) -> None:
        """Show what the peer grants us, or what we grant the peer."""
        self._model.side = self._delegate.side = side
        self.switch.show_side(side)
        self._model.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(HEADINGS[side]) - 1)
        self.refresh()
        self.side_changed.emit()

    def show_other_side(self) -> None:
        """Turn from what the peer grants us to what we grant the peer, or back."""
        self.show_side(Side.RECEIVE if self._model.side is Side.SEND else Side.SEND)

    def hide_or_show(self, channel: str) -> None:
        """Take a channel out of the plots, or bring it back."""
        self._ingest.visibility.toggle(channel)
        self._tell_visibility()

    def show_alone(self, channel: str) -> None:
        """Show one channel alone in the plots, or all again."""
        self._ingest.visibility.toggle_solo(channel)
        self._tell_visibility()

    def _tell_visibility(self) -> None:
        self.viewport().update()
        self.visibility_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Move by whole channels, turn to the other side, and leave the window's own keys to the window."""
        act = {
            Qt.Key.Key_Up: lambda: self.step(-1),
            Qt.Key.Key_Down: lambda: self.step(1),
            Qt.Key.Key_Left: lambda: self.show_side(Side.SEND),
            Qt.Key.Key_Right: lambda: self.show_side(Side.RECEIVE),
        }.get(Qt.Key(event.key()))
        if event.key() in _KEYS_OF_THE_WINDOW and not event.modifiers():
            event.ignore()
        elif act is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
        else:
            act()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Hide a channel by its swatch, or show it alone with Alt; anywhere else a click chooses."""
        index = self.indexAt(event.position().toPoint())
        view = index.data(VIEW_ROLE) if index.isValid() and index.internalId() == 0 and index.column() == 0 else None
        if view is None or event.position().x() > _SWATCH_PX or event.button() is not Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
        elif event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.show_alone(view.name)
        else:
            self.hide_or_show(view.name)

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
