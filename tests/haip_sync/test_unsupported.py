"""Only types that the peer accepts are ever sent: every call that sends, against peers that accept a part of what it needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pytest
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S
from websockets.exceptions import ConnectionClosed

from haip_sync import (
    AggressiveStrategy,
    FlowControlConfig,
    HAIPClient,
    HAIPTimeout,
    HeartbeatPolicy,
    UnsupportedByPeerError,
    VersionError,
)
from haip_sync.protocol.names import ACCEPTED_TYPES

ALL = frozenset((*ACCEPTED_TYPES, "REPLAY_REQUEST"))
TEXT = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END")
MESSAGE = ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
TRANSACTION = ("TRANSACTION_START", "TRANSACTION_END", "MESSAGE")


class Call(NamedTuple):
    """A call that sends, and the types that it cannot do without."""

    make: Callable[[HAIPClient], object]
    needs: tuple[str, ...]


def runs(client: HAIPClient) -> None:
    """Begin and end a run."""
    with client.run():
        pass


def streams(client: HAIPClient) -> None:
    """Write a text piece by piece."""
    with client.text_stream("USER") as out:
        out.write("hello")


CALLS = {
    "send_text_message": Call(lambda c: c.send_text_message("USER", "hello", timeout=PATIENCE_S), MESSAGE),
    "enqueue_text_message": Call(lambda c: c.enqueue_text_message("USER", "hello").result(PATIENCE_S), MESSAGE),
    "text_stream": Call(streams, MESSAGE),
    "send": Call(lambda c: c.send("USER", "TELEPATHY", {"x": 1}, timeout=PATIENCE_S), ("TELEPATHY",)),
    "send, control": Call(lambda c: c.send("SYSTEM", "PING", {"nonce": "n"}, timeout=PATIENCE_S), ("PING",)),
    "send, tools": Call(lambda c: c.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S), ("TOOL_LIST",)),
    "send_audio_chunk": Call(
        lambda c: c.send_audio_chunk("AUDIO_IN", "m", "audio/pcm", b"1234", timeout=PATIENCE_S), ("AUDIO_CHUNK",)
    ),
    "call_tool": Call(lambda c: c.call_tool("AGENT", "t", timeout=PATIENCE_S), ("TOOL_CALL",)),
    "run": Call(runs, ("RUN_STARTED", "RUN_FINISHED")),
    "ping": Call(lambda c: c.ping(0), ("PING",)),
    "request_credits": Call(lambda c: c.request_credits("USER", messages=1), ("FLOW_UPDATE",)),
    "send_flow_update": Call(lambda c: c.send_flow_update("USER", add_bytes=1), ("FLOW_UPDATE",)),
    "transaction": Call(lambda c: c.transaction("tool").__enter__(), ("TRANSACTION_START", "TRANSACTION_END")),
    "join_transaction": Call(lambda c: c.join_transaction("t1").__enter__(), ("TRANSACTION_JOIN", "TRANSACTION_END")),
}
DIALECTS = {"message": (*MESSAGE, *TEXT, *TRANSACTION), "text": (*TEXT, *TRANSACTION), "transaction": TRANSACTION, "none": ()}


def converse(speaker: Peer, say: Callable[[Peer], object], heard: list[str], is_over: threading.Event) -> None:
    """Say something, and note what the client sends, to its end."""
    try:
        with suppress(ConnectionClosed):  # it may be through already; what it sent is still there to be read
            say(speaker)
        while True:
            heard.append(speaker.hears_any()["type"])
    finally:
        is_over.set()


@contextmanager
def accepting_only(types: frozenset[str], **settings: Any) -> Iterator[tuple[HAIPClient, list[str]]]:
    """Yield a client of a peer that accepts these types, and what the peer has heard once the block is over."""
    heard: list[str] = []
    is_over = threading.Event()

    def say(speaker: Peer) -> None:
        speaker.greets(accept_events=sorted(types))
        speaker.says("PING", {"nonce": "theirs"})
        speaker.connection.send("no JSON")

    heartbeat = HeartbeatPolicy(interval=0.01, timeout=PATIENCE_S)
    with (
        peer(lambda speaker: converse(speaker, say, heard, is_over)) as url,
        HAIPClient(url, heartbeat=heartbeat, strategy=AggressiveStrategy(), **settings) as client,
    ):
        yield client, heard
    assert is_over.wait(PATIENCE_S)
    assert heard[0] == "HAI"
    assert set(heard[1:]) <= types


@pytest.mark.parametrize("name", CALLS)
def test_a_type_that_is_missing_is_missed_before_anything_leaves(name: str) -> None:
    """Without any one of the types that a call needs it raises, names one that is missing, and nothing of it is sent."""
    call = CALLS[name]
    for missing in call.needs:
        others = ALL - {missing, *TEXT}
        with accepting_only(others) as (client, heard):
            with pytest.raises(UnsupportedByPeerError, match="Nothing was sent") as caught:
                call.make(client)
            assert (
                missing in str(caught.value)
                or "no dialect of ours" in str(caught.value)
                or "transaction only" in str(caught.value)
            )
        assert not set(heard) & (set(call.needs) - {"PING", "FLOW_UPDATE"})


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_needs_is_enough(name: str) -> None:
    """With the types that a call needs and no others it goes out, and nothing else does."""
    call = CALLS[name]
    with accepting_only(frozenset(call.needs)) as (client, heard):
        try:
            call.make(client) if "transaction" not in name else client
        except HAIPTimeout:
            assert name == "ping"
    assert set(heard) - {"HAI"} <= set(call.needs)
    if "transaction" not in name:
        assert set(call.needs) <= set(heard)


@pytest.mark.parametrize("spoken", DIALECTS)
@pytest.mark.parametrize("wanted", ["auto", "message", "text", "transaction"])
def test_texts_go_in_a_dialect_that_the_peer_accepts(spoken: str, wanted: str) -> None:
    """A text goes in the first dialect that peer and application allow, or raises and nothing is sent."""
    types = frozenset(DIALECTS[spoken])
    fits = [
        name for name in ("message", "text") if wanted in ("auto", name) and {*(MESSAGE if name == "message" else TEXT)} <= types
    ]
    with accepting_only(types, dialect=wanted) as (client, heard):
        if fits:
            client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        else:
            with pytest.raises(UnsupportedByPeerError, match="Nothing was sent") as caught:
                client.send_text_message("USER", "hello", timeout=PATIENCE_S)
            # That of none fits is the application's choice where it has made one.
            assert ("no dialect of ours" if wanted == "auto" else wanted) in str(caught.value) or "transaction only" in str(
                caught.value
            )
    expected = [] if not fits else list(MESSAGE if fits[0] == "message" else TEXT)
    assert [frame_type for frame_type in heard if frame_type in types] == expected


def test_only_pausing_acts_without_the_peer() -> None:
    """A peer that accepts nothing is sent nothing: pausing holds our own sends, and says that the peer was not told."""
    told: list[bool] = []
    config = FlowControlConfig(initial_credits={"USER": 50})  # more than the HAI can say
    with accepting_only(frozenset(), flow_control=config) as (client, heard):
        client.on("channel_paused", lambda event: told.append(event.peer_told))
        client.pause_channel("USER")
        assert client.connection_state().channels["USER"].paused_by_us
        client.resume_channel("USER")
        assert not client.connection_state().channels["USER"].paused
        client.flush(PATIENCE_S)
    assert (heard, told) == (["HAI"], [False])


def test_a_handle_asks_for_no_more_than_the_peer_accepts() -> None:
    """A call whose peer accepts no TOOL_CANCEL cannot be cancelled, and a run whose peer accepts no RUN_CANCEL goes on."""
    with accepting_only(frozenset({"TOOL_CALL", "RUN_STARTED", "RUN_FINISHED"})) as (client, heard):
        call = client.call_tool("AGENT", "t", timeout=PATIENCE_S)
        with pytest.raises(UnsupportedByPeerError, match=r"TOOL_CANCEL\. Nothing was sent"):
            call.cancel()
        with client.run() as run, pytest.raises(UnsupportedByPeerError, match="Nothing was sent"):
            run.send_text_message("USER", "hello", timeout=PATIENCE_S)
    assert heard == ["HAI", "TOOL_CALL", "RUN_STARTED", "RUN_FINISHED"]


def test_a_peer_of_another_major_that_takes_no_error_is_sent_none() -> None:
    """No common MAJOR is answered with an ERROR where the peer accepts one, and else with the close alone."""
    heard: list[str] = []
    is_over = threading.Event()

    def say(speaker: Peer) -> None:
        speaker.greets(accept_major=[2], accept_events=["HAI"])

    with peer(lambda speaker: converse(speaker, say, heard, is_over)) as url, pytest.raises(VersionError, match=r"MAJOR \[2\]"):
        HAIPClient(url).connect(PATIENCE_S)
    assert is_over.wait(PATIENCE_S)
    assert heard == ["HAI"]
