"""What is looked at: disabled icons, arrows in the colours of the theme, signs that promise no more than is so, fine lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHeaderView,
    QLabel,
    QPushButton,
    QStyleOptionViewItem,
    QToolButton,
    QTreeView,
    QWidget,
)
from pytestqt.qtbot import QtBot
from support.states import make_channel, make_connection
from support.still_clock import StillClock

from monitor_app.colours import DARK, Colours
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.picture import Picture
from monitor_app.model.source import Failure
from monitor_app.theme import Mode, Theme
from monitor_app.views import signs
from monitor_app.views.attach_dialog import AttachDialog
from monitor_app.views.plotting import Canvas
from monitor_app.views.shortcut_sheet import ShortcutSheet

LEFT = Qt.MouseButton.LeftButton
THEMES = [Mode.DARK, Mode.LIGHT]


def lightness(colour: QColor) -> float:
    """Return how light a colour is, from 0 to 1."""
    return 0.299 * colour.redF() + 0.587 * colour.greenF() + 0.114 * colour.blueF()


def colours_of(window: MainWindow, mode: Mode) -> Colours:
    """Choose a theme by its menu entry."""
    window.actions_.modes[mode].trigger()
    window.refresh()
    return window._theme.colours


def inks(icon: QIcon, mode: QIcon.Mode) -> set[str]:
    """Return the opaque colours of an icon."""
    image = icon.pixmap(2 * signs.SIZE, 2 * signs.SIZE, mode).toImage()
    pixels = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return {pixel.name().upper() for pixel in pixels if pixel.alpha() == 255}


@pytest.mark.parametrize("mode", THEMES)
def test_an_icon_on_a_disabled_button_is_as_quiet_as_its_word(qtbot: QtBot, window: MainWindow, source: Any, mode: Mode) -> None:
    """Pause and Resume take turns, and so do their signs, in both themes."""
    colours = colours_of(window, mode)
    pause = window.control.pause
    for held, off in ((False, pause.resume), (True, pause.pause)):
        source.change("USER", paused_by_us=held)
        window.refresh()
        assert not off.isEnabled()
        assert inks(off.icon(), QIcon.Mode.Disabled) == {colours.disabled.upper()}
        assert colours.disabled.upper() not in inks(off.icon(), QIcon.Mode.Normal)


@pytest.mark.parametrize("mode", THEMES)
def test_channels_are_chosen_by_shape_as_well_as_colour(window: MainWindow, mode: Mode) -> None:
    """Beside its name in the control dock a channel has the shape that it has in the table; no two are alike, and none is cut."""
    colours_of(window, mode)
    chooser = window.control.chooser
    pictures = [chooser.itemIcon(place).pixmap(chooser.iconSize()).toImage() for place in range(chooser.count())]
    outlines = []
    for image in pictures:
        side = image.width()
        outlines.append(tuple(image.pixelColor(x, y).alpha() > 127 for x in range(side) for y in range(side)))
        edge = [image.pixelColor(*at) for i in range(side) for at in ((i, 0), (0, i), (i, side - 1), (side - 1, i))]
        assert not any(pixel.alpha() > 127 for pixel in edge)
    assert len(set(outlines)) == len(pictures) == 5


@pytest.mark.parametrize("mode", THEMES)
def test_the_arrow_of_the_sorted_column_can_be_seen(qtbot: QtBot, window: MainWindow, mode: Mode) -> None:
    """In the chooser of a file, on the heading of the names: dark on light, and light on dark."""
    colours = colours_of(window, mode)
    window.actions_.save_plots.trigger()
    (chooser,) = window.findChildren(QFileDialog)
    header = next(header for header in chooser.findChildren(QHeaderView) if header.isVisible())
    QApplication.processEvents()
    image = header.grab().toImage()
    column = QRect(header.sectionPosition(0), 0, header.sectionSize(0), image.height())
    arrow = [image.pixelColor(x, y) for x in range(column.right() - 14, column.right() - 3) for y in range(image.height() - 3)]
    ground = QColor(colours.panel)
    assert max(abs(lightness(pixel) - lightness(ground)) for pixel in arrow) > 0.4
    chooser.close()


@pytest.mark.parametrize("mode", THEMES)
def test_the_chooser_of_a_file_has_the_signs_of_the_window(qtbot: QtBot, window: MainWindow, tmp_path: Path, mode: Mode) -> None:
    """Its buttons, its folders and its files are drawn in the colours of the theme; Save and Cancel have words only."""
    colours = colours_of(window, mode)
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    window.actions_.save_plots.trigger()
    (chooser,) = window.findChildren(QFileDialog)
    chooser.setDirectory(str(tmp_path))
    view = chooser.findChild(QTreeView, "treeView")
    assert isinstance(view, QTreeView)
    qtbot.waitUntil(lambda: view.model().rowCount(view.rootIndex()) == 2, timeout=5000)
    tools = [tool for tool in chooser.findChildren(QToolButton) if not tool.icon().isNull()]
    assert len(tools) == 6
    for tool in tools:
        assert inks(tool.icon(), QIcon.Mode.Normal) <= {colours.text.upper()}
    drawn = set()
    for row in range(2):
        option = QStyleOptionViewItem()
        view.itemDelegate().initStyleOption(option, view.model().index(row, 0, view.rootIndex()))
        assert inks(option.icon, QIcon.Mode.Normal) <= {colours.muted.upper()}
        drawn.add(bytes(option.icon.pixmap(signs.SIZE, signs.SIZE).toImage().constBits()))
    assert len(drawn) == 2, "a folder and a file are told apart"
    words = [button for button in chooser.findChildren(QPushButton) if button.isVisible()]
    assert {button.text() for button in words} == {"&Save", "Cancel"}
    assert all(button.icon().isNull() for button in words)
    chooser.close()


def sign_of(window: MainWindow) -> QImage:
    """Return the sign of the sentence on top."""
    return window.answer._sign.pixmap().toImage()


def picture(sign: signs.Sign, window: MainWindow) -> QImage:
    """Return a sign as that sentence would have it, while it is calm."""
    colours = window._theme.colours
    icon = signs.icon(sign, colours.text, colours.header)
    return icon.pixmap(signs.SIZE, signs.SIZE).toImage()


def test_only_calm_is_ticked(window: MainWindow, source: Any) -> None:
    """Nobody waits: a tick. No channels yet: none, for nothing is known."""
    assert window.answer.title.text() == "Nobody waits"
    assert sign_of(window) == picture(signs.CHECK, window)
    source.state = None
    window.ingest.reset()
    window.refresh()
    assert window.answer.title.text() == "No channels yet"
    assert sign_of(window) != picture(signs.CHECK, window)


@pytest.mark.parametrize("how", ["connecting", "reconnecting", "failed", "cancelled"])
def test_the_connection_has_one_sign_wherever_it_is_told_of(window: MainWindow, source: Any, how: str) -> None:
    """On top, in the banner and in the status bar: an hourglass while connecting, and not beside it that it is offline."""
    source.state = make_connection(connected=False, phase="offline" if how == "reconnecting" else "closed")
    source.connecting = how == "connecting"
    if how in {"failed", "cancelled"}:
        source.failure = Failure(title="The server cannot be reached", text="Refused.", is_ours=how == "cancelled")
    window.refresh()
    colours = window._theme.colours
    sign = {"connecting": signs.BUSY, "reconnecting": signs.TURN, "failed": signs.TROUBLE, "cancelled": signs.OFFLINE}[how]
    labels = (window.answer._sign, window.banner._sign, window._status._sign)
    shapes = [shape_of(label.pixmap().toImage()) for label in labels]
    assert shapes == [shape_of(signs.icon(sign, colours.text, colours.panel).pixmap(signs.SIZE, signs.SIZE).toImage())] * 3


def shape_of(image: QImage) -> list[int]:
    """Return where a sign has ink, whatever its colour."""
    return [image.pixelColor(x, y).alpha() for y in range(image.height()) for x in range(image.width())]


def test_a_button_that_is_disabled_says_so_by_its_word_too(window: MainWindow, source: Any) -> None:
    """Its text has the colour of what is disabled, and its tooltip the reason."""
    off: QPushButton = window.control.pause.resume
    assert off.toolTip() == "We have not paused it."
    assert window._theme.colours.disabled.upper() in inks_of_widget(off)
    assert window.control.findChild(QLabel) is not None


def inks_of_widget(widget: QPushButton) -> set[str]:
    """Return the colours that a widget is painted in."""
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name().upper() for x in range(image.width()) for y in range(image.height())}


def widest(image: QImage, colour: str, first: QPoint, step: QPoint) -> int:
    """Return how many pixels of this colour stand together at most, on the way from a pixel on."""
    best = run = 0
    place = first
    while image.rect().contains(place):
        run = run + 1 if image.pixelColor(place) == QColor(colour) else 0
        best, place = max(best, run), place + step
    return best


@pytest.mark.parametrize("scale", [1, 2])
def test_lines_are_as_wide_on_a_fine_screen(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, source: Any, scale: int) -> None:
    """Curve, grid and crosshair are one pixel of the window, whatever that is on the screen, which may change."""
    clock = StillClock()
    ingest = Ingest(source, clock)
    for _ in range(100):
        clock.time_s += 0.5
        ingest.history.append(clock.time_s, make_connection(channels={"USER": make_channel(credits=37)}))
    picture = Picture(ingest)
    picture.viewport.show_last(30.0)
    canvas = Canvas(Theme(Mode.DARK))
    qtbot.addWidget(canvas)
    canvas.resize(400, 400)
    canvas.set_span(30.0)
    canvas.show()
    canvas.draw(picture.frame())
    monkeypatch.setattr(canvas, "devicePixelRatioF", lambda: float(scale))  # as on another screen
    canvas.draw(picture.frame())
    canvas.set_cursor(-7.3)
    QApplication.processEvents()
    image = QImage(400 * scale, 400 * scale, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(scale)
    QWidget.render(canvas, image, QPoint(0, 0))
    rect = canvas.rects()[0]
    image.setDevicePixelRatio(1)
    from_top, from_left = QPoint((rect.center().x() + 5) * scale, 0), QPoint(20 * scale, (rect.top() + 3) * scale)
    down, right = QPoint(0, 1), QPoint(1, 0)
    image = image.copy(0, 0, 380 * scale, rect.bottom() * scale)  # without the edges
    assert widest(image, DARK.channels[0], from_top, down) == scale
    assert widest(image, DARK.grid, from_top + QPoint(0, 6 * scale), down) == scale
    assert widest(image, DARK.grid, from_left, right) == scale
    assert widest(image, DARK.text, from_left, right) == scale


@pytest.mark.parametrize("mode", THEMES)
def test_no_button_that_is_disabled_is_brighter_than_one_that_can_be_pressed(
    qtbot: QtBot, source: Any, clock: Any, mode: Mode
) -> None:
    """On the ground of toolbars and dialogs, which is the darkest of a light window: what is white there would stand out."""
    source.state = None
    window = MainWindow(Ingest(source, clock), Theme(mode), "test")
    qtbot.addWidget(window)
    window.start()
    window.actions_.attach.trigger()
    dialog = window.findChild(AttachDialog)
    assert dialog is not None
    QApplication.processEvents()
    select, plots = window.flow.tools[0], next(made for made in window._bar.findChildren(QToolButton) if made.menu() is not None)
    assert (select.isEnabled(), dialog.attach.isEnabled(), plots.isEnabled()) == (False, False, True)
    for off, on in ((select, plots), (dialog.attach, dialog._cancel)):
        assert lightness(ground_of(off)) <= lightness(ground_of(on))
        assert ground_of(off) != QColor(window._theme.colours.window), "it is still seen to be a button"
    dialog.reject()


def ground_of(button: QWidget) -> QColor:
    """Return what a button is filled with."""
    return button.grab().toImage().pixelColor(5, 5)


@pytest.mark.parametrize("mode", THEMES)
def test_a_command_that_cannot_be_done_looks_so_when_it_is_chosen(window: MainWindow, source: Any, mode: Mode) -> None:
    """In the sheet of shortcuts, where the arrows go to what cannot be done too: its words are as quiet as those of its like."""
    colours = colours_of(window, mode)
    source.can_reconnect = False
    window.refresh()
    window.actions_.shortcuts.trigger()
    sheet = window.findChild(ShortcutSheet)
    assert isinstance(sheet, ShortcutSheet)
    sheet.table.setFocus()
    QApplication.processEvents()
    table = sheet.table
    assert table.item(0, 1).text().startswith("Connect…: not now")
    ground = QColor(colours.selected)
    loudest = []
    for row in (0, 1):
        table.selectRow(row)
        QApplication.processEvents()
        inks = pixels_of(table.viewport(), table.visualItemRect(table.item(row, 1)))
        loudest.append(max(abs(lightness(pixel) - lightness(ground)) for pixel in inks))
    quiet = abs(lightness(QColor(colours.disabled)) - lightness(ground))
    assert loudest[0] <= quiet + 0.03 < loudest[1]
    table.selectRow(0)
    sheet.search.setText("export the log")
    assert (table.currentRow(), table.property("look")) == (0, "")
    sheet.reject()


def pixels_of(widget: QWidget, rect: QRect) -> list[QColor]:
    """Return the pixels of a part of a widget, but for its edge, where the focus may be drawn."""
    image, inner = widget.grab().toImage(), rect.adjusted(3, 3, -3, -3)
    return [image.pixelColor(x, y) for x in range(inner.left(), inner.right()) for y in range(inner.top(), inner.bottom())]


def test_the_menu_and_the_button_that_fold_agree(window: MainWindow, source: Any) -> None:
    """With nothing idle neither can be pressed, and both say that idle channels would be folded; else both can be."""
    menu, button = window.actions_.fold_idle, window.flow._bar.fold
    for enabled in (True, False):
        window.flow._bar.show_folding(3 if enabled else 0, folds=True)
        assert (menu.isEnabled(), button.isEnabled()) == (enabled, enabled)
        assert (menu.isChecked(), button.isChecked()) == (True, True)
    assert menu.toolTip() == button.toolTip() == "No channel is idle in the visible span."
    window.flow._bar.show_folding(0, folds=False)
    assert (menu.isEnabled(), button.isEnabled(), button.isChecked()) == (True, True, False)
