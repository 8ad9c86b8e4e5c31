"""What the server says: grants, texts, pauses, answers and replays. Without a socket."""

from __future__ import annotations

from typing import Any

import pytest
from support.server_line import MESSAGE, TEXT, Line

from haip_sync.testing.books import Credit
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.policies import Generous, OnRequest

CONTROL = ("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "REPLAY_REQUEST")


# Credit
def test_a_grant_names_only_what_it_gives(line: Line) -> None:
    """The envelope's channel is SYSTEM, the payload names the channel meant, and a zero is left out."""
    line.talk.voice.give("USER", Credit(3, 0))
    line.talk.voice.give("USER", Credit(0, 9))
    messages, byte_credits = line.get()
    assert messages["channel"] == "SYSTEM"
    assert messages["payload"] == {"channel": "USER", "add_messages": 3}
    assert byte_credits["payload"] == {"channel": "USER", "add_bytes": 9}
    tally = line.talk.desk.known("USER").books().from_client
    assert (tally.granted, tally.granted_bytes) == (13, 10_009)


def test_a_client_that_accepts_no_flow_update_is_granted_nothing(pen: Any) -> None:
    """What cannot be sent is not booked either."""
    line = Line(pen, hai=False)
    line.put(pen.hai(accept=("HAI", "ERROR")))
    line.get()
    line.talk.voice.give("USER", Credit(3, 0))
    assert line.get() == []
    assert line.talk.desk.known("USER").books().from_client.granted == 10


def test_a_flow_update_is_read_both_ways(pen: Any) -> None:
    """It enlarges what we may send, and the policy hears it as a request."""
    line = Line(pen, policy=OnRequest())
    line.send("FLOW_UPDATE", {"channel": "USER", "add_messages": 4, "add_bytes": 40})
    (answer,) = line.get()
    assert answer["payload"] == {"channel": "USER", "add_messages": 4, "add_bytes": 40}
    books = line.talk.desk.known("USER").books()
    assert (books.from_client.granted, books.to_client.granted) == (14, 54)


@pytest.mark.parametrize(
    ("action", "from_client", "to_client"),
    [("request_credits", 14, 50), ("grant_credits", 10, 54), ("reduce_credits", 10, 46)],
)
def test_a_flow_update_with_an_action_is_read_as_it_says(pen: Any, action: str, from_client: int, to_client: int) -> None:
    """The form of a published example says itself what it means."""
    line = Line(pen, policy=OnRequest())
    line.send("FLOW_UPDATE", {"channel": "USER", "action": action, "credits": 4})
    books = line.talk.desk.known("USER").books()
    assert (books.from_client.granted, books.to_client.granted) == (from_client, to_client)


@pytest.mark.parametrize(
    "payload",
    [
        {"channel": "USER"},
        {"channel": "USER", "add_messages": 0},
        {"channel": "USER", "add_messages": -1},
        {"channel": "USER", "add_bytes": "9"},
        {"channel": "no spaces", "add_messages": 1},
        {"add_messages": 1},
    ],
)
def test_a_bad_flow_update_changes_nothing(line: Line, payload: dict[str, Any]) -> None:
    """It is answered with PROTOCOL_VIOLATION."""
    update = line.send("FLOW_UPDATE", payload)
    assert line.error() == ("PROTOCOL_VIOLATION", update)
    assert line.talk.desk.known("USER").books().to_client.granted == 50


def test_a_change_of_policy_takes_effect_at_once(line: Line) -> None:
    """What was spent under `never` comes back the moment that `generous` takes over; other channels keep theirs."""
    line.send("TOOL_LIST", {}, "USER")
    line.send("TOOL_LIST", {}, "AUDIO_IN")
    line.talk.voice.give_all(line.talk.desk.set_policy(Generous(), "USER", 0.0))
    (grant,) = line.get()
    assert (grant["payload"]["channel"], grant["payload"]["add_messages"]) == ("USER", 1)
    line.talk.voice.give_all(line.talk.desk.set_policy(Generous(), None, 0.0))
    (grant,) = line.get()
    assert grant["payload"]["channel"] == "AUDIO_IN"


def test_a_policy_set_beforehand_meets_the_channel_when_it_appears(line: Line) -> None:
    """A channel that is not in use yet takes its policy on its first frame."""
    assert line.talk.desk.set_policy(Generous(), "LATER", 0.0) == []
    line.send("TOOL_LIST", {}, "LATER")
    assert [frame["type"] for frame in line.get()] == ["FLOW_UPDATE"]


# Texts
@pytest.mark.parametrize("types", [MESSAGE, TEXT])
def test_a_text_arrives_whole_in_either_dialect(line: Line, types: tuple[str, str, str]) -> None:
    """START, PART and END make one text with its author."""
    line.put(*line.pen.text("hello", types=types))
    (text,) = line.talk.archive.texts
    assert (text.text, text.author, text.channel, text.message_id) == ("hello", "me", "USER", "m")


def test_texts_may_interleave(line: Line) -> None:
    """Each message id, and each channel, has its own text; START and END may carry some of it."""
    frames = [
        ("MESSAGE_START", {"message_id": "a", "text": "1"}, "USER"),
        ("MESSAGE_START", {"message_id": "b", "text": "x"}, "USER"),
        ("MESSAGE_START", {"message_id": "a", "text": "!"}, "OTHER"),
        ("MESSAGE_PART", {"message_id": "a", "text": "2"}, "USER"),
        ("MESSAGE_END", {"message_id": "b"}, "USER"),
        ("MESSAGE_END", {"message_id": "a", "text": "3"}, "USER"),
        ("MESSAGE_END", {"message_id": "a"}, "OTHER"),
    ]
    for frame in frames:
        line.send(*frame)
    assert line.texts() == ["x", "123", "!"]


def test_a_part_without_a_start_is_no_text(line: Line) -> None:
    """It is received and paid for, and that is all."""
    line.send("MESSAGE_PART", {"message_id": "a", "text": "2"}, "USER")
    line.send("MESSAGE_END", {"message_id": "a"}, "USER")
    assert (line.texts(), line.spent()[0], line.get()) == ([], 2, [])


def test_a_text_frame_without_a_message_id_is_a_violation(line: Line) -> None:
    """A good envelope with a bad payload counts as received and changes nothing else."""
    bad = line.send("MESSAGE_START", {"text": "hello"}, "USER")
    assert line.error() == ("PROTOCOL_VIOLATION", bad)
    assert line.spent()[0] == 1


def test_the_agent_answers_in_parts(pen: Any) -> None:
    """Every text outside of AGENT is answered on AGENT, and paid for from the client's grant."""
    line = Line(pen, agent=True)
    line.put(*pen.text("x" * 60))
    frames = line.get()
    assert [frame["type"] for frame in frames] == [MESSAGE[0], MESSAGE[1], MESSAGE[1], MESSAGE[2]]
    assert {frame["channel"] for frame in frames} == {"AGENT"}
    assert "".join(frame["payload"].get("text", "") for frame in frames) == "You said: " + "x" * 60
    tally = line.talk.desk.known("AGENT").books().to_client
    assert (tally.spent, tally.balance) == (4, 46)


def test_the_agent_quotes_a_long_text_in_part(pen: Any) -> None:
    """Its answer is bounded."""
    line = Line(pen, agent=True, initial=Credit(10, 100_000))
    line.put(*pen.text("x" * 5000))
    said = "".join(frame["payload"].get("text", "") for frame in line.get())
    assert said == "You said: " + "x" * 199 + "…"


def test_the_agent_does_not_answer_itself(pen: Any) -> None:
    """What arrives on AGENT is not answered, or two agents would talk for ever."""
    line = Line(pen, agent=True)
    line.put(*pen.text("hello", "AGENT"))
    assert line.get() == []


@pytest.mark.parametrize(("accept", "types"), [(CONTROL + TEXT, TEXT), (CONTROL + TEXT + MESSAGE, MESSAGE)])
def test_the_server_writes_the_dialect_that_the_client_reads(
    pen: Any, accept: tuple[str, ...], types: tuple[str, str, str]
) -> None:
    """Where both fit it is `message`."""
    line = Line(pen, hai=False)
    line.put(pen.hai(accept=accept))
    line.get()
    line.talk.voice.say("AGENT", "hi", None)
    frames = line.get()
    assert [frame["type"] for frame in frames] == list(types)
    assert "author" not in frames[0]["payload"]


def test_without_a_dialect_in_common_nothing_is_said(pen: Any) -> None:
    """The text is dropped and counted."""
    line = Line(pen, hai=False)
    line.put(pen.hai(accept=CONTROL))
    line.get()
    line.talk.voice.say("AGENT", "hi", None)
    assert line.get() == []
    assert line.talk.voice.speech.dropped == 1


def test_a_text_streams_as_credit_comes(pen: Any) -> None:
    """It stops where the credit ends, goes on with each grant, and the next text waits for its END."""
    line = Line(pen, hai=False)
    flow = {"initial_credit_messages": 1, "initial_credit_bytes": 50_000}
    line.put(pen.hai(capabilities={"flow_control": flow}))
    line.get()
    line.talk.voice.say("AGENT", "one", None)
    line.talk.voice.say("AGENT", "two", None)
    assert [frame["type"] for frame in line.get()] == ["MESSAGE_START"]
    assert line.talk.voice.speech.pending("AGENT") == 2
    line.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 3})
    assert [frame["type"] for frame in line.get()] == ["MESSAGE_PART", "MESSAGE_END", "MESSAGE_START"]


