"""What was refused: in words for an operator, beside the fields, as long as it is of use; and fields that look as they are."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from monitor_app.colours import Colours
from monitor_app.main_window import MainWindow
from monitor_app.model.audit import Outcome
from monitor_app.model.last_word import RESTS_S, LastWord
from monitor_app.model.source import Notice
from monitor_app.theme import Mode

LEFT = Qt.MouseButton.LeftButton
THEMES = [Mode.DARK, Mode.LIGHT]
MOST_LINES = 2
_BESIDE = 18
"""Pixels of a field that its text cannot have: border, padding and what Qt leaves beside it."""
_NEAR = 10
"""Steps of lightness, of 255, that nobody tells apart in a line."""


def refused(time_s: float) -> Notice:
    """Return a refusal."""
    return Notice(time_s=time_s, channel="USER", action="request", result="no", ok=False)


def test_a_refusal_goes_after_a_while_or_when_it_is_touched(clock: Any) -> None:
    """Ten seconds, or a change of what was refused, whichever comes first; what went well stays."""
    word = LastWord(clock)
    first = refused(clock.time_s)
    assert not word.is_over(first)
    clock.time_s += RESTS_S - 0.1
    assert not word.is_over(first)
    clock.time_s += 0.1
    assert word.is_over(first)
    assert not word.is_over(Notice(time_s=0.0, channel="USER", action="request", result="asked", ok=True))
    second = refused(clock.time_s)
    clock.time_s += 0.1
    word.touch()
    assert word.is_over(second)


def test_before_the_first_request_it_says_that_the_operator_made_none(window: MainWindow) -> None:
    """A script or its strategy may have asked, which the plots show: that nobody did would be wrong."""
    assert window.control.request._result.text() == "You have asked for nothing yet."


def ask_for_nothing(qtbot: QtBot, window: MainWindow) -> str:
    """Ask for no credit by hand; return what is said of it."""
    window.control.request.messages.setValue(0)
    window.control.request.kibibytes.setValue(0)
    qtbot.mouseClick(window.control.request.send, LEFT)
    window.refresh()
    return window.control.request._result.text()


def test_to_ask_for_nothing_is_refused_in_words_for_an_operator(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Before it reaches the client; the sentence has room in two lines, and the audit trail keeps it."""
    said = ask_for_nothing(qtbot, window)
    assert said.endswith("Nothing to ask for: enter at least 1 message or 1 KiB.")
    assert "_" not in said
    assert source.calls == []
    label = window.control.request._result
    lines = label.heightForWidth(label.width()) / QFontMetrics(label.font()).lineSpacing()
    assert 1 <= round(lines) <= MOST_LINES
    assert window.ingest.audit.entries[-1].outcome is Outcome.REFUSED


@pytest.mark.parametrize("field", ["messages", "kibibytes"])
def test_a_refused_request_is_let_go_when_another_is_entered(qtbot: QtBot, window: MainWindow, clock: Any, field: str) -> None:
    """By typing into either field: what was said was said of other numbers."""
    assert "at least" in ask_for_nothing(qtbot, window)
    clock.time_s += 1.0
    asked: QSpinBox = getattr(window.control.request, field)
    asked.selectAll()
    qtbot.keyClicks(asked, "7")
    result = window.control.request._result
    assert "at least" not in result.text()
    assert result.property("tone") == "small"


def test_a_refused_request_is_let_go_after_a_while(qtbot: QtBot, window: MainWindow, clock: Any) -> None:
    """Whoever comes back later does not find it under the fields, but that it was refused, and where that is written."""
    ask_for_nothing(qtbot, window)
    clock.time_s += RESTS_S
    window.refresh()
    assert window.control.request._result.text() == "Refused last; the log says why."


# ---- Fields that can and cannot be filled in


