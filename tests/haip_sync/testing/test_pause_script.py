"""A pause script checks itself and says what to do when."""

from __future__ import annotations

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing.pause_script import PauseScript, PauseStep, check_pause_script


def test_each_step_pauses_and_resumes() -> None:
    """Times count from the start of the script, and its length is the end of its last pause."""
    script = PauseScript(check_pause_script([(1, "USER", 2), PauseStep(0.5, "AGENT", 9)]), repeat=True)
    assert script.moves() == (
        (1, "USER", True),
        (3, "USER", False),
        (0.5, "AGENT", True),
        (9.5, "AGENT", False),
    )
    assert (script.length, script.repeat) == (9.5, True)


def test_an_empty_script_does_not_repeat() -> None:
    """It would begin anew at once, for ever."""
    assert PauseScript((), repeat=True).repeat is False


@pytest.mark.parametrize(
    "step", ["USER", (1, "USER"), (-1, "USER", 1), (1, "no spaces", 1), (1, "USER", 0), (1, "USER", None), 7]
)
def test_what_is_no_step_is_refused(step: object) -> None:
    """A wrong shape, name or time is a `ConfigError`."""
    with pytest.raises(ConfigError):
        check_pause_script([step])
