"""A server that repeats our token wherever a frame has room for it: nobody else gets to see it."""

from __future__ import annotations

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from support.scripted_peer import Peer, peer
from support.spills import Spills, spilled
from support.turnstiles import PATIENCE_S, until

from haip_sync import BearerToken, HAIPClient, HAIPError, HelloAuth, Message
from haip_sync.protocol.envelope import decode_envelope
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.runtime.discretion import Discretion

TOKEN = "S3cr3t-t0ken+of/many=characters"
NAME = "S3cr3t-t0ken-that-could-name-a-channel"
TYPES = (*ACCEPTED_TYPES, "REPLAY_REQUEST", "NEWS")
MEMBERS = ("id", "session", "seq", "ack", "ts", "channel", "type", "run_id", "thread_id", "transaction", "bin_mime")
SPELLINGS = {
    "as it is": TOKEN,
    "percent-encoded": quote(TOKEN, safe=""),
    "percent-encoded in small letters": quote(TOKEN, safe="").lower(),
    "as a form": quote_plus(TOKEN),
    "base64": b64encode(TOKEN.encode()).decode(),
    "base64 for URLs": urlsafe_b64encode(TOKEN.encode()).decode(),
    "Basic": b64encode(f"me:{TOKEN}".encode()).decode(),
    "base64 with more": b64encode(f"token {TOKEN} of mine".encode()).decode(),
}


def hostile_payloads(frame_type: str, word: str) -> Iterator[Any]:
    """Yield payloads of a type with the word in every member, alone and all together, of the right type and of a wrong one."""
    names = ("code", "message", "related_id", "detail", "nonce", "channel", "message_id", "text", "author", "call_id", "tool")
    names += ("status", "reason", "summary", "run_id", "result", "partial", "schema", "tools", "mime", "data", "from_seq")
    names += ("referenceId", "toolName", "params", "haip_version", "accept_events", "tokens", "duration_ms", "action", word)
    good = {"code": "X", "channel": "USER", "message_id": "m", "text": "t", "call_id": "c", "tool": "t", "from_seq": "1"}
    good |= {
        "status": "RUNNING" if frame_type == "TOOL_UPDATE" else "ERROR",
        "run_id": "r",
        "mime": "m",
        "schema": {},
        "tools": [],
    }
    yield good | {"result": {word: [word]}, "message": word, "detail": {word: word}, "nonce": word}
    yield dict.fromkeys(names, word)
    for name in names:
        yield good | {name: word}
    yield word


def says_everything(speaker: Peer, word: str) -> None:
    """Say the word in every member of every type of frame."""
    for frame_type in TYPES:
        for payload in hostile_payloads(frame_type, word):
            speaker.says(frame_type, payload)
        for member in MEMBERS:
            speaker.says(frame_type, {"message_id": "m", "text": "t"}, **{member: word})
        speaker.says(frame_type, {"x": 1}, crit=True, **{word: word})
        speaker.says(frame_type, {word: 1}, crit=True)
        speaker.says(frame_type, {"x": 1}, bin_len=5, bin_mime=word)
    speaker.connection.send(f"no JSON: {word}")
    speaker.connection.send(word.encode())


def look_at_everything(client: HAIPClient, spills: Spills) -> None:
    """Note all that the client shows of itself, its channels and its figures."""
    spills.of_client(client)
    state = client.connection_state()
    spills.note(f"{state!r} {client.metrics()!r}")
    for channel in state.channels:
        explanation = client.explain(channel)
        spills.note(f"{channel} {explanation} {explanation!r}")


def use_everything(client: HAIPClient, spills: Spills, heard: list[str]) -> None:
    """Begin all that the peer can answer, let it speak, and note what comes of it."""
    with client.texts("AGENT") as texts:
        call = client.call_tool("AGENT", "t", timeout=PATIENCE_S)
        run = client.run(thread_id="t")
        with suppress(HAIPError):
            run.__enter__()
        heard.append("go on")
        until(lambda: not client.connection_state().connected)
        for attempt in (
            lambda: call.result(PATIENCE_S),
            lambda: run.__exit__(None, None, None),
            lambda: client.ping(PATIENCE_S),
            lambda: client.send_text_message("USER", "too late", timeout=PATIENCE_S),
            lambda: [text.text(0) for text in iter(lambda: texts.receive(0), None)],
        ):
            try:
                attempt()
            except HAIPError as exc:
                spills.of_error(exc, data=("message_id", "text", "result"))
        spills.note(f"{call!r} {run!r} {texts!r}")