def test_bytes_hold_a_text_as_messages_do(pen: Any) -> None:
    """Without the bytes for a frame it waits, and the books stay exact."""
    line = Line(pen, hai=False)
    line.put(pen.hai(capabilities={"flow_control": {"initial_credit_messages": 9, "initial_credit_bytes": 10}}))
    line.get()
    line.talk.voice.say("AGENT", "one", None)
    assert line.get() == []
    line.send("FLOW_UPDATE", {"channel": "AGENT", "add_bytes": 10_000})
    frames = line.talk.voice.take_outgoing()
    tally = line.talk.desk.known("AGENT").books().to_client
    assert tally.spent_bytes == sum(len(str(frame).encode()) for frame in frames)


def test_too_many_waiting_texts_drop_the_oldest(pen: Any) -> None:
    """The one that has begun stays, for its START is sent."""
    line = Line(pen, hai=False)
    flow = {"initial_credit_messages": 1, "initial_credit_bytes": 50_000}
    line.put(pen.hai(capabilities={"flow_control": flow}))
    for number in range(1002):
        line.talk.voice.say("AGENT", str(number), None)
    assert (line.talk.voice.speech.pending("AGENT"), line.talk.voice.speech.dropped) == (1000, 2)
    line.get()
    line.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 4})
    assert [frame["payload"].get("text") for frame in line.get()] == ["0", None, None, "3"]


