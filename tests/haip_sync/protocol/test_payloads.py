"""What each event type carries: the same check for both directions."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from haip_sync import ProtocolError
from haip_sync.protocol.event_payloads import TextPart, ToolUpdate
from haip_sync.protocol.names import ACCEPTED_TYPES, CONTROL_TYPES
from haip_sync.protocol.payloads import FREE_TYPES, KINDS, check_incoming, check_outgoing, is_known, read_payload, unknown_member

SMALLEST: dict[str, dict[str, Any]] = {
    "HAI": {},
    "PING": {},
    "PONG": {},
    "ERROR": {"code": "X"},
    "FLOW_UPDATE": {"channel": "USER"},
    "PAUSE_CHANNEL": {"channel": "USER"},
    "RESUME_CHANNEL": {"channel": "USER"},
    "REPLAY_REQUEST": {"from_seq": "1"},
    "RUN_STARTED": {},
    "RUN_FINISHED": {"status": "OK"},
    "RUN_CANCEL": {"run_id": "r"},
    "RUN_ERROR": {},
    "MESSAGE_START": {"message_id": "m"},
    "MESSAGE_PART": {"message_id": "m", "text": ""},
    "MESSAGE_END": {"message_id": "m"},
    "TEXT_MESSAGE_START": {"message_id": "m"},
    "TEXT_MESSAGE_PART": {"message_id": "m", "text": ""},
    "TEXT_MESSAGE_END": {"message_id": "m"},
    "AUDIO_CHUNK": {"message_id": "m", "mime": "audio/x"},
    "TOOL_CALL": {"call_id": "c", "tool": "t"},
    "TOOL_UPDATE": {"call_id": "c", "status": "QUEUED"},
    "TOOL_DONE": {"call_id": "c", "status": "ERROR"},
    "TOOL_CANCEL": {"call_id": "c"},
    "TOOL_LIST": {"tools": []},
    "TOOL_SCHEMA": {"tool": "t", "schema": {}},
}


def test_every_type_that_we_announce_or_count_as_control_is_known() -> None:
    """No type of HAIP 1.1.2 is left without a check, but those of the transaction dialect."""
    assert KINDS.keys() == SMALLEST.keys()
    assert set(ACCEPTED_TYPES) | CONTROL_TYPES <= KINDS.keys() | FREE_TYPES
    assert is_known("MESSAGE")
    assert not is_known("TELEPATHY")


@pytest.mark.parametrize(("frame_type", "payload"), SMALLEST.items())
def test_the_smallest_payload_will_do(frame_type: str, payload: dict[str, Any]) -> None:
    """The required members alone are enough, and without any one of them the payload is refused, by its name."""
    check_incoming(frame_type, payload)
    check_outgoing(frame_type, MappingProxyType(payload))
    for name in payload:
        with pytest.raises(ProtocolError, match=f"{frame_type} .*`{name}`"):
            check_incoming(frame_type, {key: value for key, value in payload.items() if key != name})


@pytest.mark.parametrize(
    ("frame_type", "changes", "named"),
    [
        ("RUN_FINISHED", {"status": "ok"}, "status"),
        ("TOOL_UPDATE", {"progress": 100.1}, "progress"),
        ("TOOL_UPDATE", {"progress": -1}, "progress"),
        ("TOOL_UPDATE", {"status": "OK"}, "status"),
        ("TOOL_DONE", {"status": "RUNNING"}, "status"),
        ("TOOL_LIST", {"tools": [{"description": "nameless"}]}, r"tools\[0\]"),
        ("AUDIO_CHUNK", {"duration_ms": -1}, "duration_ms"),
        ("AUDIO_CHUNK", {"data": 5}, "data"),
        ("MESSAGE_END", {"tokens": "many"}, "tokens"),
        ("MESSAGE_PART", {"text": None}, "text"),
        ("REPLAY_REQUEST", {"from_seq": "0"}, "from_seq"),
        ("REPLAY_REQUEST", {"from_seq": "1\n"}, "from_seq"),
        ("REPLAY_REQUEST", {"to_seq": 7}, "to_seq"),
        ("FLOW_UPDATE", {"channel": "US ER"}, "US ER"),
    ],
)
def test_a_wrong_member_is_named(frame_type: str, changes: dict[str, Any], named: str) -> None:
    """What arrives is the peer's fault, what would be sent is ours; both errors name the type and the member."""
    payload = SMALLEST[frame_type] | changes
    with pytest.raises(ProtocolError, match=f"{frame_type} has a bad payload: .*{named}") as caught:
        check_incoming(frame_type, payload)
    assert caught.value.blame == "remote"
    with pytest.raises(ProtocolError, match=f"{frame_type} cannot be sent .*{named}.* Nothing was sent") as caught:
        check_outgoing(frame_type, payload)
    assert caught.value.blame == "local"


def test_a_payload_is_seen_typed() -> None:
    """The typed view has the members by name, absent ones as their defaults; a type that we do not know may hold anything."""
    view = read_payload(ToolUpdate, "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING", "progress": 40, "new": 1})
    assert view == ToolUpdate(call_id="c", status="RUNNING", progress=40, partial=None)
    assert read_payload(TextPart, "MESSAGE_PART", {"message_id": "m", "text": "t"}) == TextPart(message_id="m", text="t")
    check_incoming("TELEPATHY", 7)
    check_outgoing("TELEPATHY", 7)


def test_long_nonsense_is_cut_in_the_error() -> None:
    """What a peer writes into a member does not fill our logs and answers."""
    with pytest.raises(ProtocolError) as caught:
        check_incoming("RUN_FINISHED", {"status": "x" * 100_000})
    assert len(str(caught.value)) < 300


def test_unknown_members_are_found_where_members_are_known() -> None:
    """For `crit`: the first member that HAIP does not list, of a type whose members we know."""
    assert unknown_member("TOOL_CALL", {"call_id": "c", "tool": "t", "params": {}}) is None
    assert unknown_member("TOOL_CALL", {"call_id": "c", "z": 1, "a": 2}) == "a"
    assert unknown_member("TELEPATHY", {"z": 1}) is None
    assert unknown_member("TOOL_CALL", "text") is None
