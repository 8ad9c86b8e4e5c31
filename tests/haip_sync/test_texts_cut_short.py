"""Texts of the peer's that break off, lose a frame or never end: who reads them waits for nothing that will not come."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.scripted_peer import Peer, peer
from support.told_texts import after_the_first_text, end, part, start, whole
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConnectionClosedError,
    FlowControlConfig,
    FramesLost,
    HAIPClient,
    HAIPTimeout,
    IncompleteTextError,
    WarningRaised,
)
from haip_sync.runtime.conversation import incoming_text, incoming_texts


def test_the_end_of_the_connection_cuts_a_text_off() -> None:
    """What came can still be read; then IncompleteTextError says how much there is, and the subscription raises the loss."""

    def say(speaker: Peer) -> None:
        whole(speaker, "a", "whole")
        start(speaker, "b")
        part(speaker, "b", "half")
        speaker.connection.socket.close()

    with peer(after_the_first_text(say)) as url, HAIPClient(url, reconnect=ONE_LINE) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        until(lambda: not client.connection_state().connected)
        found = iter(texts)
        assert next(found).text(0) == "whole"
        broken = next(found)
        with pytest.raises(IncompleteTextError, match=r"has no END: .*1 parts of it were read") as caught:
            broken.text(0)
        assert (caught.value.text, caught.value.parts, caught.value.message_id, broken.complete) == ("half", 1, "b", False)
        with pytest.raises(ConnectionClosedError):
            next(found)
        with pytest.raises(ConnectionClosedError):
            texts.receive(0)


@pytest.mark.parametrize(
    ("frame_type", "flaw", "text"), [("MESSAGE_PART", {"text": 5}, "one "), ("MESSAGE_END", {"tokens": -1}, "one two")]
)
def test_a_frame_of_a_text_that_cannot_be_read_is_missing_there(frame_type: str, flaw: dict[str, Any], text: str) -> None:
    """No text is told as whole that lacks a part, and nobody waits for an END that has come; the rest of it costs no credit."""

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "one ")
        if frame_type == "MESSAGE_END":
            part(speaker, "a", "two")
        speaker.says(frame_type, {"message_id": "a"} | flaw, "AGENT")
        if frame_type == "MESSAGE_PART":
            part(speaker, "a", "three")
            end(speaker, "a")
        whole(speaker, "b", "next")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        broken = texts.receive(PATIENCE_S)
        assert texts.receive(PATIENCE_S).text(PATIENCE_S) == "next"
        with pytest.raises(IncompleteTextError, match=rf"will not be whole: {frame_type} has a bad payload") as caught:
            broken.text()
        assert (caught.value.text, broken.complete) == (text, False)
        assert client._connection.rooms.inbox.window("AGENT").frames_waiting == 0
        assert not client._conversation._desk._open


def test_an_end_that_was_dropped_is_not_awaited() -> None:
    """What comes without credit, and finds no room, is dropped: the text that it belongs to is told as incomplete."""

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        for _ in range(3):
            part(speaker, "a", "x")
        end(speaker, "a")

    config = FlowControlConfig(initial_credits=4)
    with peer(after_the_first_text(say)) as url, HAIPClient(url, flow_control=config) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        until(lambda: client.connection_state().channels["AGENT"].receive_breaches == 1)
        with pytest.raises(IncompleteTextError, match=r"MESSAGE_END of .* bytes came without credit .* dropped") as caught:
            texts.receive(PATIENCE_S).text()
        assert caught.value.text == "xxx"


def test_an_end_that_was_lost_is_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that says nothing more once frames were lost ends with an error that names them; one that says its END is whole."""
    monkeypatch.setattr(incoming_text, "LOSS_PATIENCE_S", 0.2)

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "half")
        start(speaker, "b")
        speaker.skips()  # the END of a
        part(speaker, "b", "whole")
        end(speaker, "b")
        whole(speaker, "c", "later")

    lost: list[FramesLost] = []
    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.subscribe(lost.append, FramesLost)
        client.send_text_message("USER", "go")
        broken, other = texts.receive(PATIENCE_S), texts.receive(PATIENCE_S)
        with pytest.raises(IncompleteTextError, match=r"its END may be among what was lost .*: 1 frame .* seq 5 to 5") as caught:
            broken.text()
        assert (caught.value.text, caught.value.parts, broken.complete) == ("half", 1, False)
        assert [(event.first_seq, event.last_seq) for event in lost] == [(5, 5)]
        assert other.text() == "whole"
        assert texts.receive(PATIENCE_S).text() == "later"
        with pytest.raises(IncompleteTextError, match="1 parts of it were read"):
            list(broken)


