"""Every control has a name, for those who cannot see it."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QToolButton,
    QWidget,
)

from monitor_app.main_window import MainWindow


def nameless(root: QWidget) -> list[str]:
    """Return the controls within `root` that a screen reader could not name."""
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QAbstractItemView, QPlainTextEdit, QProgressBar)
    found = []
    for kind in kinds:
        for widget in root.findChildren(kind):
            inner = widget.objectName().startswith("qt_") or isinstance(widget.parent(), (QAbstractSpinBox, QComboBox, QLineEdit))
            header = "Header" in type(widget).__name__
            private = type(widget).__module__.startswith("PySide6") and isinstance(widget.parentWidget(), QComboBox)
            popup = widget.window() is not root.window() and not isinstance(widget.window(), QDialog)
            if not (inner or header or private or popup) and not widget.accessibleName():
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                if not text:
                    found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    return found


def test_every_control_of_the_window_has_a_name(window: MainWindow, source: Any) -> None:
    """All widgets are walked, in every state that brings more of them."""
    window.control.strategy.fold.setChecked(True)
    for place in range(window.control.strategy.chooser.count()):
        window.control.strategy.chooser.setCurrentIndex(place)
        assert nameless(window) == []
    source.lose()
    window.refresh()
    assert nameless(window) == []


def test_every_control_of_every_dialog_has_a_name(window: MainWindow, source: Any) -> None:
    """Connect, export, shortcuts, diagnostics, clear the queue."""
    source.change("USER", queued=1, backlog=1)
    window.refresh()
    for name in ("connect_to", "export", "shortcuts", "diagnostics", "clear_queue"):
        getattr(window.actions_, name).trigger()
        dialog = next(made for made in window.findChildren(QDialog) if made.isVisible())
        assert nameless(dialog) == [], name
        fields = [field for kind in (QLineEdit, QComboBox) for field in dialog.findChildren(kind) if field.isVisible()]
        assert all(field.grab().toImage().pixelColor(field.width() - 24, 6).lightness() < 90 for field in fields), name
        dialog.reject()
        QApplication.sendPostedEvents(None, 52)


def test_buttons_without_words_have_a_name_and_a_tooltip(window: MainWindow) -> None:
    """The two small buttons of a dock say what they do."""
    small = [made for made in window.findChildren(QToolButton) if made.text() in {"❐", "✕"}]
    assert len(small) == 2 * len(window.docks.by_name)
    assert all(made.accessibleName() and made.toolTip() for made in small)
