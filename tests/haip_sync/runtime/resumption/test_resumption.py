"""The session goes on over a line that broke: what the peer lacks is sent again, in order, once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from support.lines import AT_ONCE
from support.peers_in_turn import Told, cut, peers_in_turn
from support.resuming import MANY, greets_many, hears_text, resumes
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, in_thread, until

from haip_sync import Connected, ConnectionClosedError, HAIPClient, HAIPTimeout, Limits, ReconnectPolicy


def test_what_the_peer_lacks_is_sent_again_first_with_the_same_ids_and_numbers() -> None:
    """Frames above the peer's `last_rx_seq` come again, data as it was and an empty PONG for a control frame, then who waited."""
    told, go_on = Told(), threading.Event()

    def first(talk: Peer) -> None:
        talk.greets(accept_events=MANY, messages=3)
        talk.hears("HAI")
        talk.says("PING", {"nonce": "n"})
        told.put([talk.hears_any() for _ in range(4)])
        assert go_on.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        told.put(resumes(talk, 1, messages=4))
        told.put([talk.hears_any() for _ in range(5)])
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        lines: list[Any] = []
        client.subscribe(lines.append, Connected)
        until(lambda: client._connection.rooms.session.last_seq == 2)
        receipts = [client.send("USER", "TOOL_LIST", {"tools": [], "number": number}) for number in range(3)]
        waiting = in_thread(lambda: client.send("USER", "TOOL_LIST", {"tools": [], "number": 3}, timeout=PATIENCE_S))
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        sent = told.get()
        go_on.set()
        hello, again = told.get(), told.get()
        assert hello["payload"]["last_rx_seq"] == "2"
        assert [frame["type"] for frame in sent] == ["PONG", "TOOL_LIST", "TOOL_LIST", "TOOL_LIST"]
        assert [frame["seq"] for frame in again] == ["2", "3", "4", "5", "7"]
        assert [frame["seq"] for frame in sent] == ["2", "3", "4", "5"]
        assert [frame["id"] for frame in again[1:4]] == [frame["id"] for frame in sent[1:]]
        assert (again[0]["type"], again[0]["payload"], again[0]["id"] != sent[0]["id"]) == ("PONG", {}, True)
        assert (hello["seq"], again[4]["payload"]["number"], waiting.result(PATIENCE_S).seq) == ("6", 3, 7)
        until(lambda: bool(lines) and lines[-1].epoch == 2)
        assert lines[-1].resumed
        assert {receipt.outcome for receipt in receipts} == {"sent"}
        state = client.connection_state().channels["USER"]
        assert (state.credits, state.sent_messages, state.is_conserved) == (0, 4, True)


def test_what_the_peer_has_is_not_sent_again_and_counts_as_acknowledged() -> None:
    """A peer that names all that was sent gets nothing twice."""
    told = Told()

    def first(talk: Peer) -> None:
        greets_many(talk)
        told.put(hears_text(talk))
        cut(talk)

    def second(talk: Peer) -> None:
        resumes(talk, 4)
        told.put(hears_text(talk))
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        receipt = client.send_text_message("USER", "arrived", timeout=PATIENCE_S)
        told.get()
        until(lambda: client.connection_state().epoch == 2)
        assert receipt.outcome == "acknowledged"
        client.send_text_message("USER", "next", timeout=PATIENCE_S)
        assert [frame["seq"] for frame in told.get()] == ["6", "7", "8"]


def test_a_call_and_a_run_outlive_a_line_whose_session_goes_on() -> None:
    """The result of a tool that was called on one line may come on the next; a run is ended there."""
    told = Told()

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.hears("RUN_STARTED")
        call = talk.hears("TOOL_CALL")
        told.put(call["call_id"])
        cut(talk)

    def second(talk: Peer) -> None:
        resumes(talk, 3)
        talk.says("TOOL_DONE", {"call_id": told.get(), "status": "OK", "result": 42}, channel="AGENT")
        told.put(talk.hears("RUN_FINISHED")["status"])
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        with client.run() as run:
            assert run.call_tool("AGENT", "sum", timeout=PATIENCE_S).result(PATIENCE_S) == 42
        assert run.status == "OK"
        until(lambda: client.connection_state().epoch == 2)
        assert told.get() == "OK"


def test_a_text_of_the_peers_goes_on_with_its_session() -> None:
    """A text that was half read is read to its end on the next line."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.says("MESSAGE_START", {"message_id": "m"}, channel="AGENT")
        talk.says("MESSAGE_PART", {"message_id": "m", "text": "one "}, channel="AGENT")
        cut(talk)

    def second(talk: Peer) -> None:
        talk._seq = 3
        resumes(talk, 1)
        talk.says("MESSAGE_PART", {"message_id": "m", "text": "two"}, channel="AGENT")
        talk.says("MESSAGE_END", {"message_id": "m"}, channel="AGENT")
        talk.stays()

    with peers_in_turn(first, second) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        with client.texts("AGENT") as texts, client:
            assert texts.receive(PATIENCE_S).text(PATIENCE_S) == "one two"


def test_what_was_held_for_a_gap_is_given_up_for_what_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames above a gap wait for it; on a line that resumes they come once more, are counted once, and handed out in order."""
    monkeypatch.setenv("HAIP_SYNC_DEBUG", "1")
    go_on = threading.Event()

    def numbered(talk: Peer, seq: int) -> None:
        talk._seq = seq - 1
        talk.says("TOOL_LIST", {"tools": [], "number": seq}, channel="AGENT")

    def first(talk: Peer) -> None:
        greets_many(talk)
        numbered(talk, 3)
        assert go_on.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        talk._seq = 3
        resumes(talk, 1)
        numbered(talk, 2)
        numbered(talk, 3)
        numbered(talk, 5)
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        inbox = client._connection.rooms.inbox
        until(lambda: inbox.untaken_bytes > 0)
        go_on.set()
        assert [client.receive(PATIENCE_S).payload["number"] for _ in range(3)] == [2, 3, 5]
        assert inbox.untaken_bytes == 0
        assert client.connection_state().channels["AGENT"].receive_window == 10


