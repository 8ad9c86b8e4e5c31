"""What the server takes: the greeting, the envelope, what a frame costs and what breaks the rules. Without a socket."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.server_line import MESSAGE, TEXT, Line

from haip_sync.testing.books import Credit
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.policies import Generous, Never
from haip_sync.testing.tariff import Tariff
from haip_sync.testing.wire import CONTROL_TYPES, MAX_CHANNELS


# Handshake
def test_the_server_greets_first(pen: Any) -> None:
    """Its HAI is its first frame, says what it speaks and grants, and waits for nothing."""
    (hai,) = Line(pen, hai=False).get()
    assert (hai["type"], hai["channel"], hai["seq"], hai["pv"]) == ("HAI", "SYSTEM", "1", 1)
    assert "ack" not in hai
    payload = hai["payload"]
    assert (payload["haip_version"], payload["accept_major"]) == ("1.1.2", [1])
    assert {*MESSAGE, *TEXT} <= set(payload["accept_events"])
    assert payload["capabilities"]["flow_control"] == {"initial_credit_messages": 10, "initial_credit_bytes": 10_000}


def test_without_first_credits_the_hai_names_none(pen: Any) -> None:
    """The client's own word is the window then, and nothing is a breach."""
    line = Line(pen, hai=False, initial=None)
    (hai,) = line.get()
    assert "flow_control" not in hai["payload"]["capabilities"]
    line.put(pen.hai())
    for _ in range(60):
        line.send("TOOL_LIST", {}, "USER")
    books = line.talk.desk.known("USER").books()
    assert (books.window, books.window_bytes, books.metered) == (50, 50_000, False)
    assert (books.from_client.balance, books.breaches) == (-10, 0)


def test_a_client_that_names_no_credit_grants_what_we_grant(pen: Any) -> None:
    """What one side leaves open, the other side's word settles."""
    line = Line(pen, hai=False)
    line.put(pen.hai(capabilities={}))
    tally = line.talk.desk.known("AGENT").books().to_client
    assert (tally.granted, tally.granted_bytes) == (10, 10_000)


@pytest.mark.parametrize("first", ["not JSON", "{}", '{"type": "HAI"}', b"\x00"])
def test_what_cannot_be_read_as_first_frame_ends_the_connection(pen: Any, first: str | bytes) -> None:
    """Without a HAI there is no session: PROTOCOL_VIOLATION, then the end."""
    line = Line(pen, hai=False)
    line.get()
    line.put(first)
    assert line.error() == ("PROTOCOL_VIOLATION", None)
    assert line.talk.voice.closing is not None


def test_the_first_frame_must_be_hai(pen: Any) -> None:
    """Any other type is a PROTOCOL_VIOLATION and ends the connection; what follows is not read."""
    line = Line(pen, hai=False)
    line.get()
    ping = line.send("PING", {"nonce": "1"})
    assert line.error() == ("PROTOCOL_VIOLATION", ping)
    line.put(pen.hai())
    assert line.talk.peer_id is None


def test_a_bad_hai_ends_the_connection(pen: Any) -> None:
    """A HAI whose payload makes no sense opens no session."""
    line = Line(pen, hai=False)
    line.get()
    line.put(pen.hai(accept_major="all"))
    assert line.error()[0] == "PROTOCOL_VIOLATION"
    assert line.talk.voice.closing is not None


def test_no_version_in_common_ends_the_connection(pen: Any) -> None:
    """VERSION_INCOMPATIBLE, then the end."""
    line = Line(pen, hai=False)
    line.get()
    line.put(pen.hai(accept_major=[2, 3]))
    assert line.error()[0] == "VERSION_INCOMPATIBLE"
    assert line.talk.voice.closing is not None
    assert line.talk.peer_id is None


def test_a_second_hai_is_a_violation(line: Line) -> None:
    """It is reported and changes nothing."""
    line.put(line.pen.hai())
    assert line.error()[0] == "PROTOCOL_VIOLATION"


