"""Signs and colours."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from monitor_app.colours import DARK, LIGHT, Colours
from monitor_app.model.event_log import Tone
from monitor_app.model.marks import MarkKind
from monitor_app.model.status import Status
from monitor_app.style_sheet import style_sheet
from monitor_app.theme import Mode, Theme
from monitor_app.views import signs


def bits(sign: signs.Sign) -> bytes:
    """Return a sign as pixels."""
    image = signs.icon(sign, "#FFFFFF", "#000000").pixmap(signs.SIZE, signs.SIZE).toImage()
    return bytes(image.constBits())


def test_every_state_has_a_sign_of_its_own(qtbot: QtBot) -> None:
    """No two states are told apart by colour alone."""
    pictures = {bits(signs.STATUS_SIGNS[status]) for status in Status}
    assert len(pictures) == len(Status)


def test_every_mark_and_every_tone_has_a_sign(qtbot: QtBot) -> None:
    """Nothing that is drawn is empty."""
    for sign in (*(signs.MARK_SIGNS[kind] for kind in MarkKind), *(signs.TONE_SIGNS[tone] for tone in Tone)):
        assert any(bits(sign))


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""

    def luminance(name: str) -> float:
        colour = QColor(name)
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_text_can_be_read(colours: Colours) -> None:
    """Every colour of text has a contrast of 4.5 to the ground it stands on."""
    pairs = [
        (colours.text, colours.panel),
        (colours.muted, colours.panel),
        (colours.muted, colours.header),
        (colours.text, colours.selected),
        (colours.starved, colours.panel),
        (colours.starved, colours.starved_ground),
        (colours.low, colours.low_ground),
        (colours.accent, colours.accent_ground),
        (colours.on_accent, colours.accent_fill),
        (colours.good, colours.header),
    ]
    poor = [(pair, contrast(*pair)) for pair in pairs if contrast(*pair) < 4.5]
    assert not poor


def test_a_style_sheet_is_made_of_its_theme() -> None:
    """Each theme's sheet has its colours and none of the other's ground."""
    assert DARK.panel in style_sheet(DARK)
    assert LIGHT.window not in style_sheet(DARK)


def test_a_theme_tells_when_its_colours_change(qtbot: QtBot) -> None:
    """Choosing another theme is told, choosing the same is not."""
    theme = Theme(Mode.DARK)
    with qtbot.waitSignal(theme.changed, timeout=1000):
        theme.choose(Mode.LIGHT)
    with qtbot.assertNotEmitted(theme.changed):
        theme.choose(Mode.LIGHT)
    assert theme.channel_colour("USER", 4) == QColor(LIGHT.channels[0])
    assert theme.channel_colour("OTHER", 6) == QColor(LIGHT.channels[1])
    theme.deleteLater()
