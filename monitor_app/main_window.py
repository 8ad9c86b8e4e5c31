"""The window: holds the parts together and holds no logic of theirs."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QLineEdit,
    QMainWindow,
    QMessageBox,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from monitor_app.actions import SPAN_NAMES, Actions
from monitor_app.model.channel_view import useful_request
from monitor_app.model.ingest import Ingest
from monitor_app.pulse import Pulse
from monitor_app.theme import Theme, style_sheet
from monitor_app.views.answer_strip import AnswerStrip
from monitor_app.views.channel_table import ChannelTable
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.control_panel import ControlPanel
from monitor_app.views.event_log import EventLogView
from monitor_app.views.figures_view import FiguresView
from monitor_app.views.flow_view import FlowView
from monitor_app.views.parts import Dock
from monitor_app.views.status_line import StatusLine
from monitor_app.views.trouble import TroubleBanner, TroublePage
from monitor_app.views.view_bar import ViewBar

_SIZE: Final = QSize(1440, 900)
_WIDE: Final = 1400
_ABOUT: Final = "HAIP Monitor shows every channel's credit, backlog and pause state, and steers them.\n\nPart of haip-sync."


class MainWindow(QMainWindow):
    """One source in one window.

    Attributes:
        ingest: What is known about the source.
        answer: The sentence on top.
        table, flow, figures, control, log: The parts.
        banner, page: What stands there without a connection.
        actions_: The menus.

    Signals:
        closed: The window is closed and its source ended.
    """

    closed = Signal()

    def __init__(self, ingest: Ingest, theme: Theme, title: str) -> None:
        super().__init__()
        self.ingest = ingest
        self._theme = theme
        self._source = ingest.source
        self._had_connection = False
        theme.setParent(self)
        self.setWindowTitle(title)
        self.table = ChannelTable(ingest, theme)
        self.flow = FlowView(ingest, theme)
        self.figures = FiguresView(ingest, self.flow.picture, theme)
        self.answer = AnswerStrip(ingest, theme)
        self.control = ControlPanel(ingest, theme)
        self.log = EventLogView(ingest, theme)
        self.banner = TroubleBanner(ingest, theme)
        self.page = TroublePage(ingest, theme)
        self._status = StatusLine(ingest, theme)
        self._bar = ViewBar(SPAN_NAMES, theme)
        self.actions_ = Actions(self.menuBar(), theme)
        self._pulse = Pulse(self)
        self._enable_actions(connected=False)
        self._lay_out()
        self._dress()
        self._connect_parts()
        self._connect_actions()
        self.show_span(self.flow.span_s)
        self.resize(_SIZE)
        self._on_text()

    def _lay_out(self) -> None:
        self._centre = QStackedWidget()
        self._centre.addWidget(self.flow)
        self._centre.addWidget(self.page)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.banner)
        column.addWidget(self._centre, 1)
        self.setCentralWidget(centre)
        self.addToolBar(self._bar)
        self.addToolBarBreak()
        self.addToolBar(self.answer)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setStatusBar(self._status)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self._docks = self._make_docks()

    def _make_docks(self) -> dict[str, Dock]:
        docks = {
            "channels": Dock("Channels", self.table, self),
            "control": Dock("Control", self.control, self),
            "log": Dock("Event log", self.log, self),
            "figures": Dock("Figures", self.figures, self),
        }
        docks["channels"].put(self.table.switch)
        docks["figures"].bar.row.insertWidget(1, self.figures.which)
        docks["control"].put(self.control.chooser)
        for widget in (self.log.count, self.log.channel_filter, self.log.text_filter, self.log.follow):
            docks["log"].put(widget)
        area = Qt.DockWidgetArea
        self.addDockWidget(area.LeftDockWidgetArea, docks["channels"])
        self.addDockWidget(area.LeftDockWidgetArea, docks["figures"])
        self.addDockWidget(area.RightDockWidgetArea, docks["control"])
        self.addDockWidget(area.BottomDockWidgetArea, docks["log"])
        # Tab goes from channels to control to log, however the docks lie.
        for before, after in pairwise((self.table, self.control.chooser, self.control.request.messages)):
            self.setTabOrder(before, after)
        for dock in docks.values():
            self.actions_.view_menu.addAction(dock.toggleViewAction())
        return docks

    def _connect_parts(self) -> None:
        self._pulse.frame.connect(self._on_frame)
        self._pulse.text.connect(self._on_text)
        self._theme.changed.connect(self._dress)
        self.table.channel_chosen.connect(self._on_channel_chosen)
        self.table.channel_filtered.connect(self.log.show_only)
        self.control.channel_chosen.connect(self.table.choose)
        self.table.visibility_changed.connect(self.flow.refresh)
        self.answer.chosen.connect(self.table.choose)
        self.answer.requested.connect(self._source.request)
        self.answer.resumed.connect(self._source.resume)
        self.answer.reconnect_wanted.connect(self._on_retry)
        self.flow.frozen_changed.connect(self._bar.show_frozen)
        self.flow.span_changed.connect(self._bar.show_span)
        self._bar.live_wanted.connect(self.flow.follow)
        self._bar.freeze_wanted.connect(self.flow.freeze)
        self._bar.span_chosen.connect(self.show_span)
        for part in (self.banner, self.page):
            part.retry_wanted.connect(self._on_retry)
            part.connect_wanted.connect(self._on_connect)

    def _connect_actions(self) -> None:
        actions = self.actions_
        for action, slot in (
            (actions.connect_to, self._on_connect),
            (actions.retry, self._on_retry),
            (actions.quit, self.close),
            (actions.live, self.flow.follow),
            (actions.freeze, self._on_freeze_toggled),
            (actions.pause, self._on_pause),
            (actions.resume, self._on_resume),
            (actions.request, self._on_request),
            (actions.find, self.log.text_filter.setFocus),
            (actions.about, self._on_about),
        ):
            actions.bind(action, slot)
        for action in actions.spans.values():
            action.triggered.connect(self._on_span_action)

    def start(self) -> None:
        """Show the window and let it live."""
        self.show()
        self.share_out_space()
        self._pulse.start()

    def share_out_space(self) -> None:
        """Give each dock the room that it was drawn for."""
        wide = self.width() >= _WIDE
        docks = self._docks
        self.resizeDocks([docks["channels"], docks["control"]], [440, 296] if wide else [432, 280], Qt.Orientation.Horizontal)
        self.resizeDocks([docks["log"]], [184 if wide else 152], Qt.Orientation.Vertical)
        self.resizeDocks([docks["channels"], docks["figures"]], [352, 240] if wide else [352, 140], Qt.Orientation.Vertical)

    def refresh(self) -> None:
        """Take in and show everything now, text and curves."""
        self._on_frame()
        self._on_text()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop to beat, leave the screen at once, and only then wait for the source to end."""
        self._pulse.stop()
        self.hide()
        self._source.close()
        event.accept()
        self.closed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Take single keys that nothing with the focus wanted."""
        slot = {
            Qt.Key.Key_Space: self._on_freeze_toggled,
            Qt.Key.Key_L: self.flow.follow,
            Qt.Key.Key_P: self._on_pause,
            Qt.Key.Key_Up: self._on_up,
            Qt.Key.Key_Down: self._on_down,
        }.get(Qt.Key(event.key()))
        if slot is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
        else:
            slot()

    @Slot()
    def _dress(self) -> None:
        self.setPalette(self._theme.palette())
        self.setStyleSheet(style_sheet(self._theme.colours))
        # Below a style sheet palettes are not inherited, and these are better drawn by the style than by a sheet. The
        # line edits are those within the spin boxes.
        for kind in (QComboBox, QSpinBox, QLineEdit):
            for field in self.findChildren(kind):
                field.setPalette(self._theme.palette())
        self._on_text()

    @Slot()
    def _on_frame(self) -> None:
        self.ingest.tick()
        self._pulse.note_lag(self.ingest.lag_s)
        if self.flow.isVisible() and self._pulse.has_room():
            self.flow.draw()

    @Slot()
    def _on_text(self) -> None:
        connection = self.ingest.connection
        connected = connection is not None and connection.connected
        self._had_connection = self._had_connection or connected
        self._centre.setCurrentWidget(self.flow if self._had_connection else self.page)
        self.banner.setVisible(self._had_connection and not connected)
        for part in (self.answer, self.banner, self.page, self.table, self.flow, self.figures, self.log, self.control):
            part.refresh()
        self._status.refresh(self._pulse.frames_per_s(), self._pulse.lag_s())
        self._enable_actions(connected=connected)

    def _enable_actions(self, *, connected: bool) -> None:
        actions = self.actions_
        free = self._source.can_reconnect and not self._source.connecting
        actions.connect_to.setEnabled(free)
        actions.retry.setEnabled(free and not connected)
        view = self.ingest.channel(self.table.chosen)
        held = view is not None and view.state.paused_by_us
        actions.pause.setEnabled(connected and not held)
        actions.resume.setEnabled(connected and held)
        actions.request.setEnabled(connected)

    @Slot(str)
    def _on_channel_chosen(self, channel: str) -> None:
        self.flow.choose(channel)
        self.control.choose(channel)

    @Slot(float)
    def show_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, one of the spans that the history keeps."""
        self.flow.set_span(span_s)
        self._bar.show_span(span_s)
        self.actions_.spans[span_s].setChecked(True)

    @Slot()
    def _on_span_action(self) -> None:
        self.show_span(next(span_s for span_s, action in self.actions_.spans.items() if action.isChecked()))

    @Slot()
    def _on_freeze_toggled(self) -> None:
        if self.flow.frozen:
            self.flow.follow()
        else:
            self.flow.freeze()

    @Slot()
    def _on_pause(self) -> None:
        self._docks["control"].show()
        self.control.pause.reason.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot()
    def _on_resume(self) -> None:
        self._source.resume(self.table.chosen)

    @Slot()
    def _on_request(self) -> None:
        """Ask for what the queue needs; with nothing waiting, for what the fields say."""
        view = self.ingest.channel(self.table.chosen)
        needed = (0, 0) if view is None else useful_request(view)
        if any(needed):
            self._source.request(self.table.chosen, *needed)
        else:
            self.control.request.send.click()

    @Slot()
    def _on_up(self) -> None:
        self.table.step(-1)

    @Slot()
    def _on_down(self) -> None:
        self.table.step(1)

    @Slot()
    def _on_retry(self) -> None:
        self._source.reconnect()
        self._on_text()

    @Slot()
    def _on_connect(self) -> None:
        dialog = ConnectDialog(self._source.address, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(self._on_address_given)
        dialog.open()
        self._dialog = dialog

    @Slot()
    def _on_address_given(self) -> None:
        url, token = self._dialog.answer()
        before = self._source.address
        self._source.connect_to(url, token)
        if self._source.address != before:
            self.ingest.reset()
            self._had_connection = False
        self._on_text()

    @Slot()
    def _on_about(self) -> None:
        box = QMessageBox(QMessageBox.Icon.NoIcon, "About HAIP Monitor", _ABOUT, parent=self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()