# Envelopes
@pytest.mark.parametrize(
    "members",
    [
        {"id": "1"},
        {"session": "x"},
        {"seq": "1a"},
        {"seq": 7},
        {"channel": "no spaces"},
        {"payload": None},
        {"payload": "text"},
        {"type": 3},
        {"pv": 256},
        {"bin_len": -1},
    ],
)
def test_a_bad_envelope_is_reported_and_costs_nothing(line: Line, members: dict[str, Any]) -> None:
    """The connection goes on, and no balance moves."""
    frame = json.loads(line.pen.frame("TOOL_LIST", {}, "USER")[1]) | members
    line.put(json.dumps(frame))
    assert line.error()[0] == "PROTOCOL_VIOLATION"
    assert line.spent() == (0, 0)
    assert line.talk.voice.closing is None


def test_frames_carry_the_servers_own_session_and_count(line: Line) -> None:
    """The seq rises by one from the HAI's, the ack is the highest contiguous number received."""
    line.send("PING", {"nonce": "a"})
    line.send("PING", {"nonce": "b"})
    first, second = line.get()
    assert (first["seq"], second["seq"], first["ack"], second["ack"]) == ("2", "3", "2", "3")
    assert first["session"] == second["session"] == line.talk.id != line.pen.session
    assert first["id"] != second["id"]


def test_the_ack_stops_at_a_gap_and_jumps_when_it_is_filled(line: Line) -> None:
    """Cumulative means contiguous: a frame above a gap is not acknowledged before the gap is closed."""
    acks = []
    for seq in ("2", "4", "5", "3", "6"):
        line.send("PING", {}, seq=seq)
        acks += [frame["ack"] for frame in line.get()]
    assert acks == ["2", "2", "2", "5", "6"]
    assert line.talk.sequence.out_of_order == 2, "4 came too early and 3 too late"


def test_an_unknown_member_is_ignored_unless_the_frame_is_critical(line: Line) -> None:
    """With `crit` it is answered with UNSUPPORTED_TYPE; the frame was sent and is paid for either way."""
    line.send("TOOL_LIST", {}, "USER", colour="red")
    assert line.get() == []
    critical = line.send("TOOL_LIST", {}, "USER", colour="red", crit=True)
    assert line.error() == ("UNSUPPORTED_TYPE", critical)
    assert line.spent()[0] == 2
    assert [frame.type for frame in line.talk.archive.frames] == ["HAI", "TOOL_LIST"]


def test_a_type_that_is_not_accepted_is_answered(line: Line) -> None:
    """UNSUPPORTED_TYPE names the frame; a data frame is debited all the same, a control frame never is."""
    data = line.send("TELEPATHY", {}, "USER")
    assert line.error() == ("UNSUPPORTED_TYPE", data)
    control = line.send("TRANSACTION_START", {"toolName": "x"})
    assert line.error() == ("UNSUPPORTED_TYPE", control)
    assert (line.spent()[0], line.spent("SYSTEM")[0]) == (1, 0)


def test_too_many_channels_are_refused(pen: Any) -> None:
    """The books of one connection are bounded."""
    line = Line(pen, policy=Never())
    for number in range(MAX_CHANNELS):
        line.send("TOOL_LIST", {}, f"C{number}")
    assert line.get() == []
    line.send("TOOL_LIST", {}, "one_more")
    assert line.error()[0] == "PROTOCOL_VIOLATION"


# What a frame costs
def test_a_data_frame_costs_its_utf8_length(line: Line) -> None:
    """One message, and the bytes of the whole text frame."""
    _, text = line.pen.frame("TOOL_LIST", {"name": "Zürich €"}, "USER")
    text = json.dumps(json.loads(text), ensure_ascii=False)
    line.put(text)
    assert line.spent() == (1, len(text.encode()))
    assert line.talk.archive.frames[-1].cost_bytes == len(text.encode()) > len(text)


@pytest.mark.parametrize("event_type", sorted(CONTROL_TYPES))
def test_a_control_frame_costs_nothing(line: Line, event_type: str) -> None:
    """Otherwise a starved client could not ask for credit."""
    line.send(event_type, {"channel": "USER", "add_messages": 1, "from_seq": "1"}, "USER")
    assert line.spent("USER") == line.spent("SYSTEM") == (0, 0)