def test_a_text_that_goes_on_after_a_loss_can_be_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was lost was another's: the deadline of whoever reads stands, and after the error the rest is read as ever."""
    monkeypatch.setattr(incoming_text, "LOSS_PATIENCE_S", 0.3)
    go_on = threading.Event()

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "one ")
        speaker.skips()
        part(speaker, "a", "two ")
        assert go_on.wait(PATIENCE_S)
        part(speaker, "a", "three")
        end(speaker, "a")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        text = texts.receive(PATIENCE_S)
        parts = text.parts()
        assert [next(parts), next(parts)] == ["one ", "two "]
        with pytest.raises(HAIPTimeout):
            next(text.parts(0.01))
        with pytest.raises(IncompleteTextError, match="2 parts of it were read"):
            next(parts)
        go_on.set()
        until(lambda: text.complete)
        assert list(text) == ["three"]


def test_open_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that ends no text: beyond a number of them further ones go to receive(), with a warning."""
    monkeypatch.setattr(incoming_texts, "MOST_OPEN_TEXTS", 3)

    def say(speaker: Peer) -> None:
        for number in range(6):
            start(speaker, str(number))

    warnings: list[WarningRaised] = []
    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.on("warning", warnings.append)
        client.send_text_message("USER", "go")
        assert [texts.receive(PATIENCE_S).message_id for _ in range(3)] == ["0", "1", "2"]
        assert [client.receive(PATIENCE_S).payload["message_id"] for _ in range(3)] == ["3", "4", "5"]
        until(lambda: len(warnings) == 1)
        assert "3 texts of the peer's have no END yet" in warnings[0].text
        assert len(client._conversation._desk._open) == 3


def test_a_text_without_end_is_read_up_to_a_limit() -> None:
    """text() stops at max_characters with what there is; iterating reads on."""

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        for _ in range(4):
            part(speaker, "a", "0123456789")
        end(speaker, "a")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        text = texts.receive(PATIENCE_S)
        with pytest.raises(IncompleteTextError, match="longer than 15 characters") as caught:
            text.text(PATIENCE_S, max_characters=15)
        assert caught.value.text == "0123456789" * 2
        assert "".join(text) == "0123456789" * 2


def test_a_text_that_is_read_after_the_end_is_nobodys_to_wait_for() -> None:
    """A START that the reader still takes in after the end makes no text: nobody would ever tell its reader of the end."""
    with peer(after_the_first_text(lambda _: None)) as url, HAIPClient(url) as client, client.texts("AGENT") as texts:
        client.close(0.0)
        start = {"id": "9", "session": "s", "seq": "9", "ts": "1", "channel": "AGENT", "pv": 1, "type": "MESSAGE_START"}
        client._connection._reception.take_text(json.dumps(start | {"payload": {"message_id": "late"}}).encode())
        with pytest.raises(ConnectionClosedError, match="no more texts"):
            texts.receive(0)


def test_empty_parts_do_not_put_the_deadline_off() -> None:
    """A text whose peer goes on saying empty parts is given up at the timeout all the same."""
    over = threading.Event()

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        while not over.wait(0.01):
            part(speaker, "a", "")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts("AGENT") as texts:
        client.send_text_message("USER", "go")
        text = texts.receive(PATIENCE_S)
        try:
            with pytest.raises(HAIPTimeout):
                text.text(0.2)
        finally:
            over.set()