@pytest.mark.parametrize(
    ("spelling", "greets_with_it"), [*((spelling, False) for spelling in SPELLINGS), ("as it is", True), ("base64", True)]
)
def test_a_token_in_every_member_of_every_frame(caplog: pytest.LogCaptureFixture, spelling: str, *, greets_with_it: bool) -> None:
    """No log, event, error, repr, state or figure has it, and no answer of ours; what data frames carry is left."""
    word, answers = SPELLINGS[spelling], []
    caplog.set_level(logging.WARNING, "websockets")

    def script(speaker: Peer) -> None:
        hello = (
            {"haip_version": word, "accept_events": [*TYPES, word], word: word} if greets_with_it else {"accept_events": TYPES}
        )
        speaker.says("ERROR", {"code": word, "message": word})
        speaker.says("NEWS", {word: word}, session=word)
        with_credit = {"initial_credit_messages": 100, "initial_credit_bytes": 1_000_000}
        members = {"session": word, "id": word, "seq": word} if greets_with_it else {}
        speaker.says("HAI", {"accept_major": [1], "capabilities": {"flow_control": with_credit}} | hello, **members)
        for _ in ("HAI", "TOOL_CALL", "RUN_STARTED"):
            while (frame := speaker.hears_any())["type"] in ("ERROR", "FLOW_UPDATE"):
                answers.append(frame)
            begun = frame
        said = {"message_id": word, "text": "t"}
        speaker.says("MESSAGE_START", said, "AGENT")
        speaker.says("RUN_ERROR", {"run_id": begun["payload"]["run_id"], "code": word, "message": word})
        says_everything(speaker, word)
        speaker.connection.close(4000, word[:100])
        with suppress(Exception):
            while True:
                answers.append(speaker.hears_any())

    with spilled(traces=False) as spills, peer(script) as url:
        client = HAIPClient(url, auth=BearerToken(TOKEN), proxy="")
        client.subscribe(lambda event: isinstance(event, Message) or spills.events.append(event))
        client.connect(PATIENCE_S)
        use_everything(client, spills, [])
        look_at_everything(client, spills)
        client.close()
    text = spills.text() + json.dumps(answers)
    assert "ErrorReported" in text
    assert "haip_sync.wire" in text or "received" in text
    assert answers
    for secret in SPELLINGS.values():
        assert secret.rstrip("=") not in text
    assert "S3cr3t" not in text


def test_a_token_that_could_be_a_name_names_nothing() -> None:
    """A channel or a type that is called like our token is called otherwise here, and what comes on it is received."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.says("FLOW_UPDATE", {"channel": NAME, "add_messages": 5})
        speaker.says("NEWS", {"text": NAME}, channel=NAME)
        speaker.says(NAME, {"text": NAME}, channel="USER")
        speaker.stays()

    with peer(script) as url, HAIPClient(url, token=NAME) as client:
        first, second = client.receive(PATIENCE_S), client.receive(PATIENCE_S)
        assert (first.channel, first.payload) == ("___", {"text": NAME})
        assert (second.type, second.payload) == ("***", {"text": NAME})
        assert NAME not in repr(client.connection_state())


def test_short_secrets_leave_names_alone() -> None:
    """What is short may be a part of an honest peer's names, and of its numbers: only what is said to be read goes without it."""
    discretion = Discretion(("alice", "1234"))
    said = b'{"id":"1234","seq":"1234","session":"s","channel":"alice-chat","type":"alice","payload":{"channel":"alice"}}'
    assert discretion.envelope(decode_envelope(said)) == decode_envelope(said)
    error = b'{"id":"1","channel":"USER","type":"ERROR","payload":{"code":"NO","message":"no alice here"}}'
    assert discretion.envelope(decode_envelope(error)).payload["message"] == "no *** here"


def test_a_secret_that_is_an_id_is_struck_as_an_id() -> None:
    """Ids in an ERROR are left alone, but not where the id is the secret."""
    secret, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    said = {"code": "X", "message": f"no {secret}", "related_id": secret, "detail": other}
    envelope = decode_envelope(msgspec.json.encode({"id": "1", "channel": "USER", "type": "ERROR", "payload": said}))
    struck = Discretion((secret,)).envelope(envelope).payload
    assert struck == {"code": "X", "message": "no ***", "related_id": "***", "detail": other}


def test_the_longest_goes_first() -> None:
    """Where one secret is a part of another, nothing of the longer one is left."""
    assert Discretion(("secret", "secret-and-more")).text("it is secret-and-more") == "it is ***"
    assert "more" not in repr(Discretion(("secret-and-more",)))


@pytest.mark.parametrize(
    "settings",
    [
        {"headers": {"Authorization": "Basic " + b64encode(f"me:{TOKEN}".encode()).decode()}},
        {"headers": {"X-Key": TOKEN}},
        {"auth": HelloAuth({"deep": [{"key": TOKEN}]})},
        {"token": TOKEN},
    ],
    ids=["Basic", "another header", "in the HAI", "in the URL"],
)
def test_wherever_a_secret_was_said_it_is_struck(settings: dict[str, Any]) -> None:
    """User and password of a header count, and so does whatever is said in the HAI or in the URL."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        for spelling in SPELLINGS.values():
            speaker.says("ERROR", {"code": "NO", "message": f"no {spelling}"})
        speaker.connection.close(4000, f"bad {TOKEN}")

    with spilled(traces=False) as spills, peer(script) as url:
        logging.getLogger("websockets").setLevel(logging.WARNING)
        client = HAIPClient(url, **settings)
        client.subscribe(spills.events.append)
        try:
            client.connect(PATIENCE_S)
        except HAIPError as exc:  # with an object in the HAI the close may still be a refusal of it
            spills.of_error(exc)
        until(lambda: not client.connection_state().connected)
        spills.of_client(client)
        client.close()
    text = "".join(repr(event) for event in spills.events if not isinstance(event, Message)) + spills.text()
    assert "no ***" in text
    assert "S3cr3t" not in text
