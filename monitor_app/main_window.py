"""The window: holds the parts together and holds no logic of theirs."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QMainWindow

from monitor_app.actions import SPAN_NAMES, Actions
from monitor_app.dialogs import Dialogs
from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import is_connected
from monitor_app.model.status import Status
from monitor_app.plot_commands import PlotCommands
from monitor_app.plot_files import PlotFiles
from monitor_app.pulse import Pulse
from monitor_app.settings import Settings
from monitor_app.single_keys import SingleKeys
from monitor_app.steering import Steering
from monitor_app.style_sheet import style_sheet
from monitor_app.theme import Theme
from monitor_app.ticks import Ticks
from monitor_app.views.answer_strip import AnswerStrip
from monitor_app.views.centre import Centre
from monitor_app.views.channel_table import ChannelTable
from monitor_app.views.control_panel import ControlPanel
from monitor_app.views.figures_view import FiguresView
from monitor_app.views.flow_view import FlowView
from monitor_app.views.inspector import Inspector
from monitor_app.views.log_panel import LogPanel
from monitor_app.views.parts import dress_fields
from monitor_app.views.status_line import StatusLine
from monitor_app.views.trouble import TroubleBanner, TroublePage
from monitor_app.views.view_bar import ViewBar
from monitor_app.window_docks import Docks, order_tabs

_SIZE: Final = QSize(1440, 900)


class MainWindow(QMainWindow):
    """One source in one window.

    Attributes:
        ingest: What is known about the source.
        answer: The sentence on top.
        table, flow, figures, control, log, log_panel, inspector: The parts.
        banner, page: What stands there without a connection.
        actions_: The commands.
        docks, dialogs, plot_files, steering: What lies around the centre, what opens, what is saved, what the Channel menu does.

    Signals:
        closed: The window is closed and its source ended.
    """

    closed = Signal()

    def __init__(self, ingest: Ingest, theme: Theme, title: str, settings: Settings | None = None) -> None:
        super().__init__()
        self.ingest = ingest
        self._theme = theme
        self._settings = settings
        self._news_shown = 0
        self._away: Status | None = None
        theme.setParent(self)
        self.setWindowTitle(title)
        self.setAnimated(False)  # else every new width of a word on top has all docks animated to where they are
        self._make_parts()
        self.actions_ = Actions(self.menuBar(), theme)
        self._pulse = Pulse(self)
        self.dialogs = Dialogs(ingest, settings, self.actions_, self._facts, self)
        self.plot_files = PlotFiles(self.flow, self.actions_)
        self.steering = Steering(ingest, theme, self.table, self.control, self._bar)
        self._lay_out()
        self._centre.plots_shown.connect(PlotCommands(self.flow, self._bar, self.actions_, settings).allow_selecting)
        self._connect_parts()
        self._connect_actions()
        self._dress()
        self.show_span(self.flow.span_s)
        self.resize(_SIZE)
        if settings is not None:
            ingest.keep_audit(settings.audit_path)
        self.page.show_servers(settings.servers if settings is not None else ())
        self._on_text()

    def _make_parts(self) -> None:
        ingest, theme = self.ingest, self._theme
        self.table = ChannelTable(ingest, theme)
        self.flow = FlowView(ingest, theme)
        self.figures = FiguresView(ingest, self.flow.picture, theme)
        self.answer = AnswerStrip(ingest, theme)
        self.control = ControlPanel(ingest, theme)
        self.log_panel = LogPanel(ingest, theme)
        self.log = self.log_panel.events
        self.inspector = Inspector(ingest.clock)
        self.banner = TroubleBanner(ingest, theme)
        self.page = TroublePage(ingest, theme)
        self._status = StatusLine(ingest, theme)
        self._bar = ViewBar(SPAN_NAMES, theme)

    def _lay_out(self) -> None:
        self._centre = Centre(self.flow, self.page, self.banner)
        self.setCentralWidget(self._centre)
        self._bar.put(*self.flow.tools)
        self.addToolBar(self._bar)
        self.addToolBarBreak()
        self.addToolBar(self.answer)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setStatusBar(self._status)
        order = [self.table, self.flow, self.figures, self.control, *self.log_panel.pages, self.inspector]
        self.docks = Docks(self, [self.table, self.figures, self.control, self.log_panel, self.inspector], order)
        self._fill_title_bars()
        for dock in self.docks.by_name.values():
            self.actions_.dock_menu.addAction(dock.toggleViewAction())

    def _fill_title_bars(self) -> None:
        docks = self.docks.by_name
        docks["channels"].put(self.table.switch)
        docks["figures"].bar.row.insertWidget(1, self.figures.which)
        docks["control"].put(self.control.chooser)
        for widget in (self.log_panel.tabs, *self.log_panel.tools):
            docks["log"].put(widget)
        docks["inspector"].put(self.inspector.copy)
        bars = {name: dock.bar for name, dock in docks.items()}
        order_tabs(
            *(bars["channels"], self.table, self.flow, bars["control"], self.control, bars["log"], self.log_panel),
            *(bars["inspector"], self.inspector, bars["figures"], self.figures, self._bar, self.answer),
        )

    def _connect_parts(self) -> None:
        self._pulse.frame.connect(self._on_frame)
        self._pulse.text.connect(self._on_text)
        self._theme.changed.connect(self._dress)
        SingleKeys(self, (self.table, self.figures.table, *self.log_panel.pages, self.inspector), self.actions_)
        self._connect_channels()
        self._connect_log()
        self._connect_picture()
        self._connect_dialogs()

    def _connect_channels(self) -> None:
        self.table.channel_chosen.connect(self._on_channel_chosen)
        self.table.channel_filtered.connect(self.log.show_only)
        self.control.channel_chosen.connect(self.table.choose)
        self.answer.chosen.connect(self.table.choose)
        self.table.visibility_changed.connect(self.flow.refresh)
        self.table.visibility_changed.connect(self.figures.refresh)
        self.steering.control_wanted.connect(self.docks.by_name["control"].show)
        self.steering.changed.connect(self._on_text)

    def _connect_log(self) -> None:
        self.log_panel.row_chosen.connect(self.inspector.show_row)
        self.log.row_chosen.connect(self.flow.show_row)
        self.flow.mark_chosen.connect(self.log_panel.show_mark)
        self.answer.evidence_wanted.connect(self.log_panel.show_evidence)
        self.log_panel.wanted.connect(self.docks.by_name["log"].show)
        self.log.follow.toggled.connect(self.actions_.follow.setChecked)

    def _connect_picture(self) -> None:
        self.flow.view_changed.connect(self.figures.refresh)
        self.flow.mode_changed.connect(self._bar.show_mode)
        self.flow.span_changed.connect(self._bar.show_span)
        self.flow.span_changed.connect(self.figures.name_span)
        self._bar.live_wanted.connect(self.actions_.live.trigger)
        self._bar.freeze_wanted.connect(self.actions_.freeze.trigger)
        self._bar.span_chosen.connect(self.actions_.choose_span)

    def _connect_dialogs(self) -> None:
        self.answer.reconnect_wanted.connect(self.dialogs.retry)
        for wanted in (self.answer.attach_wanted, self.page.attach_wanted):
            wanted.connect(self.dialogs.open_attach)
        self.answer.attach_again_wanted.connect(self.dialogs.attach_again)
        self.dialogs.changed.connect(self.refresh)
        self.dialogs.address_changed.connect(self._on_address_changed)
        self.page.server_chosen.connect(self.dialogs.open_connect)
        for part in (self.banner, self.page):
            part.retry_wanted.connect(self.dialogs.retry)
            part.cancel_wanted.connect(self.dialogs.cancel_connect)
            part.connect_wanted.connect(self.dialogs.open_connect)

    def _connect_actions(self) -> None:
        self.steering.connect_actions(self.actions_)
        self.actions_.follow.setChecked(True)
        self.actions_.bind(self.log_panel.commands)
        self.actions_.bind(
            {
                "quit": self.close,
                "next_part": self.docks.go_on,
                "last_part": self.docks.go_back,
                "reset_layout": self._on_reset_layout,
                "find": self.log_panel.go_to_filter,
                "evidence": self.answer.show_evidence,
                "only_channel": self._on_only_channel,
                "copy_row_json": self.inspector.copy_row,
            }
        )
        self.actions_.span_wanted.connect(self.show_span)
        self._ticks = Ticks(self.actions_, self.ingest, self.table, self.flow, self.log_panel)

    def start(self) -> None:
        """Show the window, as it lay when it was last closed, and let it live."""
        is_restored = self._settings is not None and self.docks.restore(self._settings)
        self.show()
        if not is_restored:
            self.docks.share_out_space()
        self._pulse.start()

    @Slot()
    def refresh(self) -> None:
        """Take in and show everything now, text and curves."""
        self._on_frame()
        self._on_text()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop to beat, leave the screen at once, and only then wait for the source to end."""
        self._pulse.stop()
        for dialog in self.findChildren(QDialog):
            dialog.done(QDialog.DialogCode.Rejected)
        if self._settings is not None and self.isVisible():
            self.docks.keep(self._settings)
            self._settings.keep_theme(self._theme.mode)
            self._settings.save()
        self.hide()
        self.ingest.source.close()
        event.accept()
        self.closed.emit()

    @Slot()
    def _dress(self) -> None:
        self.setStyleSheet(style_sheet(self._theme.colours))
        self.setPalette(self._theme.palette())  # last: a new sheet brings back the palette from before the old one
        dress_fields(self, self._theme.palette())
        self._on_text()

    @Slot()
    def _on_frame(self) -> None:
        self.ingest.tick()
        self._pulse.note_lag(self.ingest.lag_s)
        self.log_panel.advance()
        if self.ingest.news != self._news_shown:  # who acts sees at once what came of it, and a program that falls silent
            self._news_shown = self.ingest.news
            self._show_news()
        if self.flow.isVisible() and self._pulse.has_room():
            self.flow.draw_news()

    def _show_news(self) -> None:
        """Show at once what tells of commands and programs; what is far dearer waits for the next text, but for the first.

        All of it, where new values come, or fail to for another reason, other than before: no part is to say what another denies.
        """
        if not self.table.chosen or self._away is not self.ingest.away:
            self._on_text()
            return
        for part in (self.answer, self.log_panel, self.control):
            part.refresh()
        self.steering.refresh(self.actions_)

    @Slot()
    def _on_text(self) -> None:
        connection = self.ingest.connection
        connected = is_connected(connection)
        self._away = self.ingest.away
        self._centre.refresh(connection, mendable=self.ingest.source.can_reconnect)
        for part in (self.answer, self.banner, self.page, self.table, self.flow, self.figures, self.log_panel, self.control):
            part.refresh()
        self._status.refresh(self._pulse.frames_per_s(), self._pulse.lag_s())
        self.steering.refresh(self.actions_)
        self.dialogs.refresh(connected=connected)
        self._ticks.refresh()

    def _facts(self) -> dict[str, str]:
        return {"frames": f"{self._pulse.frames_per_s():.0f} a second", "lag": f"{self._pulse.lag_s() * 1000:.0f} ms"}

    @Slot(str)
    def _on_channel_chosen(self, channel: str) -> None:
        self.flow.choose(channel)
        self.control.choose(channel)
        self.flow.refresh()
        self.figures.refresh()
        self.steering.refresh(self.actions_)

    @Slot(float)
    def show_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, one of the spans that the history keeps."""
        self.flow.set_span(span_s)
        self._bar.show_span(span_s)
        self._ticks.refresh()

    @Slot()
    def _on_reset_layout(self) -> None:
        self.docks.reset()
        if self._settings is not None:
            self._settings.forget_layout()

    @Slot()
    def _on_only_channel(self) -> None:
        self.log.show_only(self.table.chosen)

    @Slot()
    def _on_address_changed(self) -> None:
        self.ingest.reset()
        self._centre.reset()
        self._on_text()
