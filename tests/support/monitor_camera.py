"""A camera for the monitor: takes what stands on the screen, window, dialogs and menus together."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QPoint, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QDialog, QLabel, QMenu, QWidget

from monitor_app import gui
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Source
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme

_PATIENCE_S: Final = 45.0
_PAINTED_S: Final = 0.1
"""What the screen lags behind the window."""
_MOST_DROPS: Final = 5
"""How often a menu is dropped again that somebody closed: a screen without a window manager does."""


class Photographer:
    """Takes one picture a state.

    Attributes:
        folder: Where to.
        mode: The theme.
    """

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.mode = mode
        self._application = gui._application()
        self._scratch = tempfile.TemporaryDirectory()

    def close(self) -> None:
        """Forget the settings of every window."""
        self._scratch.cleanup()

    def settings(self) -> Settings:
        """Return settings of their own."""
        return Settings(Path(tempfile.mkdtemp(dir=self._scratch.name)) / "settings.ini")

    @contextmanager
    def window(self, source: Source, settings: Settings | None = None) -> Iterator[MainWindow]:
        """Open a window that fills the screen."""
        window = MainWindow(Ingest(source), Theme(self.mode), "picture", settings or self.settings())
        window.resize(self._application.primaryScreen().size())
        window.move(0, 0)
        window.start()
        try:
            yield window
        finally:
            window.close()
            window.deleteLater()  # now and here: the garbage collector may run on any thread, and Qt's windows belong to this one
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    def take(self, window: MainWindow, name: str, shows: str | Callable[[], object], rest_s: float = 0.3) -> None:
        """Take the screen once it shows what the picture is of, and still does when it is taken.

        `shows`: words that stand on the screen, or a question whose answer is yes. Raises `TimeoutError` with the name of the
        picture: one of something else would be looked at for nothing.
        """
        question = (lambda: stands(shows)) if isinstance(shows, str) else shows
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            spin(rest_s)
            window.refresh()
            spin(_PAINTED_S)
            if question():
                paint_all()
                taken = self._application.primaryScreen().grabWindow(0)
                if question():
                    taken.save(str(self.folder / f"{name}.png"))
                    return
        raise TimeoutError(f"{name}: the screen does not show {shows!r}")

    def take_dialog(self, window: MainWindow, name: str, command: str) -> None:
        """Take a dialog that a command opens, and close it."""
        getattr(window.actions_, command).trigger()
        self.take(window, name, lambda: has_dialog(window))
        close_dialogs(window)

    def take_menu(self, window: MainWindow, name: str, menu: QMenu, at: QPoint) -> None:
        """Take a menu that has dropped; drop it again where it was closed before it was taken."""
        drops = iter(range(_MOST_DROPS))

        def is_down() -> bool:
            if not menu.isVisible() and next(drops, None) is not None:
                menu.popup(at)
                spin(_PAINTED_S)
            return menu.isVisible()

        self.take(window, name, is_down)
        menu.close()
        spin(_PAINTED_S)

    def take_list(self, window: MainWindow, name: str, chooser: QComboBox) -> None:
        """Take a list that has dropped."""
        chooser.showPopup()
        self.take(window, name, chooser.view().isVisible)
        chooser.hidePopup()
        spin(_PAINTED_S)


def spin(seconds: float) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def wait_for(what: Callable[[], object]) -> None:
    """Let the window live until something is so. Raises `TimeoutError`."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not what():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} did not come about")
        spin(0.05)


def close_dialogs(window: QWidget) -> None:
    """Close every dialog of a window."""
    for dialog in window.findChildren(QDialog):
        dialog.close()
    spin(_PAINTED_S)


def open_dialog(window: QWidget) -> QDialog:
    """Return the dialog that is open."""
    return next(dialog for dialog in window.findChildren(QDialog) if dialog.isVisible())


def paint_all() -> None:
    """Have what the labels say on the screen: a window that is painted a few times a second shows what they said before."""
    for top in QApplication.topLevelWidgets():
        if top.isVisible():
            top.repaint()
    QGuiApplication.sync()
    spin(_PAINTED_S)


def has_dialog(window: QWidget) -> bool:
    """Return whether a dialog is open."""
    return any(dialog.isVisible() for dialog in window.findChildren(QDialog))


def stands(words: str) -> bool:
    """Return whether these words stand on a label or a button that is on the screen."""
    shown = (top for top in QApplication.topLevelWidgets() if top.isVisible())
    parts = (part for top in shown for part in (*top.findChildren(QLabel), *top.findChildren(QAbstractButton)))
    return any(words in part.text() for part in parts if part.isVisible())