@pytest.mark.parametrize("by", ["client", "server"])
def test_a_paused_channel_holds_what_we_say(line: Line, by: str) -> None:
    """Pausing is both ways: either side's pause holds us until that side resumes."""
    if by == "client":
        line.send("PAUSE_CHANNEL", {"channel": "AGENT"})
    else:
        line.talk.voice.hold("AGENT", paused=True)
    line.get()
    line.talk.voice.say("AGENT", "hi", None)
    assert line.get() == []
    books = line.talk.desk.known("AGENT").books()
    assert (books.paused_by_client, books.paused_by_server) == (by == "client", by == "server")
    if by == "client":
        line.send("RESUME_CHANNEL", {"channel": "AGENT"})
    else:
        line.talk.voice.hold("AGENT", paused=False)
    assert [frame["type"] for frame in line.get()][-1] == "MESSAGE_END"


def test_pausing_twice_says_it_once(line: Line) -> None:
    """And a resume without a pause says nothing."""
    for paused in (False, True, True, False, False):
        line.talk.voice.hold("USER", paused=paused)
    assert [frame["type"] for frame in line.get()] == ["PAUSE_CHANNEL", "RESUME_CHANNEL"]


# The rest of the protocol
def test_a_ping_is_answered_with_its_nonce(line: Line) -> None:
    """The PONG carries what the PING carried."""
    line.send("PING", {"nonce": "n1"})
    (pong,) = line.get()
    assert (pong["type"], pong["payload"]) == ("PONG", {"nonce": "n1"})


def test_a_replay_sends_the_same_frames_again(line: Line) -> None:
    """Same id, same seq, nothing debited; a number that is yet to come needs no replay."""
    line.talk.voice.send_frame("AGENT", Draft("TOOL_LIST", {}))
    line.talk.voice.send_frame("AGENT", Draft("AUDIO_CHUNK", {"message_id": "a"}, b"12"))
    before = line.talk.voice.take_outgoing()
    spent = line.talk.desk.known("AGENT").books().to_client
    line.send("REPLAY_REQUEST", {"from_seq": "2", "to_seq": "3"})
    assert line.talk.voice.take_outgoing() == before
    assert line.talk.desk.known("AGENT").books().to_client == spent
    line.send("REPLAY_REQUEST", {"from_seq": "4"})
    assert line.get() == []


def test_what_is_no_longer_kept_cannot_be_replayed(line: Line) -> None:
    """A thousand frames are kept; before them, REPLAY_TOO_OLD."""
    for _ in range(1001):
        line.send("PING", {})
    line.get()
    request = line.send("REPLAY_REQUEST", {"from_seq": "1"})
    assert line.error() == ("REPLAY_TOO_OLD", request)


def test_a_frame_of_ours_may_overdraw(pen: Any) -> None:
    """`send_frame` regards no credit; the books show it."""
    line = Line(pen, hai=False)
    line.put(pen.hai(capabilities={"flow_control": {"initial_credit_messages": 0, "initial_credit_bytes": 0}}))
    line.talk.voice.send_frame("AGENT", Draft("TOOL_LIST", {}))
    line.talk.voice.send_frame("SYSTEM", Draft("PING", {}))
    assert line.talk.desk.known("AGENT").books().to_client.balance == -1
    assert line.talk.desk.known("SYSTEM").books().to_client.balance == 0


def test_the_archive_is_bounded(pen: Any) -> None:
    """The oldest frames are forgotten, the count goes on."""
    line = Line(pen, keep_received=3, policy=Generous())
    for number in range(10):
        line.send("TOOL_LIST", {"n": number}, "USER")
    assert [frame.payload["n"] for frame in line.talk.archive.frames] == [7, 8, 9]
    assert line.talk.archive.frame_count == 11
