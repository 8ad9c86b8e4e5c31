"""What crosses from one process to another: errors, which a pool's workers raise, and settings, which they are given."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import haip_sync
from haip_sync import (
    CommandError,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    HAIPTimeout,
    IncompleteTextError,
    MessageTooLargeError,
    NotSentError,
    PartialSendError,
    ProtocolError,
    QueueFullError,
    ToolError,
    WaitCause,
)

WITH_MORE: list[HAIPError] = [
    CommandError("x", refused=True),
    FlowControlError("x", cause=WaitCause.BYTES, channel="USER"),
    FlowControlTimeout("x", cause=WaitCause.OFFLINE, channel="USER"),
    IncompleteTextError("x", message_id="m", parts=2, text="te"),
    MessageTooLargeError("USER", frame_bytes=7, max_credit_bytes=5),
    NotSentError("x", reason="closed"),
    PartialSendError("x", message_id="m", parts_sent=3),
    ProtocolError("x", code="C", blame="remote"),
    QueueFullError("x", channel="USER"),
    ToolError("x", tool="t", call_id="c", result={"a": [1]}),
]
SIMPLE: list[HAIPError] = [
    kind("x")
    for kind in (getattr(haip_sync, name) for name in haip_sync.__all__)
    if isinstance(kind, type) and issubclass(kind, HAIPError) and kind not in {type(error) for error in WITH_MORE}
    if kind.__name__ != "ToolCancelled"
]


def through_a_pickle(value: Any) -> Any:
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.mark.parametrize("error", WITH_MORE + SIMPLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("cross", [through_a_pickle, copy.copy, copy.deepcopy])
def test_an_error_is_the_same_on_the_other_side(error: HAIPError, cross: Callable[[HAIPError], HAIPError]) -> None:
    """Its kind, its words and what else it knows, notes included."""
    error.add_note("a note")
    other = cross(error)
    assert type(other) is type(error)
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_what_another_process_gets_is_caught_as_what_it_was() -> None:
    """A timeout is one there too, with its cause: without it a pool of processes would break where its worker raises."""
    with pytest.raises(HAIPTimeout, match="FLOW_CONTROL: USER needs 1 message") as caught:
        raise through_a_pickle(FlowControlTimeout("USER needs 1 message", cause=WaitCause.MESSAGES, channel="USER"))
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, FlowControlTimeout)
    assert (caught.value.cause, caught.value.code) == ("messages", "FLOW_CONTROL")


@pytest.mark.parametrize("cross", [through_a_pickle, copy.copy, copy.deepcopy])
def test_settings_cross_with_their_mappings(cross: Callable[[Any], Any]) -> None:
    """A configuration that names channels goes to other processes as one that does not."""
    config = FlowControlConfig(initial_credits={"USER": 3}, max_credit_bytes={"USER": 100}, queue_max_messages=7)
    other = cross(config)
    assert other == config
    assert other.initial_for("USER") == (3, haip_sync.config.DEFAULT_INITIAL_CREDIT_BYTES)
    with pytest.raises(TypeError):
        other.initial_credits["USER"] = 5
