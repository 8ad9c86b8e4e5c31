"""What holds of every exception of the library."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from haip_sync import (
    ConfigError,
    ConnectionClosedError,
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
    ToolCancelled,
    WaitCause,
)
from haip_sync.errors import CommandError

ERRORS = (
    ConfigError("a wrong value"),
    HAIPTimeout("a deadline passed"),
    ConnectionClosedError("it was lost"),
    ProtocolError("a rule was broken", code="SEQ_VIOLATION", blame="remote"),
    FlowControlError("no credit", cause=WaitCause.BYTES, channel="USER"),
    FlowControlTimeout("no credit in time", cause=WaitCause.PAUSED_BY_PEER, channel="USER"),
    MessageTooLargeError("USER", frame_bytes=2_000, max_credit_bytes=1_000),
    QueueFullError("it is full", channel="USER"),
    NotSentError("it was dropped", reason="dropped"),
    PartialSendError("it stopped", message_id="m", parts_sent=3),
    CommandError("it would not", refused=True),
    ToolCancelled("it was cancelled", tool="search", call_id="c", result={"found": [1, 2]}),
    IncompleteTextError("it stopped", message_id="m", parts=2, text="half"),
)


def _subclasses(kind: type[HAIPError]) -> Iterator[type[HAIPError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _subclasses(below)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_made_again_with_all_that_it_says(error: HAIPError) -> None:
    """Pickled or copied it has its type, its text, what its class adds, and the notes that it was given on its way."""
    error.add_note("on its way")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own
        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
        assert vars(again) == vars(error)


def test_every_error_with_a_constructor_of_its_own_is_tried() -> None:
    """What has more to say than its text stands in the list above."""
    own = {
        kind
        for kind in _subclasses(HAIPError)
        if kind.__init__ is not HAIPError.__init__ and kind.__module__ == "haip_sync.errors"
    }
    assert own - {HAIPTimeout} <= {base for error in ERRORS for base in type(error).__mro__}
