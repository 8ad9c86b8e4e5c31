"""The title of the plots: whether they follow, and what can be done with them by button."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, Qt, Signal, Slot
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QToolButton

from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import away_of, is_connected, title_of_plots
from monitor_app.model.viewport import Mode
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.parts import TitleBar, label, set_role

_DETAIL: Final = "send window"
_FOLD: Final = "Fold channels away on which nothing happened in the visible span"
_NOTHING_IDLE: Final = "No channel is idle in the visible span."


class FlowBar(TitleBar):
    """Name and state of the plots, and their buttons: `select` and `fold` are for a toolbar, which has the room.

    Attributes:
        live: Follows again; there while the plots do not.
        select: Lets the next drag select a span.
        fold: Folds idle channels away.

    Signals:
        live_wanted: Follow again.
        select_toggled: The next drag selects, or it does not.
        fold_toggled: Fold them away, or do not.
        fold_allowed: There is something to fold or to unfold (empty), or why not.
    """

    live_wanted = Signal()
    select_toggled = Signal(bool)
    fold_toggled = Signal(bool)
    fold_allowed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__("Flow", "header")
        self._theme = theme
        self.detail.setText(_DETAIL)
        self._sign, self._text = QLabel(), label("", "title")
        self.live = _button("Back to live", "Follow what happens (End)")
        self.select = _button("Select span", "Drag over the plots to select a span (Shift+drag does it too)", checkable=True)
        self.fold = _button("", _FOLD, checkable=True)
        for widget in (self._sign, self._text, self.live):
            self.row.addWidget(widget)
        self.live.setProperty("look", "small")
        self.live.setFixedHeight(20)
        self.live.hide()
        self.live.clicked.connect(self.live_wanted)
        self.select.toggled.connect(self.select_toggled)
        self.fold.clicked.connect(self._on_fold_clicked)

    def show_moment(self, mode: Mode, right_s: float, ingest: Ingest) -> None:
        """Show whether the plots follow, which moment `right_s` is that their right edge shows, or why nothing new comes."""
        colours, away = self._theme.colours, away_of(ingest.source)
        text = title_of_plots(mode, right_s, ingest.clock, ingest.connection, away)
        match mode:
            case Mode.FROZEN:
                self._show_mode(mode, signs.FROZEN, colours.text, text)
            case Mode.BACK:
                self._show_mode(mode, signs.BACK, colours.accent, text)
            case Mode.LIVE if is_connected(ingest.connection):
                self._show_mode(mode, signs.LIVE, colours.good, text)
            case Mode.LIVE:
                self._show_mode(mode, signs.STATUS_SIGNS[away], colours.muted, text)

    def _show_mode(self, mode: Mode, sign: signs.Sign, colour: str, text: str) -> None:
        self._sign.setPixmap(signs.icon(sign, colour, self._theme.colours.header).pixmap(signs.SIZE, signs.SIZE))
        self._text.setText(text)
        self.live.setVisible(mode is not Mode.LIVE)
        self.detail.setText("" if mode is Mode.FROZEN else _DETAIL)
        set_role(self, {Mode.FROZEN: "frozen", Mode.BACK: "back"}.get(mode, "header"))

    def show_selecting(self, *, on: bool) -> None:
        """Show whether the next drag selects."""
        self.select.setChecked(on)

    def show_folding(self, folded: int, *, folds: bool) -> None:
        """Show how many channels are folded away; without any there is nothing to press, here and in the menu."""
        can_press = bool(folded) or not folds
        if can_press != self.fold.isEnabled():
            self.fold.setEnabled(can_press)
            self.fold.setToolTip(_FOLD if can_press else _NOTHING_IDLE)
            self.fold_allowed.emit("" if can_press else _NOTHING_IDLE)
        self.fold.setChecked(folds)
        self.fold.setText(f"{folded} idle folded" if folds and folded else "Fold idle")

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Hatch the band beside its words while the picture stands still: no other state looks like that."""
        super().paintEvent(event)
        if self.property("role") == "frozen":
            painter = QPainter(self)
            left, right = self.detail.geometry().left(), self._sign.geometry().left() - 6
            band = QRect(left, 0, max(0, right - left), self.height() - 2)
            painter.fillRect(band, QBrush(QColor(self._theme.colours.muted), Qt.BrushStyle.BDiagPattern))
            painter.end()

    @Slot(bool)
    def _on_fold_clicked(self, folds: bool) -> None:
        self.fold_toggled.emit(folds)


def _button(text: str, tip: str, *, checkable: bool = False) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setCheckable(checkable)
    return made
