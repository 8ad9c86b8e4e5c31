"""The groups of the control dock: request credit, pause and resume, send a test message."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton

from monitor_app.model.channel_view import ChannelView, request_to_cap, useful_request
from monitor_app.model.clock import Clock
from monitor_app.model.last_word import LastWord
from monitor_app.model.source import Notice
from monitor_app.model.status import STALE, Status
from monitor_app.model.units import KIB, format_count, format_large, short_name
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.group import Group, allow, allow_field, spin_box
from monitor_app.views.parts import button, label, set_tone, wrapping_label

_MAX_MESSAGES = 1_000_000
_MAX_KIB = 1 << 20


class RequestGroup(Group):
    """Messages and KiB to ask the peer for.

    Attributes:
        messages: How many messages.
        kibibytes: How many KiB.
        send: The button.

    Signals:
        requested: Ask for credit: messages, bytes.
    """

    requested = Signal(int, int)

    def __init__(self, clock: Clock) -> None:
        super().__init__("Request credit")
        self._clock = clock
        self._last_word = LastWord(clock)
        self._last: Notice | None = None
        self._view: ChannelView | None = None
        self.messages = spin_box(_MAX_MESSAGES, " msg", "Messages to request", 10)
        self.kibibytes = spin_box(_MAX_KIB, " KiB", "KiB to request", 0)
        self.send = button("Request", "Request credit")
        self._presets: list[QPushButton] = []
        self._result = wrapping_label("small")
        self._lay_out()
        self.send.clicked.connect(self._on_send)
        for field in (self.messages, self.kibibytes):
            field.valueChanged.connect(self._on_changed)

    def _lay_out(self) -> None:
        fields = QHBoxLayout()
        fields.setSpacing(6)
        fields.addWidget(self.messages, 1)
        fields.addWidget(self.kibibytes, 1)
        fields.addWidget(self.send)
        presets = QHBoxLayout()
        presets.setSpacing(4)
        for text, name, slot in (
            ("+10", "Preset: ten messages more", self._on_ten),
            ("+64 KiB", "Preset: 64 KiB more", self._on_block),
            ("Queue", "Preset: what waits now", self._on_queue),
            ("To cap", "Preset: up to the caps", self._on_cap),
        ):
            preset = button(text, name, look="preset")
            preset.setMinimumWidth(30)
            preset.clicked.connect(slot)
            presets.addWidget(preset, 1)
            self._presets.append(preset)
        self.rows.addLayout(fields)
        self.rows.addLayout(presets)
        self.rows.addWidget(self._result)

    def refresh(self, view: ChannelView, last: Notice | None, *, why_not: str) -> None:
        """Show the caps of the chosen channel and what came of its last request."""
        self._view, self._last = view, last
        state = view.state
        self.detail.setText(f"cap {format_count(state.max_credits)} · {format_large(state.max_credit_bytes)}")
        self.detail.tell_when_pointed_at("The most credit that may stand here at a time, in messages and bytes")
        for control in (self.send, *self._presets):
            allow(control, why_not)
        for field in (self.messages, self.kibibytes):
            allow_field(field, why_not)
        self._show_result()

    def _show_result(self) -> None:
        """Say what came of the last request; of one that was refused a while ago only that it was."""
        last = self._last
        if last is None:
            text, tone = "You have asked for nothing yet.", "small"
        elif self._last_word.is_over(last):
            text, tone = "Refused last; the log says why.", "small"
        else:
            text = f"{self._clock.time_of_day(last.time_s)}  {self._answered(last)}"
            tone = "small" if last.ok else "bad"
        self._result.setText(text)
        set_tone(self._result, tone)

    def _answered(self, last: Notice) -> str:
        """Return what came of the request that `last` speaks of, and whether a grant came after it."""
        if not last.ok or self._view is None:
            return last.result
        age_s = self._view.grant_age_s
        granted = age_s is not None and self._clock.now_s() - age_s >= last.time_s
        return f"{last.result.rstrip('.')}; {'a grant came since' if granted else 'no grant yet'}."

    @Slot()
    def _on_changed(self) -> None:
        self._last_word.touch()
        self._show_result()

    @Slot()
    def _on_send(self) -> None:
        self.requested.emit(self.messages.value(), self.kibibytes.value() * KIB)

    @Slot()
    def _on_ten(self) -> None:
        self.messages.setValue(self.messages.value() + 10)

    @Slot()
    def _on_block(self) -> None:
        self.kibibytes.setValue(self.kibibytes.value() + 64)

    @Slot()
    def _on_queue(self) -> None:
        if self._view is not None:
            self._preset(*useful_request(self._view))

    @Slot()
    def _on_cap(self) -> None:
        if self._view is not None:
            self._preset(*request_to_cap(self._view))

    def _preset(self, messages: int, byte_credits: int) -> None:
        self.messages.setValue(messages)
        self.kibibytes.setValue(-(-byte_credits // KIB))


class PauseGroup(Group):
    """Pause and resume of the chosen channel, on the wire.

    Attributes:
        reason: Why; goes into the audit trail, and that of a pause to the peer.
        pause: The button that pauses.
        resume: The button that resumes.

    Signals:
        paused: Pause the channel; the reason, empty for none.
        resumed: Resume the channel; the reason, empty for none.
    """

    paused = Signal(str)
    resumed = Signal(str)

    def __init__(self, theme: Theme, clock: Clock) -> None:
        super().__init__("Pause channel")
        self._theme = theme
        self._last_word = LastWord(clock)
        self.detail.setText("stops sending")
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("why, for peer and audit trail")
        self.reason.setAccessibleName("Reason for the pause")
        self.pause = button("Pause", "Pause the chosen channel", look="ours")
        self.resume = button("Resume", "Resume the chosen channel")
        self._result = wrapping_label("bad")
        self._lay_out()
        self.dress()
        self.reason.textEdited.connect(self._last_word.touch)
        self.reason.returnPressed.connect(self._on_return)
        self.pause.clicked.connect(self._on_pause)
        self.resume.clicked.connect(self._on_resume)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(6)
        caption = label("Reaso&n", "muted")
        caption.setBuddy(self.reason)
        grid.addWidget(caption, 0, 0)
        grid.addWidget(self.reason, 0, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.pause, 3)
        buttons.addWidget(self.resume, 2)
        self.rows.addLayout(grid)
        self.rows.addLayout(buttons)
        self.rows.addWidget(self._result)

    def dress(self) -> None:
        """Take the colours of the theme."""
        colours = self._theme.colours
        self.pause.setIcon(signs.icon(signs.PAUSE, colours.accent, colours.accent_ground, colours.disabled))
        self.resume.setIcon(signs.icon(signs.RESUME, colours.text, colours.button, colours.disabled))

    def refresh(self, view: ChannelView, last: Notice | None, *, why_not: str) -> None:
        """Show what can be done with the chosen channel, and why it was refused a moment ago."""
        self.pause.setText(f"Pause {short_name(view.name)}")
        held = view.state.paused_by_us
        allow(self.pause, why_not or ("We have paused it already." if held else ""))
        allow(self.resume, why_not or ("" if held else "We have not paused it."))
        allow_field(self.reason, why_not)
        refused = last is not None and not last.ok and not self._last_word.is_over(last)
        self._result.setVisible(refused)
        self._result.setText(last.result if refused and last is not None else "")

    @Slot()
    def _on_return(self) -> None:
        for choice in (self.pause, self.resume):
            if choice.isEnabled():
                choice.click()
                return

    @Slot()
    def _on_pause(self) -> None:
        self.paused.emit(self.reason.text().strip())
        self.reason.clear()

    @Slot()
    def _on_resume(self) -> None:
        self.resumed.emit(self.reason.text().strip())
        self.reason.clear()


class TestMessageGroup(Group):
    """A text of the operator's, which waits in line like any other.

    Attributes:
        text: What is sent.
        send: The button.

    Signals:
        sent: Send the text.
    """

    sent = Signal(str)

    def __init__(self, clock: Clock) -> None:
        super().__init__("Test message")
        self._last_word = LastWord(clock)
        self.text = QLineEdit("test from the monitor")
        self.text.setAccessibleName("Text of the test message")
        self.send: QPushButton = button("Send", "Send the test message")
        self._result: QLabel = wrapping_label("small")
        fields = QHBoxLayout()
        fields.setSpacing(6)
        fields.addWidget(self.text, 1)
        fields.addWidget(self.send)
        self.rows.addLayout(fields)
        self.rows.addWidget(self._result)
        self.text.textEdited.connect(self._last_word.touch)
        self.text.returnPressed.connect(self._on_send)
        self.send.clicked.connect(self._on_send)

    def refresh(self, view: ChannelView, last: Notice | None, *, why_not: str) -> None:
        """Show how long the line is, and what came of the last message."""
        waits = view.state.backlog > 0 or view.status in {Status.PAUSED_BY_US, Status.PAUSED_BY_PEER}
        when = f"waits as number {format_count(view.state.backlog + 1)}" if waits else "leaves at once"
        self.detail.setText("" if view.status in STALE else when)  # without a connection nothing leaves, at once or in line
        allow(self.send, why_not)
        allow_field(self.text, why_not)
        is_told = last is not None and not self._last_word.is_over(last)
        self._result.setVisible(is_told)
        if last is not None and is_told:
            self._result.setText(last.result)
            set_tone(self._result, "small" if last.ok else "bad")

    @Slot()
    def _on_send(self) -> None:
        if self.send.isEnabled() and self.text.text():
            self.sent.emit(self.text.text())
