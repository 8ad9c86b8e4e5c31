"""The colours of the window, dark and light. Plain words: Qt makes colours of them where they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Colours:
    """The tokens of one theme. A channel's colour names its curve and nothing else; vermilion says that somebody waits."""

    dark: bool
    window: str
    panel: str
    header: str
    field: str
    button: str
    border: str
    inner: str
    grid: str
    text: str
    muted: str
    disabled: str
    selected: str
    accent: str
    accent_fill: str
    accent_ground: str
    on_accent: str
    starved: str
    starved_ground: str
    low: str
    low_ground: str
    good: str
    fill: str
    channels: tuple[str, ...]


DARK: Final = Colours(
    dark=True,
    window="#14161A",
    panel="#1D2026",
    header="#23272F",
    field="#15181D",
    button="#2B3038",
    border="#3A414C",
    inner="#2C323B",
    grid="#272C34",
    text="#E6E8EB",
    muted="#A3AAB5",
    disabled="#8A929E",
    selected="#2B3557",
    accent="#9DAAFF",
    accent_fill="#4F5FD0",
    accent_ground="#2A3052",
    on_accent="#FFFFFF",
    starved="#FF8A5C",
    starved_ground="#3A2620",
    low="#F0E442",
    low_ground="#36331A",
    good="#14CF8C",
    fill="#2A2B33",
    channels=("#3F9BE8", "#CC8400", "#7E8791", "#F0B9D9", "#14CF8C"),
)
LIGHT: Final = Colours(
    dark=False,
    window="#DFE2E7",
    panel="#FFFFFF",
    header="#EDEFF2",
    field="#FFFFFF",
    button="#F4F5F7",
    border="#B4BBC5",
    inner="#DDE1E6",
    grid="#ECEEF1",
    text="#1B1F24",
    muted="#555D68",
    disabled="#666E7A",
    selected="#DCE1FA",
    accent="#3F4DBF",
    accent_fill="#3F4DBF",
    accent_ground="#E3E6FA",
    on_accent="#FFFFFF",
    starved="#B33A00",
    starved_ground="#FCEBE3",
    low="#755C00",
    low_ground="#FBF4D0",
    good="#06704F",
    fill="#F0F1F4",
    channels=("#0A78D0", "#8F5200", "#3A4048", "#B4308C", "#06704F"),
)
