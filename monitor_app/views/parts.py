"""Small pieces that several views are made of."""

from __future__ import annotations

import html

from PySide6.QtCore import QMargins, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDockWidget,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QWidget,
)

TITLE_HEIGHT = 26
FIELD_HEIGHT = 24
# Put together once: to join flags takes Python longer than to draw a word.
# Not clipped: in a line of its own height the underscores of a name would be cut off, and it is cut to its width already.
_ONE_LINE = int(Qt.TextFlag.TextSingleLine | Qt.TextFlag.TextDontClip)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter) | _ONE_LINE
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter) | _ONE_LINE


def label(text: str = "", tone: str = "") -> QLabel:
    """Return a label in one of the tones of the style sheet: title, muted, small, bad, page. Text is never markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if tone:
        made.setProperty("tone", tone)
    return made


def wrapping_label(tone: str = "") -> QLabel:
    """Return a label that breaks its lines and can be copied from."""
    made = label("", tone)
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made


def as_tip(text: str) -> str:
    """Return `text` as a tooltip that shows it as it is: Qt would take what looks like markup for markup."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text


def button(text: str, accessible_name: str, look: str = "") -> QPushButton:
    """Return a push button; `look` is main or ours in the style sheet."""
    made = QPushButton(text)
    made.setAccessibleName(accessible_name)
    made.setIconSize(QSize(12, 12))
    if look:
        made.setProperty("look", look)
    return made


def toggle_row(*buttons: QWidget) -> QWidget:
    """Return buttons side by side without a gap, joined into one control."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for made in buttons:
        layout.addWidget(made)
    return row


_PAINTED_BY_THE_STYLE = (QComboBox, QSpinBox, QDoubleSpinBox, QLineEdit, QPlainTextEdit)


def dress_fields(root: QWidget, palette: QPalette) -> None:
    """Give the fields within `root` their colours.

    Below a style sheet palettes are not inherited, and these are better drawn by the style than by a sheet. The line
    edits are those within the spin boxes.
    """
    for kind in _PAINTED_BY_THE_STYLE:
        for field in root.findChildren(kind):
            field.setPalette(palette)


def grow(dialog: QDialog) -> None:
    """Make a dialog as high as its text needs at its width; it never shrinks under the hand."""
    layout = dialog.layout()
    if layout is not None:
        layout.activate()
        dialog.resize(dialog.width(), max(dialog.height(), layout.totalHeightForWidth(dialog.width())))


def set_tone(widget: QLabel, tone: str) -> None:
    """Give a label another tone. A style sheet looks at properties only when it is told to."""
    _set(widget, "tone", tone)


def set_role(widget: QWidget, role: str) -> None:
    """Give a frame another role of the style sheet."""
    _set(widget, "role", role)


def set_look(widget: QWidget, look: str) -> None:
    """Give a button or a table another look of the style sheet."""
    _set(widget, "look", look)


def set_sheet(widget: QWidget, sheet: str) -> None:
    """Give a widget another style sheet; the same again costs nothing, which Qt would lay it out anew for."""
    if widget.styleSheet() != sheet:
        widget.setStyleSheet(sheet)


def _set(widget: QWidget, name: str, value: str) -> None:
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def sized(font: QFont, pixels: int, *, bold: bool = False) -> QFont:
    """Return `font` at a size in pixels."""
    made = QFont(font)
    made.setPixelSize(pixels)
    made.setBold(bold)
    return made


def put_name(painter: QPainter, rect: QRect, name: str, colour: str | QColor) -> None:
    """Draw the name of a channel in `rect`; of one that does not fit its two ends, since many differ at the end only."""
    put_text(painter, rect, painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, rect.width()), colour)


def put_text(painter: QPainter, rect: QRect, text: str, colour: str | QColor, *, right: bool = False) -> None:
    """Draw one line of text in `rect`, cut with an ellipsis where it does not fit."""
    painter.setPen(QColor(colour))
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, _RIGHT if right else _LEFT, shown)


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis where the room does; its tooltip then has all of it."""

    def __init__(self, text: str, tone: str = "") -> None:
        super().__init__(text)
        self._tip = ""
        self.setProperty("tone", tone)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def tell_when_pointed_at(self, tip: str) -> None:
        """Have a tooltip beside the text, or the whole of it."""
        self._tip = tip

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint what there is room for."""
        room = self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room.width())
        is_whole = shown == self.text()
        tip = as_tip(". ".join(words for words in ("" if is_whole else self.text(), self._tip) if words))
        if tip != self.toolTip():
            self.setToolTip(tip)
        if is_whole:  # only then can it be selected
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.drawText(room, self.alignment(), shown)
        painter.end()


class TitleBar(QFrame):
    """The title of a dock or of the centre: name, a few words of detail, and room for controls on the right.

    Attributes:
        detail: The words beside the name.
        row: The layout, for more widgets.
    """

    def __init__(self, name: str, role: str = "dock-title") -> None:
        super().__init__()
        self.setProperty("role", role)
        self.setFixedHeight(TITLE_HEIGHT)
        self.detail = ElidedLabel("", "muted")
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(QMargins(8, 0, 4, 0))
        self.row.setSpacing(8)
        self.row.addWidget(label(name, "title"))
        self.row.addWidget(self.detail, 1)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size of the height that it has: a dock asks for no other, and would lay what is in it under the title."""
        return super().sizeHint().expandedTo(self.minimumSize())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the same of the least size."""
        return super().minimumSizeHint().expandedTo(self.minimumSize())


class Dock(QDockWidget):
    """A dock with a title bar of our own.

    Attributes:
        bar: The title bar.
    """

    def __init__(self, name: str, content: QWidget, parent: QWidget) -> None:
        super().__init__(name, parent)
        self.setAccessibleName(name)
        self.setObjectName(f"dock-{name}")
        self.setWidget(content)
        self.bar = TitleBar(name)
        self.setTitleBarWidget(self.bar)
        self._floater = self._small_button("❐", f"Float {name}")
        self._floater.clicked.connect(self._on_float)
        self._closer = self._small_button("✕", f"Close {name}")
        self._closer.clicked.connect(self.close)

    def put(self, widget: QWidget) -> None:
        """Put a control into the title bar, left of the two small buttons."""
        self.bar.row.insertWidget(self.bar.row.count() - 2, widget)

    def _small_button(self, text: str, name: str) -> QToolButton:
        made = QToolButton()
        made.setText(text)
        made.setAccessibleName(name)
        made.setToolTip(name)
        made.setProperty("look", "bare")
        made.setFixedSize(20, 20)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.bar.row.addWidget(made)
        return made

    def _on_float(self) -> None:
        self.setFloating(not self.isFloating())
