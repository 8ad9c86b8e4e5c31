"""Scripted pauses: a channel is paused so many seconds after a session's handshake, for so many seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from haip_sync.config import check_channel, check_seconds, told
from haip_sync.errors import ConfigError


@dataclass(frozen=True)
class PauseStep:
    """One pause. Raises `ConfigError` for a bad channel name or a time that is no number of seconds."""

    after: float
    """Seconds from the handshake (or from the start of the repetition) to PAUSE_CHANNEL."""
    channel: str
    duration: float
    """Seconds from there to RESUME_CHANNEL; above 0."""

    def __post_init__(self) -> None:
        check_seconds("pause_script after_seconds", self.after)
        check_channel(self.channel)
        check_seconds("pause_script for_seconds", self.duration, positive=True)

    @property
    def end(self) -> float:
        """When the pause is over, in the same seconds as `after`."""
        return self.after + self.duration


@dataclass(frozen=True)
class PauseScript:
    """The pauses of one session, once or over and over. Each step counts from the same start; they may overlap."""

    steps: tuple[PauseStep, ...] = ()
    repeat: bool = False

    def __post_init__(self) -> None:
        # A script without steps has nothing to repeat, and no length to wait for.
        object.__setattr__(self, "repeat", self.repeat and bool(self.steps))

    @property
    def length(self) -> float:
        """Seconds until its last pause is over."""
        return max((step.end for step in self.steps), default=0.0)

    def moves(self) -> tuple[tuple[float, str, bool], ...]:
        """Return every pause and every resume as (seconds from the start, channel, whether to pause)."""
        return tuple(move for step in self.steps for move in ((step.after, step.channel, True), (step.end, step.channel, False)))


def check_pause_script(script: Iterable[object]) -> tuple[PauseStep, ...]:
    """Return the steps of `(after_seconds, channel, for_seconds)`. Raises `ConfigError` for anything else."""
    if not isinstance(script, Iterable):
        raise ConfigError(f"pause_script must list steps of (after_seconds, channel, for_seconds), not {told(script)}")
    return tuple(map(_step, script))


def _step(step: Any) -> PauseStep:
    match step:
        case PauseStep():
            return step
        case (after, channel, duration):
            return PauseStep(after, channel, duration)
        case _:
            raise ConfigError(f"a step of pause_script must be (after_seconds, channel, for_seconds), not {told(step)}")
