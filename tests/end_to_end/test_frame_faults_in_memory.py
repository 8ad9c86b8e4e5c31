"""Frames that are garbled, doubled, reordered, shortened or dropped on their way: no crash, no wrong balance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cut_talk import Talk, server_settings
from support.memory_line import Tampering
from support.memory_world import World

from haip_sync import ErrorReported, Event, FlowControlConfig, FramesLost, WarningRaised
from haip_sync.testing.fault_rules import Direction, FrameAction

_PLENTY = FlowControlConfig(initial_credits=200, initial_credit_bytes=200_000, max_credits=400, max_credit_bytes=400_000)
_HARMLESS = {"duplicate", "swap"}
_ACTIONS: dict[Direction, list[FrameAction]] = {
    "to_server": ["drop", "duplicate", "swap", "garble", "shorten"],
    "to_client": ["drop", "duplicate", "swap", "garble", "shorten", "garble_encoding", "garble_header"],
}
_FAULTS = st.dictionaries(
    st.sampled_from([(direction, number) for direction in _ACTIONS for number in range(1, 31)]),
    st.integers(0, 6),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module", autouse=True)
def _without_log() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("haip_sync.runtime.dispatch.Dispatcher.log", lambda *_: None)
        yield


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(plan=_FAULTS, seed=st.integers(0, 1_000))
def test_frames_that_are_spoiled_on_their_way_spoil_no_books(plan: Mapping[tuple[Direction, int], int], seed: int) -> None:
    """What was spoiled is sent again or told of; nothing comes twice, and no balance promises what is not there."""
    chosen = {place: _ACTIONS[place[0]][number % len(_ACTIONS[place[0]])] for place, number in plan.items()}
    tampering, told = Tampering(chosen, seed), list[Event]()
    world = World(server_settings(resumes=True, plenty=True), tampering=tampering)
    with world.client(flow_control=_PLENTY) as client:
        client.subscribe(told.append, ErrorReported, FramesLost, WarningRaised)
        talk = Talk(world, client)
        talk.hold(pauses=False)  # whose end, if lost, comes no more: it would hold us for ever
        last_error = client.connection_state().last_error
        is_harmless = {action for _, action in tampering.done} <= _HARMLESS and not tampering.tore
        talk.check_spoiled(exactly=is_harmless, torn=tampering.tore)
    assert last_error is None
    unreadable = [action for direction, action in tampering.done if direction == "to_client" and action in ("garble", "shorten")]
    assert told or not unreadable
