"""A server that repeats our token wherever a frame has room for it: nobody else gets to see it."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from support.lines import AT_ONCE, ONE_LINE
from support.peers_in_turn import peers_in_turn
from support.scripted_peer import Peer, peer
from support.spills import Spills, spilled
from support.turnstiles import PATIENCE_S, until

from haip_sync import BearerToken, Disconnected, FramesLost, HAIPClient, HAIPError, HelloAuth, Message, Reconnecting
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
        client = HAIPClient(url, auth=BearerToken(TOKEN), proxy="", reconnect=ONE_LINE)
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


TOKENS = [TOKEN, *(f"S3cr3t-{n}th+of/many=characters" for n in ("2", "3", "4"))]
"""One for each line."""


def says_words(speaker: Peer, words: list[str]) -> None:
    """Say each word where a report, a loss or a refusal may quote it, some of it behind a gap, where it is read later."""
    for word in words:
        speaker.says("ERROR", {"code": word, "message": f"{word} {'x' * 9_000} {word}"})
    speaker._seq += 1
    for word in words:
        speaker.says("MESSAGE_START", {"message_id": word, "text": "t"}, "AGENT")
        speaker.says("MESSAGE_PART", {"message_id": word, word: 1}, "AGENT", crit=True)
        speaker.says("MESSAGE_PART", {"message_id": word, "y" * 40 + word: 1}, "AGENT", crit=True)
        speaker.says("NEWS", {"x": 1}, "AGENT", crit=True, **{word: 1})


class Liar:
    """A server that repeats what the client told it, in this line or an earlier one: a script for each line."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.answers: list[Any] = []

    def is_lost(self, speaker: Peer) -> None:
        speaker.greets(accept_events=TYPES)
        self.answers += [speaker.hears_frame("TOOL_CALL"), speaker.hears_frame("MESSAGE_START")]
        says_words(speaker, self.words[:1])
        speaker.connection.close(1012, self.words[0])

    def is_no_peer(self, speaker: Peer) -> None:
        speaker.says("ERROR", {"code": self.words[0], "message": f"{self.words[1]} and {self.words[0]}"})
        speaker.connection.close(4000, self.words[0])

    def does_not_resume(self, speaker: Peer) -> None:
        speaker._seq = 100
        speaker.greets(accept_events=TYPES, last_rx_seq="1")
        hello = speaker.hears_frame("HAI")
        says_words(speaker, self.words[:3])
        said = {"code": "RESUME_FAILED", "message": " and ".join(self.words[:3]), "related_id": hello["id"]}
        speaker.says("ERROR", said)
        speaker.connection.close(1011, self.words[1])

    def lies(self, speaker: Peer) -> None:
        speaker.greets(accept_events=TYPES, last_rx_seq="z" * 40 + self.words[0])
        says_words(speaker, self.words)
        says_everything(speaker, self.words[2])
        speaker.says("PING", {"nonce": "all is said"})
        while (frame := speaker.hears_any())["payload"] != {"nonce": "all is said"}:
            self.answers.append(frame)
        speaker.connection.close(1000, self.words[2])


def lose_everything(client: HAIPClient, spills: Spills) -> None:
    """Begin what lines break, wait for the end, and note what comes of it."""
    with client.texts("AGENT") as texts:
        call = client.call_tool("AGENT", "t", timeout=PATIENCE_S)
        client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        until(lambda: client.connection_state().phase == "closed")
        for attempt in (
            lambda: call.result(PATIENCE_S),
            lambda: [text.text(0) for text in iter(lambda: texts.receive(0), None)],
            lambda: client.receive(0),
        ):
            with pytest.raises(HAIPError) as failed:
                list(iter(attempt, None))
            spills.of_error(failed.value, data=("message_id", "text", "result"))
        spills.note(f"{call!r} {texts!r}")


@pytest.mark.parametrize("spell", [str, lambda token: b64encode(token.encode()).decode()], ids=["as it is", "base64"])
def test_what_one_line_was_told_is_struck_on_the_next(caplog: pytest.LogCaptureFixture, spell: Callable[[str], str]) -> None:
    """Why a line was lost, why an attempt failed, what is missing, why nothing resumes: none of it shows a token of any line."""
    caplog.set_level(logging.WARNING, "websockets")
    liar, told = Liar([spell(token) for token in TOKENS]), iter(TOKENS)
    with (
        spilled(traces=False) as spills,
        peers_in_turn(liar.is_lost, liar.is_no_peer, liar.does_not_resume, liar.lies) as url,
        closing(HAIPClient(url, auth=lambda: BearerToken(next(told)), proxy="", reconnect=AT_ONCE)) as client,
    ):
        client.subscribe(lambda event: isinstance(event, Message) or spills.events.append(event))
        client.connect(PATIENCE_S)
        lose_everything(client, spills)
        look_at_everything(client, spills)
    assert next(told, None) is None
    lost = [event.reason for event in spills.events if isinstance(event, Disconnected)]
    tried = [event.reason for event in spills.events if isinstance(event, Reconnecting)]
    assert ["***" in reason for reason in lost] == [True] * 3
    assert ["***" in reason for reason in tried] == [True] * 3
    assert any(isinstance(event, FramesLost) for event in spills.events)
    text = spills.text() + json.dumps(liar.answers)
    assert re.search(r"does not send again what was lost of its side: RESUME_FAILED: \*{3}\S* and \*{3}\S* and \*{3}", text)
    for word in (*liar.words, *TOKENS):
        assert word.rstrip("=") not in text
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


def test_what_earlier_lines_were_told_is_remembered_so_far() -> None:
    """A new line's secrets come on top of the latest of the earlier ones; the same one told again is one."""
    discretion = Discretion()
    for number in range(30):
        discretion = discretion.and_also((f"secret-{number:02}", "the same"))
    assert discretion.text("the same, secret-29, secret-20") == "***, ***, ***"
    assert discretion.text("secret-00") == "secret-00"


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
        client = HAIPClient(url, reconnect=ONE_LINE, **settings)
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


@pytest.mark.parametrize(("secret", "said"), [("1", "code 1008 (no room)"), ("abc", "abcdef"), ("abcd", "***ef")])
def test_what_is_shorter_than_four_characters_is_no_secret(secret: str, said: str) -> None:
    """A value in the URL's query such as `version=1` does not make every text of the peer's, and of ours, unreadable."""
    text = "code 1008 (no room)" if secret == "1" else "abcdef"
    assert Discretion((secret,)).text(text) == said
