"""The log dock: the events on one page, the operator's own actions on the other, and the export of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QToolButton, QWidget

from monitor_app.model.audit import record_of
from monitor_app.model.export import Table
from monitor_app.model.ingest import Ingest
from monitor_app.model.inspection import plain_row
from monitor_app.model.log_filter import row_of_moment
from monitor_app.model.marks import Mark
from monitor_app.theme import Theme
from monitor_app.views.audit_view import AuditView
from monitor_app.views.event_log import EventLogView
from monitor_app.views.export_dialog import ExportDialog
from monitor_app.views.parts import button, toggle_row

_EVENT_COLUMNS: Final = ("time", "channel", "type", "what")
_AUDIT_COLUMNS: Final = ("time", "who", "channel", "action", "details", "reason", "outcome", "result")


class LogPanel(QStackedWidget):
    """Events and actions.

    Attributes:
        events: The page of events.
        audit: The page of actions.
        tabs: Chooses the page; for the title bar of the dock.
        tools: What else belongs into the title bar of the dock, from left to right.
        events_tab, audit_tab: The two buttons of `tabs`.
        logs_messages: Whether single messages are logged.
        export: Opens the export.

    Signals:
        wanted: The panel has something to show; whoever hid it may show it.
        row_chosen: The operator went to another row of either page; the `LogRow`, None for none.
    """

    wanted = Signal()
    row_chosen = Signal(object)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self.events = EventLogView(ingest, theme)
        self.audit = AuditView(ingest.audit, ingest.clock, theme)
        self.addWidget(self.events)
        self.addWidget(self.audit)
        self.logs_messages = False
        self.events_tab, self.audit_tab = QToolButton(), QToolButton()
        self.tabs = _tabs(self.events_tab, self.audit_tab)
        self.export = button("Export…", "Export rows to a file")
        self.tools: tuple[QWidget, ...] = (
            self.events.channel_filter,
            self.events.kind_filter,
            self.events.text_filter,
            self.events.follow,
            self.export,
        )
        for tool in self.tools[:-1]:
            _keep_its_place(tool)
        self.events_tab.clicked.connect(self.show_events)
        self.audit_tab.clicked.connect(self.show_audit)
        self.export.clicked.connect(self.open_export)
        for page in (self.events, self.audit):
            page.row_chosen.connect(self.row_chosen)

    def refresh(self) -> None:
        """Show what has happened. Called at the rate of text."""
        self.events.refresh()
        self.audit.refresh()

    def advance(self) -> None:
        """Go on filtering. Called at every frame."""
        self.events.advance()

    @property
    def commands(self) -> dict[str, Callable[..., None]]:
        """What the commands of the Log menu do here, by their names."""
        return {
            "export": self.open_export,
            "follow": self.events.let_follow,
            "messages": self.watch_messages,
            "show_events": self.show_events,
            "show_audit": self.show_audit,
            "copy_rows": self.copy_rows,
            "all_rows": self.events.show_all,
        }

    @property
    def pages(self) -> tuple[QWidget, QWidget]:
        """Both pages."""
        return self.events, self.audit

    @Slot()
    def show_events(self) -> None:
        """Show the page of events."""
        self._show(self.events)

    @Slot(str, float)
    def show_evidence(self, channel: str, since_s: float) -> None:
        """Show the events of `channel` since a moment."""
        self.wanted.emit()
        self.show_events()
        self.events.show_evidence(channel, since_s)

    @Slot(object)
    def show_mark(self, mark: Mark) -> None:
        """Go to the row of a mark of the plots."""
        row = row_of_moment(self._ingest.log.rows, mark.time_s, mark.channel)
        if row is not None:
            self.wanted.emit()
            self.show_events()
            self.events.choose_row(row)

    @Slot()
    def show_audit(self) -> None:
        """Show the page of actions."""
        self._show(self.audit)

    @Slot()
    def go_to_filter(self) -> None:
        """Show the events and go to the field that filters them."""
        self.wanted.emit()
        self.show_events()
        self.events.text_filter.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot(bool)
    def watch_messages(self, wanted: bool) -> None:
        """Log single messages from now on, or no longer, where the source gives them away."""
        self.logs_messages = self._ingest.source.watch_messages(wanted=wanted)

    @Slot()
    def copy_rows(self) -> None:
        """Put the selected rows of the page into the clipboard."""
        (self.events if self.currentWidget() is self.events else self.audit).copy_rows()

    @Slot()
    def open_export(self) -> None:
        """Ask where the rows of the page go."""
        dialog = ExportDialog(*self._choice(), self.window())
        dialog.open()

    def _choice(self) -> tuple[str, dict[str, Callable[[], Table]]]:
        if self.currentWidget() is self.audit:
            return "audit trail", {"All actions": self._audit_table}
        choice: dict[str, Callable[[], Table]] = {"All rows": self._all_rows}
        if self.events.is_filtered:
            choice = {"The rows that are shown": self._shown_rows, **choice}
        return "event log", choice

    def _shown_rows(self) -> Table:
        clock = self._ingest.clock
        rows = list(self.events.shown_rows)
        return Table(_EVENT_COLUMNS, (plain_row(row, clock) for row in rows), len(rows))

    def _all_rows(self) -> Table:
        clock = self._ingest.clock
        rows = list(self._ingest.log.rows)
        return Table(_EVENT_COLUMNS, (plain_row(row, clock) for row in rows), len(rows))

    def _audit_table(self) -> Table:
        clock = self._ingest.clock
        entries = self._ingest.audit.entries
        return Table(_AUDIT_COLUMNS, (record_of(entry, clock) for entry in entries), len(entries))

    def _show(self, page: QWidget) -> None:
        self.setCurrentWidget(page)
        shows_events = page is self.events
        (self.events_tab if shows_events else self.audit_tab).setChecked(True)
        for tool in self.tools[:-1]:
            tool.setVisible(shows_events)


def _keep_its_place(tool: QWidget) -> None:
    """Let nothing move to where a tool was while it is hidden: the switch of the pages stays under the pointer."""
    policy = tool.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    tool.setSizePolicy(policy)


def _tabs(events: QToolButton, audit: QToolButton) -> QWidget:
    for made, text, name, join in (
        (events, "Events", "Show events", "left"),
        (audit, "Audit", "Show your own actions: the audit trail", "right"),
    ):
        made.setText(text)
        made.setToolTip(name)
        made.setAccessibleName(name)
        made.setCheckable(True)
        made.setAutoExclusive(True)
        made.setProperty("join", join)
    events.setChecked(True)
    return toggle_row(events, audit)
