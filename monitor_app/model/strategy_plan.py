"""Strategies as an operator sets them: a name and numbers. Plain data, so that a plan can also travel to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from haip_sync import (
    AdaptiveStrategy,
    AggressiveStrategy,
    ConfigError,
    ConservativeStrategy,
    ManualStrategy,
    Strategy,
    ThresholdStrategy,
)
from monitor_app.model.units import KIB, format_count, format_kib

Number = int | float


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One number of a strategy."""

    name: str
    """As the strategy calls it."""
    words: str
    """What it is, beside its field."""
    unit: str
    """msg, KiB or s."""
    default: Number
    part_of_cap: float = 1.0
    """The largest part of a cap that is proposed. A balance below a threshold of the whole cap is asked for at every send."""

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number; seconds are not."""
        return self.unit != "s"

    def proposed(self, max_messages: int, max_bytes: int) -> Number:
        """Return the default, or less of it where that is more than a channel with these caps can have at a time."""
        if not self.is_whole:
            return self.default
        cap = max_messages if self.unit == "msg" else max_bytes / KIB
        return max(1, min(int(self.default), int(cap * self.part_of_cap)))


@dataclass(frozen=True, kw_only=True)
class StrategyKind:
    """One strategy of the library."""

    name: str
    words: str
    """What it does, in a sentence."""
    settings: tuple[Setting, ...]


KINDS: Final = (
    StrategyKind(name="manual", words="Nobody asks: credit comes when the peer gives it, or when you request it.", settings=()),
    StrategyKind(
        name="threshold",
        words="Asks as soon as a balance is below its threshold.",
        settings=(
            Setting(name="message_threshold", words="Below", unit="msg", default=5, part_of_cap=0.5),
            Setting(name="byte_threshold", words="or below", unit="KiB", default=512, part_of_cap=0.5),
            Setting(name="request_messages", words="Ask for", unit="msg", default=10),
            Setting(name="request_bytes", words="and", unit="KiB", default=1024),
        ),
    ),
    StrategyKind(
        name="conservative",
        words="Asks late and little: at half of the last grant, for as much again.",
        settings=(Setting(name="delay_s", words="After a grant, wait", unit="s", default=1.0),),
    ),
    StrategyKind(
        name="aggressive",
        words="Asks once for each channel, for the most at once.",
        settings=(
            Setting(name="messages", words="Ask for", unit="msg", default=100),
            Setting(name="byte_credits", words="and", unit="KiB", default=10240),
        ),
    ),
    StrategyKind(
        name="adaptive",
        words="Asks for what the channel will have sent, by the rate that it measures.",
        settings=(
            Setting(name="period_s", words="Look every", unit="s", default=5.0),
            Setting(name="min_interval_s", words="Ask at most every", unit="s", default=10.0),
            Setting(name="most", words="At most", unit="msg", default=50),
        ),
    ),
)
"""Every strategy that can be set here, the quietest first."""

_CLASSES: Final[Mapping[str, type[Strategy]]] = {
    kind.name: kind for kind in (ManualStrategy, ThresholdStrategy, ConservativeStrategy, AggressiveStrategy, AdaptiveStrategy)
}


@dataclass(frozen=True)
class StrategyPlan:
    """A strategy and its numbers, bytes in KiB as they were typed. What is left out has the strategy's default."""

    name: str
    values: Mapping[str, Number] = field(default_factory=dict)

    def settings(self) -> dict[str, Number]:
        """Return the numbers as the library takes them: in messages, bytes and seconds."""
        in_kib = {setting.name for setting in kind_of(self.name).settings if setting.unit == "KiB"}
        return {name: value * KIB if name in in_kib else value for name, value in self.values.items()}

    def problem(self) -> str:
        """Return why it cannot be built, in a sentence that names the field as it is labelled; empty when it can."""
        try:
            build_strategy(self.name, self.settings())
        except ConfigError as error:
            return _in_words(str(error), kind_of(self.name))
        return ""

    def __str__(self) -> str:
        """Say it in words: `threshold: below 5 msg, or below 512 KiB, ask for 10 msg, and 1 024 KiB`."""
        said = [f"{s.words} {_said(self.values.get(s.name, s.default), s)}".lower() for s in kind_of(self.name).settings]
        return f"{self.name}: {', '.join(said)}".replace(" kib", " KiB") if said else self.name


def build_strategy(name: str, settings: Mapping[str, Number]) -> Strategy:
    """Return a new strategy. Raises `ConfigError` that names the unknown strategy or the setting that cannot be."""
    made = _CLASSES.get(name)
    if made is None:
        raise ConfigError(f"there is no strategy {name!r}; there are {', '.join(_CLASSES)}")
    strange = sorted(set(settings) - {setting.name for setting in kind_of(name).settings})
    if strange:
        raise ConfigError(f"the strategy {name} has no setting {', '.join(strange)}")
    return made(**settings)


def kind_of(name: str) -> StrategyKind:
    """Return the strategy of that name; one without settings for a name that is not known."""
    return next((kind for kind in KINDS if kind.name == name), StrategyKind(name=name, words="", settings=()))


def _in_words(problem: str, kind: StrategyKind) -> str:
    """Return what the library refused with the label in place of the setting's name: `“Ask for … msg” must be …`."""
    name, _, rest = problem.partition(" ")
    labels = (f"“{setting.words} … {setting.unit}” {rest}" for setting in kind.settings if setting.name == name)
    return next(labels, problem)


def _said(value: Number, setting: Setting) -> str:
    if setting.unit == "KiB":
        return f"{format_kib(value * KIB)} KiB"
    return f"{format_count(value)} {setting.unit}" if isinstance(value, int) else f"{value:g} {setting.unit}"
