"""Asks before a queue is cleared: what would be lost, who is told, and whether to export it first."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.units import NONE, format_bytes, format_count, format_duration, format_messages
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.parts import button, dress_fields, label, wrapping_label

_LOSS: Final = (
    "They are lost for the peer and cannot be brought back. Whoever queued them is told “cleared”. What was sent already "
    "is not touched, and no credit is spent."
)


class ClearQueueDialog(QDialog):
    """Discard the queue of one channel, or keep it. Keeping has the focus.

    Attributes:
        channel: Which channel.
        reason: Why, for the audit trail.
        export: Exports first.
        discard, keep: The answers.
        seen: How many messages and bytes it showed last.

    Signals:
        export_wanted: Export the queue first.
    """

    export_wanted = Signal()

    def __init__(self, channel: str, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Clear queue")
        self.setMinimumWidth(460)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.channel = channel
        self.seen = (0, 0)
        self.reason = QLineEdit()
        self.reason.setAccessibleName("Reason for clearing the queue")
        self.reason.setPlaceholderText("why, for the audit trail")
        self.export = button("&Export first…", "Export what is known of the queue first")
        self.discard = button("", "Discard the queued messages", look="danger")
        self.keep = button("&Keep them", "Keep the queued messages")
        self._title = label("", "page")
        self._values = [label() for _ in range(4)]
        self._sign = QLabel()
        colours = theme.colours
        self._sign.setPixmap(signs.icon(signs.STARVED, colours.starved, colours.window).pixmap(24, 24))
        self._lay_out()
        dress_fields(self, parent.palette())
        self.keep.setDefault(True)
        self.keep.setFocus()
        self.export.clicked.connect(self.export_wanted)
        self.discard.clicked.connect(self.accept)
        self.keep.clicked.connect(self.reject)

    def _lay_out(self) -> None:
        head, buttons, form = QHBoxLayout(), QHBoxLayout(), QFormLayout()
        head.setSpacing(10)
        head.addWidget(self._sign)
        head.addWidget(self._title, 1)
        loss = wrapping_label()
        loss.setText(_LOSS)
        for words, value in zip(("Messages", "Bytes", "Oldest", "Senders in line"), self._values, strict=True):
            form.addRow(label(words, "muted"), value)
        why = label("&Reason", "muted")
        why.setBuddy(self.reason)
        form.addRow(why, self.reason)
        form.setSpacing(8)
        for made in (self.export, self.discard, self.keep):
            buttons.addWidget(made)
        buttons.insertStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(12)
        column.addLayout(head)
        column.addWidget(loss)
        column.addLayout(form)
        column.addLayout(buttons)

    def refresh(self, view: ChannelView | None, *, why_not: str) -> None:
        """Show what would be lost now: the queue goes on moving while somebody thinks."""
        if view is None:
            self.reject()
            return
        state = view.state
        self.seen = (state.queued, state.queued_bytes)
        self._title.setText(f"Discard {format_messages(state.queued)} of {self.channel}?")
        senders = f"{format_count(state.waiting)}; they keep their place" if state.waiting else "none"
        texts = (
            format_count(state.queued),
            format_bytes(state.queued_bytes),
            f"waits for {format_duration(state.oldest_wait)}" if state.backlog else NONE,
            senders,
        )
        for value, text in zip(self._values, texts, strict=True):
            value.setText(text)
        self.discard.setText(f"&Discard {format_messages(state.queued)}")
        self.discard.setEnabled(bool(state.queued) and not why_not)
        self.discard.setToolTip(why_not)
        self.export.setEnabled(bool(state.queued))