def test_a_binary_frame_costs_its_length(line: Line) -> None:
    """With `bin_len` the binary part counts, and the two arrive as one frame."""
    line.send("AUDIO_CHUNK", {"message_id": "a", "mime": "audio/pcm"}, "AUDIO_IN", bin_len=5)
    assert line.spent("AUDIO_IN") == (0, 0)
    line.put(b"12345")
    assert line.spent("AUDIO_IN") == (1, 5)
    assert line.talk.archive.frames[-1].binary == b"12345"


@pytest.mark.parametrize("size", range(6))
def test_base64_costs_its_decoded_length(line: Line, size: int) -> None:
    """AUDIO_CHUNK with `data` counts the bytes that it carries, whatever its padding."""
    data = base64.b64encode(b"x" * size).decode()
    line.send("AUDIO_CHUNK", {"message_id": "a", "mime": "audio/pcm", "data": data}, "AUDIO_IN")
    assert line.spent("AUDIO_IN") == (1, size)


def test_a_binary_frame_of_another_length_is_a_violation(line: Line) -> None:
    """Nothing is delivered and nothing debited."""
    audio = line.send("AUDIO_CHUNK", {"message_id": "a", "mime": "x"}, "AUDIO_IN", bin_len=5)
    line.put(b"123")
    assert line.error() == ("PROTOCOL_VIOLATION", audio)
    assert line.spent("AUDIO_IN") == (0, 0)


def test_a_binary_frame_of_its_own_is_a_violation(line: Line) -> None:
    """Nobody announced it."""
    line.put(b"123")
    assert line.error() == ("PROTOCOL_VIOLATION", None)


def test_a_text_frame_in_place_of_the_binary_is_read(line: Line) -> None:
    """The announced frame is lost and reported, the one that came counts."""
    audio = line.send("AUDIO_CHUNK", {"message_id": "a", "mime": "x"}, "AUDIO_IN", bin_len=5)
    line.send("TOOL_LIST", {}, "USER")
    assert line.error() == ("PROTOCOL_VIOLATION", audio)
    assert line.spent()[0] == 1


# Other ways to count
@pytest.mark.parametrize("types", [MESSAGE, TEXT])
def test_where_a_credit_is_a_text_its_start_alone_costs_one(pen: Any, types: tuple[str, str, str]) -> None:
    """PART and END cost bytes only; any other data frame costs a message as ever."""
    line = Line(pen, tariff=Tariff(credit_unit="message"), initial=Credit(2, 10_000))
    frames = pen.text("hello", types=types)
    line.put(*frames)
    assert line.spent() == (1, sum(len(frame.encode()) for frame in frames))
    line.send("TOOL_LIST", {}, "USER")
    assert (line.spent()[0], line.texts(), line.get()) == (2, ["hello"], [])


def test_where_a_credit_is_a_text_a_part_still_needs_bytes(pen: Any) -> None:
    """A PART without its bytes is a breach that would have cost no message."""
    start, part, _ = pen.text("x" * 500)
    line = Line(pen, hai=False, tariff=Tariff(credit_unit="message"), initial=Credit(1, len(start)))
    line.put(pen.hai())
    line.get()
    line.put(start, part)
    assert line.error()[0] == "FLOW_CONTROL_VIOLATION"
    assert line.spent() == (1, len(start))


def test_where_a_credit_is_a_text_ours_cost_one_too(pen: Any) -> None:
    """With one message of the client's credit a whole text of ours goes out, and the next one waits."""
    line = Line(pen, hai=False, tariff=Tariff(credit_unit="message"))
    line.put(pen.hai(capabilities={"flow_control": {"initial_credit_messages": 1, "initial_credit_bytes": 50_000}}))
    line.get()
    line.talk.voice.say("AGENT", "x" * 90, None)
    line.talk.voice.say("AGENT", "y", None)
    assert [frame["type"] for frame in line.get()] == [MESSAGE[0], *3 * (MESSAGE[1],), MESSAGE[2]]
    assert line.talk.desk.known("AGENT").books().to_client.spent == 1
    line.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 1})
    assert [frame["type"] for frame in line.get()] == list(MESSAGE)


