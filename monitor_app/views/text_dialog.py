"""A text to read and to copy: diagnostics, a crash report."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from monitor_app.views.parts import button, dress_fields, label, wrapping_label


class TextDialog(QDialog):
    """A headline, a sentence, a text, and a button that copies it.

    Attributes:
        text: The text.
        copy: Copies it.
        buttons: The row of buttons, for more of them.
        close_button: Closes.
    """

    def __init__(self, title: str, sentence: str, text: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 480)
        self._sentence = wrapping_label()
        self._sentence.setText(sentence)
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName(title)
        self.copy: QPushButton = button("&Copy", "Copy the text")
        self.close_button: QPushButton = button("C&lose", "Close")
        self.buttons = QHBoxLayout()
        self.buttons.addWidget(self.copy)
        self.buttons.addStretch(1)
        self.buttons.addWidget(self.close_button)
        self._lay_out(title)
        if parent is not None:
            dress_fields(self, parent.palette())
        self.close_button.setDefault(True)
        self.copy.clicked.connect(self._on_copy)
        self.close_button.clicked.connect(self.accept)

    def _lay_out(self, title: str) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(10)
        column.addWidget(label(title, "page"))
        column.addWidget(self._sentence)
        column.addWidget(self.text, 1)
        column.addLayout(self.buttons)

    @Slot()
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.copy.setText("Copied")
