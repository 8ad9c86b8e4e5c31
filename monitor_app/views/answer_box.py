"""The answer, before anything else in the control dock: what holds the chosen channel, since when, and the one useful button."""

from __future__ import annotations

from PySide6.QtCore import QMargins, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout

from monitor_app.colours import Colours
from monitor_app.model.channel_view import ChannelView, worst_off
from monitor_app.model.explanations import explain, headline
from monitor_app.model.ingest import Ingest
from monitor_app.model.remedies import NO_OFFER, Remedy, offer_for
from monitor_app.model.status import Status
from monitor_app.model.units import short_name
from monitor_app.model.wording import kept_together
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.ground import Ground
from monitor_app.views.parts import button, set_sheet, wrapping_label


class AnswerBox(Ground):
    """What holds the chosen channel.

    Signals:
        requested: Ask for credit: messages, bytes.
        resumed: Resume the channel.
        other_chosen: Look at another channel, which is worse off; its name.
    """

    requested = Signal(int, int)
    resumed = Signal()
    other_chosen = Signal(str)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._offer = NO_OFFER
        self._other = ""
        self.setObjectName("answer")
        self._sign = QLabel()
        self._title = wrapping_label("title")
        self._text = wrapping_label()
        self.action = button("", "The useful action", look="main")
        self.other = button("", "Show the channel that is worse off")
        self._lay_out()
        self.action.clicked.connect(self._on_action)
        self.other.clicked.connect(self._on_other)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._sign)
        head.addWidget(self._title, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(self.beside_edge(QMargins(10, 8, 10, 10)))
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self._text)
        layout.addWidget(self.action)
        layout.addWidget(self.other)

    def refresh(self, view: ChannelView | None) -> None:
        """Show what is the matter with `view`."""
        if view is None:
            self.hide()
            return
        self.show()
        self._dress(view)
        self._title.setText(kept_together(headline(view)))
        self._text.setText(kept_together(explain(view)))
        self._offer = offer_for(view)
        self.action.setText(self._offer.text)
        self.action.setVisible(self._offer.remedy is not Remedy.NONE)
        self.action.setEnabled(True)
        self._show_other(view)

    def _show_other(self, view: ChannelView) -> None:
        worst = worst_off(self._ingest.channels())
        worse = worst is not None and worst.status.severity > view.status.severity and worst.status.waits
        self._other = worst.name if worse and worst is not None else ""
        self.other.setVisible(worse)
        if worse and worst is not None:
            self.other.setText(f"Show {short_name(worst.name)}: {worst.status.value}")

    def _dress(self, view: ChannelView) -> None:
        colours = self._theme.colours
        colour = signs.status_colour(view.status, colours).name()
        ground, edge = ground_of(view.status, colours)
        self.show_colours(ground, edge)
        set_sheet(self._title, f"color: {colour}")
        icon = signs.icon(signs.STATUS_SIGNS[view.status], colour, ground)
        self._sign.setPixmap(icon.pixmap(signs.SIZE, signs.SIZE))

    @Slot()
    def _on_action(self) -> None:
        match self._offer.remedy:
            case Remedy.REQUEST:
                self.requested.emit(self._offer.messages, self._offer.byte_credits)
            case Remedy.RESUME:
                self.resumed.emit()

    @Slot()
    def _on_other(self) -> None:
        self.other_chosen.emit(self._other)


def ground_of(status: Status, colours: Colours) -> tuple[str, str]:
    """Return ground and edge of the box for a state."""
    match status:
        case Status.STARVED:
            return colours.starved_ground, colours.starved
        case Status.LOW:
            return colours.low_ground, colours.low
        case Status.PAUSED_BY_US:
            return colours.accent_ground, colours.accent
        case _:
            return colours.header, colours.border
