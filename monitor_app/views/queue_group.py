"""What waits in the queue of the chosen channel, and the two things that can be done about it: export it, or clear it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.explanations import senders_beside
from monitor_app.model.source import Notice
from monitor_app.model.units import format_bytes, format_duration, format_messages
from monitor_app.views.group import Group, allow
from monitor_app.views.parts import button, label, set_tone, wrapping_label


class QueueGroup(Group):
    """Count, bytes and oldest of the queue.

    Attributes:
        export: Opens the export of what is known of the queue.
        clear: Asks whether to clear it.

    Signals:
        export_wanted: Export the queue.
        clear_wanted: Ask whether to clear the queue.
    """

    export_wanted = Signal()
    clear_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Queue")
        self.export = button("E&xport…", "Export what is known of the queue")
        self.clear = button("Cl&ear…", "Clear the queue", look="danger")
        self._count = label("", "title")
        self._waiting = wrapping_label("small")
        self._result = wrapping_label("small")
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.export)
        buttons.addStretch(1)
        buttons.addWidget(self.clear)
        self.rows.addWidget(self._count)
        self.rows.addWidget(self._waiting)
        self.rows.addLayout(buttons)
        self.rows.addWidget(self._result)
        self.export.clicked.connect(self.export_wanted)
        self.clear.clicked.connect(self._on_clear)

    def refresh(self, view: ChannelView, last: Notice | None, *, why_not: str) -> None:
        """Show what waits."""
        state = view.state
        self.detail.setText(f"oldest {format_duration(state.oldest_wait)}" if state.backlog else _nothing(view))
        self._count.setText(f"{format_messages(state.queued)}, {format_bytes(state.queued_bytes)}")
        self._waiting.setVisible(state.waiting > 0)
        self._waiting.setText(f"and {senders_beside(view)}")
        empty = "" if state.queued else "The queue is empty."
        allow(self.export, empty)
        allow(self.clear, why_not or empty)
        self._result.setVisible(last is not None)
        if last is not None:
            self._result.setText(last.result)
            set_tone(self._result, "small" if last.ok else "bad")

    @Slot()
    def _on_clear(self) -> None:
        self.clear_wanted.emit()


def _nothing(view: ChannelView) -> str:
    return "nothing waited" if view.is_past else "nothing waits"