def test_a_text_of_ours_goes_on_where_messages_are_overdrawn(pen: Any) -> None:
    """What costs no message is not held by a balance below zero."""
    line = Line(pen, hai=False, tariff=Tariff(credit_unit="message"))
    line.put(pen.hai(capabilities={"flow_control": {"initial_credit_messages": 1, "initial_credit_bytes": 400}}))
    line.talk.voice.say("AGENT", "x" * 90, None)
    line.talk.voice.send_frame("AGENT", Draft("TOOL_LIST", {}))
    line.get()
    line.send("FLOW_UPDATE", {"channel": "AGENT", "add_bytes": 5000})
    assert line.get()[-1]["type"] == "MESSAGE_END"


def test_counted_control_frames_are_debited_from_system(pen: Any) -> None:
    """One message and the whole frame's bytes, whatever the type; the HAI, sent before any credit was known, is not counted."""
    line = Line(pen, tariff=Tariff(count_control_frames=True))
    assert line.spent("SYSTEM") == (0, 0)
    before = line.pen.seq
    sizes = 0
    for event_type, payload in (("PING", {}), ("FLOW_UPDATE", {"channel": "USER", "add_messages": 1}), ("TRANSACTION_END", {})):
        text = pen.frame(event_type, payload, "USER")[1]
        sizes += len(text.encode())
        line.put(text)
    assert line.spent("SYSTEM") == (pen.seq - before, sizes)
    assert line.spent("USER") == (0, 0)
    assert line.talk.archive.frames[-1].cost_bytes > 0


def test_a_control_frame_is_taken_without_credit(pen: Any) -> None:
    """The floor is zero, nothing is a breach, and the frame does what it does."""
    line = Line(pen, tariff=Tariff(count_control_frames=True), initial=Credit(1, 10))
    for nonce in ("a", "b"):
        line.send("PING", {"nonce": nonce})
    assert [frame["payload"] for frame in line.get()] == [{"nonce": "a"}, {"nonce": "b"}]
    assert line.spent("SYSTEM") == (1, 10)
    assert line.talk.desk.known("SYSTEM").books().breaches == 0
    late = line.send("TOOL_LIST", {}, "SYSTEM")
    assert line.error() == ("FLOW_CONTROL_VIOLATION", late)


def test_the_policy_gives_counted_control_frames_back(pen: Any) -> None:
    """As it does for any frame; and the FLOW_UPDATE that does so is itself free."""
    line = Line(pen, policy=Generous(), tariff=Tariff(count_control_frames=True))
    line.send("PING", {})
    grant, pong = line.get()
    assert (grant["payload"]["channel"], grant["payload"]["add_messages"], pong["type"]) == ("SYSTEM", 1, "PONG")
    tally = line.talk.desk.known("SYSTEM").books()
    assert (tally.from_client.balance, tally.to_client.spent) == (10, 0)


# Breaches
def test_a_frame_without_credit_is_refused(pen: Any) -> None:
    """FLOW_CONTROL_VIOLATION names it, it is not delivered, and the balance stays."""
    line = Line(pen, initial=Credit(1, 10_000))
    line.send("TOOL_LIST", {}, "USER")
    late = line.send("TOOL_LIST", {}, "USER")
    assert line.error() == ("FLOW_CONTROL_VIOLATION", late)
    books = line.talk.desk.known("USER").books()
    assert (books.breaches, books.from_client.balance) == (1, 0)
    (breach,) = line.talk.archive.breaches
    assert (breach.id, breach.channel, breach.type, breach.balance) == (late, "USER", "TOOL_LIST", 0)
    assert line.talk.archive.frame_count == 2


def test_a_text_with_a_hole_is_never_whole(pen: Any) -> None:
    """When a PART was refused, the END completes nothing."""
    line = Line(pen, initial=Credit(1, 10_000), policy=Never())
    start, part, end = pen.text("lost")
    line.put(start, part)
    line.talk.voice.give("USER", Credit(5, 0))
    line.put(end)
    assert line.texts() == []


def test_frames_that_arrive_after_our_pause_are_no_breach(line: Line) -> None:
    """They were in flight."""
    line.talk.voice.hold("USER", paused=True)
    line.send("TOOL_LIST", {}, "USER")
    books = line.talk.desk.known("USER").books()
    assert (books.breaches, books.from_client.spent, books.paused_by_server) == (0, 1, True)
