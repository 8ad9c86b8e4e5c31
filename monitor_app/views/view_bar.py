"""The toolbar: live or standing still, and how much time is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QButtonGroup, QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from monitor_app.model.viewport import Mode
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.parts import as_tip, label, toggle_row


class ViewBar(QToolBar):
    """Controls of the picture; nothing here is felt on the wire.

    Attributes:
        live: Follow what happens.
        freeze: Let the picture stand still.
        steering: Whether the operator may steer; the same as Channel, Read-only.

    Signals:
        live_wanted: Follow again.
        freeze_wanted: Stand still.
        span_chosen: Show this many seconds.
    """

    live_wanted = Signal()
    freeze_wanted = Signal()
    span_chosen = Signal(float)

    def __init__(self, spans: Mapping[float, str], theme: Theme) -> None:
        super().__init__("View")
        self._theme = theme
        self.setObjectName("view-bar")
        self.setMovable(False)
        self.live = _toggle(" Live", "Follow what happens (L)", "left")
        self.freeze = _toggle(" Freeze view", "Let the picture stand still; sending goes on (Space)", "right")
        self._spans = {
            span_s: _toggle(name, f"Show the last {name}", _join(place, len(spans)))
            for place, (span_s, name) in enumerate(spans.items())
        }
        self._view_group = _group([self.live, self.freeze])
        self._span_group = _group(list(self._spans.values()))
        self.steering = QToolButton()
        self._steering_shown: tuple[bool, str] | None = None
        self._lay_out()
        self.show_read_only(read_only=False)
        self.dress()
        self.live.clicked.connect(self.live_wanted)
        self.freeze.clicked.connect(self.freeze_wanted)
        self._span_group.buttonClicked.connect(self._on_span_clicked)
        theme.changed.connect(self.dress)

    def _lay_out(self) -> None:
        self.addWidget(label("View", "muted"))
        self.addWidget(toggle_row(self.live, self.freeze))
        self.addSeparator()
        self.addWidget(label("Span", "muted"))
        self.addWidget(toggle_row(*self._spans.values()))
        gap = QWidget()
        gap.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._gap = self.addWidget(gap)
        self.steering.setCheckable(True)
        self.steering.setIconSize(QSize(signs.SIZE, signs.SIZE))
        self.steering.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.addWidget(toggle_row(self.steering))

    @Slot()
    def dress(self) -> None:
        """Take the colours of the theme."""
        colours = self._theme.colours
        self.live.setIcon(signs.icon(signs.LIVE, colours.text, colours.button))
        sign = signs.UNLOCKED if self.steering.isChecked() else signs.LOCK
        self.steering.setIcon(signs.icon(sign, colours.text, colours.button))
        self.freeze.setIcon(signs.icon(signs.FROZEN, colours.text, colours.button))

    def put(self, *buttons: QWidget) -> None:
        """Put more controls of the picture beside the spans."""
        self.insertSeparator(self._gap)
        for button in buttons:
            self.insertWidget(self._gap, button)

    def put_menu(self, text: str, tip: str, actions: Sequence[QAction]) -> None:
        """Put a button there that drops a menu."""
        made = QToolButton()
        made.setText(text)
        made.setToolTip(tip)
        made.setAccessibleName(tip)
        made.setProperty("look", "drop")
        made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(made)
        menu.setToolTipsVisible(True)
        menu.addActions(actions)
        made.setMenu(menu)
        self.insertWidget(self._gap, made)

    def show_span(self, span_s: float) -> None:
        """Show which span is chosen; one that has no name leaves none of them pressed."""
        named = self._spans.get(span_s)
        self._span_group.setExclusive(named is not None)
        for made in self._spans.values():
            made.setChecked(made is named)

    def show_mode(self, mode: Mode) -> None:
        """Show whether the picture follows or stands still; while it looks back it does neither, and both can be pressed."""
        shown = {Mode.LIVE: self.live, Mode.FROZEN: self.freeze}.get(mode)
        self._view_group.setExclusive(shown is not None)
        for made in (self.live, self.freeze):
            made.setChecked(made is shown)

    def show_read_only(self, *, read_only: bool, refused: str = "") -> None:
        """Show whether the operator may steer. `refused`: why the source lets nobody steer, whatever the operator wants."""
        if (read_only, refused) == self._steering_shown:
            return
        self._steering_shown = read_only, refused
        text, name, tip = _steering_words(read_only=read_only, refused=refused)
        self.steering.setChecked(not read_only and not refused)
        self.steering.setText(f" {text}")
        self.steering.setAccessibleName(name)
        self.steering.setToolTip(tip)
        self.dress()

    @Slot()
    def _on_span_clicked(self) -> None:
        self.span_chosen.emit(next(span_s for span_s, made in self._spans.items() if made.isChecked()))


def _steering_words(*, read_only: bool, refused: str) -> tuple[str, str, str]:
    """Return what the button of steering says: its text, its name, its tip."""
    if read_only:
        return "Read-only", "Read-only: nothing can be steered", "Nothing can be steered; click to steer again (Ctrl+L)"
    if refused:
        return "Look only", "Look only: nothing can be steered", as_tip(refused)
    return "Steering", "Steering is allowed", "Click to look only (Ctrl+L)"


def _toggle(text: str, tip: str, join: str) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setCheckable(True)
    made.setProperty("join", join)
    made.setIconSize(QSize(signs.SIZE, signs.SIZE))
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return made


def _join(place: int, count: int) -> str:
    if place == 0:
        return "left"
    return "right" if place == count - 1 else "middle"


def _group(buttons: list[QToolButton]) -> QButtonGroup:
    group = QButtonGroup(buttons[0])
    for made in buttons:
        group.addButton(made)
    buttons[0].setChecked(True)
    return group
