"""On top of everything: one sentence about the channel that is worst off, and the one button that helps it."""

from __future__ import annotations

from PySide6.QtCore import QMargins, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolBar, QVBoxLayout

from monitor_app.model.answer import Answer, answer_of, evidence_age_s
from monitor_app.model.ingest import Ingest
from monitor_app.model.remedies import Remedy
from monitor_app.model.status import LOST, STALE, Status
from monitor_app.model.units import short_name
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.answer_box import ground_of
from monitor_app.views.connection_sign import connection_sign
from monitor_app.views.ground import Ground
from monitor_app.views.parts import ElidedLabel, as_tip, button, set_sheet

_BAR_HEIGHT = 46
_USEFUL = "The useful action"
_STEERING = frozenset({Remedy.REQUEST, Remedy.RESUME})
"""What acts on a channel, and may be refused; everything else concerns the monitor alone."""


class AnswerStrip(QToolBar):
    """The answer to the first question of whoever opens the window.

    Attributes:
        title: What holds which channel, and since when.
        evidence: How that is known.
        action: The useful button.
        look: Chooses the channel that the sentence is about.
        proof: Shows the events behind the sentence.

    Signals:
        reconnect_wanted: Connect again.
        attach_wanted: List the scripts that can be looked at.
        attach_again_wanted: Look at the script again.
        chosen: Look at a channel.
        evidence_wanted: Show the events of a channel since a moment.
    """

    reconnect_wanted = Signal()
    attach_wanted = Signal()
    attach_again_wanted = Signal()
    chosen = Signal(str)
    evidence_wanted = Signal(str, float)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__("Answer")
        self._ingest = ingest
        self._theme = theme
        self._answer = Answer("", "")
        self.setObjectName("answer-bar")
        self.setMovable(False)
        self._frame = Ground()
        self._frame.setObjectName("answer-strip")
        self._frame.setFixedHeight(_BAR_HEIGHT)
        self._sign = QLabel()
        self.title = ElidedLabel("", tone="title")
        self.evidence = ElidedLabel("", tone="muted")
        self.action = button("", _USEFUL, look="main")
        self.look = button("Show", "Choose the channel that the sentence is about")
        self.proof = button("Evidence", "Show the events behind the sentence")
        self._lay_out()
        self.proof.clicked.connect(self.show_evidence)
        self.action.clicked.connect(self._on_action)
        self.look.clicked.connect(self._on_look)
        theme.changed.connect(self.refresh)

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(0)
        for line in (self.title, self.evidence):
            line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            line.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            words.addWidget(line)
        row = self._row = QHBoxLayout(self._frame)
        row.setContentsMargins(self._frame.beside_edge(QMargins(10, 4, 9, 4)))
        row.setSpacing(8)
        row.addWidget(self._sign)
        row.addLayout(words, 1)
        row.addWidget(self.proof)
        row.addWidget(self.look)
        row.addWidget(self.action)
        self.addWidget(self._frame)

    @Slot()
    def refresh(self) -> None:
        """Show the answer as it is now. Called at the rate of text."""
        source = self._ingest.source
        self._answer = answer_of(
            self._ingest.channels(),
            self._ingest.connection,
            can_reconnect=source.can_reconnect,
            now_s=self._ingest.clock.now_s(),
            failure=source.failure,
            connecting_to=source.address if source.connecting else "",
        )
        answer = self._answer
        self._dress(answer)
        self.title.setText(answer.title)
        self.evidence.setText(answer.evidence)
        self._frame.setAccessibleName(answer.text)
        self._offer_buttons(answer)
        self._row.activate()  # at once: for a frame the new words would stand in the buttons of the old ones

    def _offer_buttons(self, answer: Answer) -> None:
        self.look.setVisible(answer.channel is not None)
        self.proof.setVisible(answer.channel is not None)
        self.look.setText(f"Show {short_name(answer.channel or '')}")
        self.action.setVisible(answer.offer.remedy is not Remedy.NONE)
        self.action.setText(answer.offer.text)
        does = answer.offer.text or _USEFUL
        self.action.setAccessibleName(f"{does} for {answer.channel}" if answer.channel else does)
        locked = self._ingest.commands.locked if answer.offer.remedy in _STEERING else ""
        self.action.setDisabled(bool(locked))
        self.action.setToolTip(as_tip(locked))

    def _dress(self, answer: Answer) -> None:
        colours = self._theme.colours
        status = answer.status or Status.IDLE
        warns = status in LOST and not answer.is_ours
        ground, edge = ground_of(Status.LOW if warns else status, colours)
        colour = signs.status_colour(status, colours).name() if answer.status is not None else colours.text
        if warns:
            colour = colours.low
        self._frame.show_colours(ground, edge, colours.border)
        set_sheet(self.title, f"color: {colour}")
        sign = signs.CHECK if answer.all_is_well else signs.STATUS_SIGNS[status]
        if answer.status in STALE and answer.channel is None:  # the sentence is about the connection
            sign, _ = connection_sign(self._ingest, colours)
        self._sign.setPixmap(signs.icon(sign, colour, ground).pixmap(signs.SIZE, signs.SIZE))

    @Slot()
    def _on_action(self) -> None:
        offer, channel = self._answer.offer, self._answer.channel or ""
        match offer.remedy:
            case Remedy.REQUEST:
                self._ingest.commands.request(channel, offer.messages, offer.byte_credits)
            case Remedy.RESUME:
                self._ingest.commands.resume(channel)
            case Remedy.RECONNECT:
                self.reconnect_wanted.emit()
            case Remedy.ATTACH:
                self.attach_wanted.emit()
            case Remedy.ATTACH_AGAIN:
                self.attach_again_wanted.emit()

    @Slot()
    def show_evidence(self) -> None:
        """Show the events behind the sentence, if it is about a channel."""
        view = self._ingest.channel(self._answer.channel or "")
        if view is not None:
            self.evidence_wanted.emit(view.name, self._ingest.clock.now_s() - evidence_age_s(view))

    @Slot()
    def _on_look(self) -> None:
        if self._answer.channel is not None:
            self.chosen.emit(self._answer.channel)
