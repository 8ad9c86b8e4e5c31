"""The pictures for people show what they are named for, or are not taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication
from support import monitor_camera
from support.monitor_camera import Photographer, has_dialog, stands

from monitor_app.main_window import MainWindow
from monitor_app.theme import Mode


@pytest.fixture
def camera(qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Photographer]:
    """Yield a camera that waits for half a second at most."""
    monkeypatch.setattr(monitor_camera, "_PATIENCE_S", 0.5)
    made = Photographer(tmp_path, Mode.DARK)
    yield made
    made.close()


def test_a_picture_of_something_else_is_not_taken(window: MainWindow, camera: Photographer) -> None:
    """Words that are not on the screen, or a state that does not come: an error names the picture, and there is no file."""
    for shows in ("AUDIO_IN is starved", lambda: has_dialog(window)):
        with pytest.raises(TimeoutError, match="11-starved"):
            camera.take(window, "11-starved", shows, 0.01)
    assert list(camera.folder.iterdir()) == []


def test_a_picture_is_taken_of_what_is_on_the_screen(window: MainWindow, camera: Photographer) -> None:
    """Words of the sentence on top are; those of a part that is hidden are not."""
    camera.take(window, "10-calm", "Nobody waits", 0.01)
    assert [path.name for path in camera.folder.iterdir()] == ["10-calm.png"]
    assert stands("Try again") == window.banner.isVisible()


def test_a_menu_that_was_closed_is_dropped_again(
    window: MainWindow, camera: Photographer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closed it: the picture is of the menu, which is closed afterwards."""
    monkeypatch.setattr(monitor_camera, "_PATIENCE_S", 10.0)
    drops: list[QPoint] = []
    menu: Any = SimpleNamespace(popup=drops.append, isVisible=lambda: len(drops) > 2, close=drops.clear)
    camera.take_menu(window, "70-menu", menu, QPoint(3, 4))
    assert (camera.folder / "70-menu.png").is_file()
    assert drops == []
