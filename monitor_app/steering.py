"""The commands of the Channel menu: each on the chosen channel, each through the desk that writes it down."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from monitor_app.actions import Actions
from monitor_app.model.channel_view import ChannelView, useful_request
from monitor_app.model.export import Table
from monitor_app.model.ingest import Ingest
from monitor_app.theme import Theme
from monitor_app.views.channel_table import ChannelTable
from monitor_app.views.clear_queue_dialog import ClearQueueDialog
from monitor_app.views.control_panel import ControlPanel
from monitor_app.views.export_dialog import ExportDialog
from monitor_app.views.group import Group
from monitor_app.views.view_bar import ViewBar

_QUEUE_COLUMNS = ("channel", "message_id", "bytes", "queued_at")


class Steering(QObject):
    """What the operator's hand does to the chosen channel.

    Signals:
        control_wanted: The control dock is to be seen.
        changed: What can be done is other than before.
    """

    control_wanted = Signal()
    changed = Signal()

    def __init__(self, ingest: Ingest, theme: Theme, table: ChannelTable, control: ControlPanel, bar: ViewBar) -> None:
        super().__init__(table)
        self._ingest = ingest
        self._theme = theme
        self._table = table
        self._control = control
        self._bar = bar
        self._dialog: ClearQueueDialog | None = None
        control.clear_wanted.connect(self.clear_queue)
        control.export_wanted.connect(self.export_queue)

    @property
    def view(self) -> ChannelView | None:
        """The chosen channel."""
        return self._ingest.channel(self._table.chosen)

    def connect_actions(self, actions: Actions) -> None:
        """Let the commands of the Channel menu come here."""
        self._bar.steering.clicked.connect(actions.read_only.trigger)
        actions.bind(
            {
                "pause": self.pause,
                "resume": self.resume,
                "request": self.request,
                "strategy": self.go_to_strategy,
                "test_message": self.go_to_test_message,
                "clear_queue": self.clear_queue,
                "next_channel": self.next_channel,
                "last_channel": self.last_channel,
                "hide_channel": self._on_hide,
                "solo_channel": self._on_show_alone,
                "other_side": self._table.show_other_side,
                "read_only": self._on_read_only,
            }
        )

    def refresh(self, actions: Actions) -> None:
        """Enable what can be done, say why of what cannot, and keep an open question true."""
        self._show_read_only()
        why_not, view = self._control.why_not(), self.view
        held = view is not None and view.state.paused_by_us
        empty = view is None or not view.state.queued
        actions.allow("pause", why_not or ("We have paused it already." if held else ""))
        actions.allow("resume", why_not or ("" if held else "We have not paused it."))
        for name in ("request", "strategy", "test_message"):
            actions.allow(name, why_not)
        actions.allow("clear_queue", why_not or ("The queue is empty." if empty else ""))
        if self._dialog is not None:
            self._dialog.refresh(self._ingest.channel(self._dialog.channel), why_not=why_not)

    def look_only(self, *, read_only: bool) -> None:
        """Refuse every command from now on, or no longer."""
        self._ingest.commands.read_only = read_only
        self._show_read_only()
        self.changed.emit()

    def _show_read_only(self) -> None:
        commands = self._ingest.commands
        self._bar.show_read_only(read_only=commands.read_only, refused="" if commands.read_only else commands.locked)

    @Slot()
    def pause(self) -> None:
        """Go to the reason of a pause."""
        self.control_wanted.emit()
        self._go_to(self._control.pause, self._control.pause.reason)

    @Slot()
    def resume(self) -> None:
        """Resume the chosen channel."""
        self._ingest.commands.resume(self._table.chosen)

    @Slot()
    def request(self) -> None:
        """Ask for what the queue needs; with nothing waiting, for what the fields say."""
        needed = (0, 0) if self.view is None else useful_request(self.view)
        if any(needed):
            self._ingest.commands.request(self._table.chosen, *needed)
        else:
            self._control.request.send.click()

    @Slot()
    def go_to_strategy(self) -> None:
        """Unfold the strategy and go there."""
        self.control_wanted.emit()
        self._go_to(self._control.strategy, self._control.strategy.chooser)

    @Slot()
    def go_to_test_message(self) -> None:
        """Go to the text of the test message."""
        self.control_wanted.emit()
        self._go_to(self._control.test_message, self._control.test_message.text)

    @Slot()
    def clear_queue(self) -> None:
        """Ask whether the queue of the chosen channel is to be cleared."""
        if self.view is None or self._dialog is not None:
            return
        dialog = self._dialog = ClearQueueDialog(self._table.chosen, self._theme, self._table.window())
        dialog.refresh(self.view, why_not=self._control.why_not())
        dialog.finished.connect(self._on_clear_answered)
        dialog.export_wanted.connect(self.export_queue)
        dialog.open()

    @Slot()
    def export_queue(self) -> None:
        """Export what is known of the queue of the chosen channel."""
        channel = self._table.chosen if self._dialog is None else self._dialog.channel
        parent = self._table.window() if self._dialog is None else self._dialog
        known = len(self._ingest.source.queued(channel))
        ExportDialog(f"queue of {channel}", {f"What is known: {known} messages": self._queue_table}, parent).open()

    @Slot()
    def next_channel(self) -> None:
        """Choose the channel below."""
        self._table.step(1)

    @Slot()
    def last_channel(self) -> None:
        """Choose the channel above."""
        self._table.step(-1)

    def _queue_table(self) -> Table:
        channel = self._table.chosen if self._dialog is None else self._dialog.channel
        clock = self._ingest.clock
        records = [
            {
                "channel": channel,
                "message_id": known.message_id,
                "bytes": known.message_bytes,
                "queued_at": clock.iso(known.since_s),
            }
            for known in self._ingest.source.queued(channel)
        ]
        return Table(_QUEUE_COLUMNS, records, len(records))

    def _go_to(self, group: Group, field: QWidget) -> None:
        group.fold.setChecked(True)
        self._control.ensureWidgetVisible(field)
        field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot(int)
    def _on_clear_answered(self, answer: int) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None and answer == ClearQueueDialog.DialogCode.Accepted:
            messages, byte_count = dialog.seen
            reason = dialog.reason.text().strip() or None
            self._ingest.commands.clear_queue(dialog.channel, reason, messages=messages, byte_count=byte_count)

    @Slot()
    def _on_hide(self) -> None:
        self._table.hide_or_show(self._table.chosen)

    @Slot()
    def _on_show_alone(self) -> None:
        self._table.show_alone(self._table.chosen)

    @Slot()
    def _on_read_only(self) -> None:
        self.look_only(read_only=not self._ingest.commands.read_only)