def test_what_is_missing_when_the_line_breaks_is_not_given_up_for_its_age() -> None:
    """The service thread looked at a standing line, then that broke: a gap whose time has come stays open for the next line."""
    now_s, go_on = [time.monotonic()], threading.Event()

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk._seq = 2
        talk.says("TOOL_LIST", {"tools": [], "number": 3}, channel="AGENT")
        assert go_on.wait(PATIENCE_S)
        cut(talk)

    slow = ReconnectPolicy(initial_delay=60.0, max_delay=60.0)
    with peers_in_turn(first) as url:
        client = HAIPClient(url, reconnect=slow)
        connection = client._connection
        connection._reception._clock = lambda: now_s[0]
        with client:
            until(lambda: connection.rooms.inbox.untaken_bytes > 0)
            go_on.set()
            until(lambda: client.connection_state().phase == "offline")
            for _ in range(2):  # the first would ask for it, the second give it up
                now_s[0] += 60.0
                connection.look_for_gaps()
            with pytest.raises(HAIPTimeout):
                client.receive(0)


def test_a_peer_that_does_not_send_again_what_we_lack_ends_calls_and_texts() -> None:
    """With RESUME_FAILED ours is sent again all the same, but what we waited for is told that it will not come."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.hears("TOOL_CALL")
        cut(talk)

    def second(talk: Peer) -> None:
        hello = resumes(talk, 2)
        talk.says("ERROR", {"code": "RESUME_FAILED", "message": "too long ago", "related_id": hello["id"]})
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        call = client.call_tool("AGENT", "sum", timeout=PATIENCE_S)
        with pytest.raises(ConnectionClosedError, match="RESUME_FAILED: too long ago"):
            call.result(PATIENCE_S)
        assert client.connection_state().phase == "open"


def test_what_is_sent_again_does_not_count_as_answers_that_the_peer_leaves_unread() -> None:
    """However much a peer lacks, the line that brings it stands: only answers that it asks for and does not read end one."""
    told = Told()

    def first(talk: Peer) -> None:
        greets_many(talk)
        for _ in range(4):
            talk.hears("TOOL_LIST")
        cut(talk)

    def second(talk: Peer) -> None:
        resumes(talk, 1)
        told.put([talk.hears_any()["seq"] for _ in range(6)])
        talk.stays()

    limits = Limits(max_unwritten_answers_bytes=100_000)
    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE, limits=limits) as client:
        client.pause_channel("AUDIO_IN")
        for _ in range(4):
            client.send("USER", "TOOL_LIST", {"tools": [], "ballast": "x" * 60_000}, timeout=PATIENCE_S)
        assert told.get() == ["2", "3", "4", "5", "6", "8"]
        assert client.connection_state().epoch == 2


def test_what_the_peer_has_refused_is_not_sent_again() -> None:
    """A send that was settled as refused stays so on a line that resumes: an empty PONG stands in its place."""
    told = Told()

    def first(talk: Peer) -> None:
        greets_many(talk)
        refused = talk.hears_frame("TOOL_LIST")
        talk.says("ERROR", {"code": "INSUFFICIENT_CREDITS", "message": "none left", "related_id": refused["id"]})
        talk.hears("TOOL_LIST")
        cut(talk)

    def second(talk: Peer) -> None:
        resumes(talk, 1)
        told.put([talk.hears_any()["type"] for _ in range(2)])
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        receipt = client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        until(lambda: receipt.outcome == "refused")
        client.send("AGENT", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        assert told.get() == ["PONG", "TOOL_LIST"]
        assert receipt.outcome == "refused"
        assert client.connection_state().channels["USER"].sent_messages == 0


def test_a_replay_that_was_under_way_ends_with_its_line() -> None:
    """What the peer of one line has asked for is not sent on the next, whose peer says itself what it lacks."""
    told, ask, cut_now = Told(), threading.Event(), threading.Event()

    def first(talk: Peer) -> None:
        greets_many(talk)
        assert ask.wait(PATIENCE_S)
        talk.says("REPLAY_REQUEST", {"from_seq": "2", "to_seq": "5"})
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        resumes(talk, 5)
        told.put([talk.hears_any() for _ in range(2)])
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        connection = client._connection
        for _ in range(4):
            client.send("USER", "TOOL_LIST", {"tools": [], "ballast": "x" * 70_000}, timeout=PATIENCE_S)
        with connection.writer._pen:
            ask.set()
            until(lambda: connection.replaying.under_way is not None)
            cut_now.set()
            until(lambda: client.connection_state().phase == "offline")
        client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        until(lambda: connection.replaying.under_way is None)
        client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        assert [frame["seq"] for frame in told.get()] == ["7", "8"]