def luminance(colour: QColor) -> float:
    """Return the relative luminance of a colour, as WCAG 2 has it."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def pixels(widget: QWidget) -> list[QColor]:
    """Return the inner pixels of a widget, without its frame."""
    image: QImage = widget.grab().toImage()
    return [image.pixelColor(x, y) for x in range(4, image.width() - 4) for y in range(4, image.height() - 4)]


def ground_of(widget: QWidget) -> str:
    """Return the colour that most of a widget has."""
    names = [pixel.name() for pixel in pixels(widget)]
    return max(set(names), key=names.count)


def best_contrast(widget: QWidget) -> float:
    """Return the contrast of the darkest or lightest ink of a widget to its ground."""
    ground = QColor(ground_of(widget))
    return max(contrast(pixel, ground) for pixel in pixels(widget))


def colours_of(window: MainWindow, mode: Mode) -> Colours:
    """Choose a theme by its menu entry."""
    window.actions_.modes[mode].trigger()
    window.refresh()
    return window._theme.colours


@pytest.mark.parametrize("mode", THEMES)
def test_placeholders_can_be_read(window: MainWindow, mode: Mode) -> None:
    """In every field of the window with one, at 4.5:1 and more, as far as the painting of thin strokes lets it be measured."""
    colours = colours_of(window, mode)
    assert contrast(QColor(colours.muted), QColor(colours.field)) >= 4.5
    fields = [found for found in window.findChildren(QLineEdit) if found.placeholderText() and found.isVisible()]
    assert {found.placeholderText() for found in fields} == {"Filter text", "why, for peer and audit trail"}
    for found in fields:
        assert found.palette().placeholderText().color() == QColor(colours.muted)
        assert best_contrast(found) >= 4.5
        room = found.width() - 2 * QLineEdit.textMargins(found).left() - _BESIDE
        assert found.fontMetrics().horizontalAdvance(found.placeholderText()) <= room


def fields_of(window: MainWindow) -> list[QWidget]:
    """Return the fields of the control dock in which something can be entered."""
    window.control.strategy.fold.setChecked(True)
    window.control.strategy.chooser.setCurrentIndex(2)
    kinds = (QSpinBox, QDoubleSpinBox, QComboBox)
    found: list[QWidget] = [field for kind in kinds for field in window.control.findChildren(kind)]
    window.control.pause.reason.setText("drill")  # not typed, which would keep it enabled
    return [*found, window.control.pause.reason, window.control.test_message.text]


def outline_of(field: QWidget) -> int:
    """Return how light the outline of a field is, in the middle of its upper edge: what is furthest from the field's ground."""
    image = field.grab().toImage()
    ground = image.pixelColor(image.width() // 2, image.height() // 4).lightness()
    edge = [image.pixelColor(image.width() // 2, y).lightness() for y in range(3)]
    return max(edge, key=lambda lightness: abs(lightness - ground))


@pytest.mark.parametrize("mode", THEMES)
def test_a_field_that_takes_nothing_looks_so(window: MainWindow, source: Any, mode: Mode) -> None:
    """Without a connection the fields are disabled like the buttons beside them: quiet words on the ground of the panel."""
    colours = colours_of(window, mode)
    fields = fields_of(window)
    window.refresh()
    assert {type(field) for field in fields} == {QSpinBox, QDoubleSpinBox, QComboBox, QLineEdit}
    enabled = [best_contrast(field) for field in fields]
    outlines = [outline_of(field) for field in fields]
    assert all(field.isEnabled() for field in fields)
    source.lose()
    window.refresh()
    assert not any(field.isEnabled() for field in fields)
    assert all("no connection" in field.toolTip() for field in fields)
    panel = QColor(colours.panel).lightness()
    for field, before, outline in zip(fields, enabled, outlines, strict=True):
        assert best_contrast(field) < before / 1.5
        if not isinstance(field, QComboBox):  # whose ground the style shades
            assert QColor(ground_of(field)) == QColor(colours.panel)
            assert abs(outline_of(field) - panel) < abs(outline - panel), "its outline is fainter than it was"
            buttons = QColor(colours.inner).lightness()
            assert mode is Mode.DARK or abs(outline_of(field) - buttons) < _NEAR, "it is as those of the buttons beside it"


def test_a_field_that_is_typed_in_keeps_the_hands(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """When the line breaks under somebody who types, the next letters are not taken for commands."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    reason = window.control.pause.reason
    reason.setFocus()
    qtbot.keyClicks(reason, "drill")
    source.lose()
    window.refresh()
    assert reason.palette().placeholderText().color() == QColor(window._theme.colours.muted)
    assert window.focusWidget() is reason
    assert reason.isEnabled()
    window.table.setFocus()
    window.refresh()
    assert not reason.isEnabled()
    assert reason.palette().placeholderText().color() == QColor(window._theme.colours.disabled)
