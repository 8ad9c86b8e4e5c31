"""The peer's texts: part by part or whole, interleaved, passed over, and never more of them than the window holds."""

from __future__ import annotations

import threading

import pytest
from support.scripted_peer import Peer, peer
from support.told_texts import after_the_first_text, end, part, start, whole
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    FlowControlConfig,
    HAIPClient,
    HAIPTimeout,
    IncomingText,
    IncompleteTextError,
    Message,
)
from haip_sync.testing import DevServer, Generous


def test_parts_come_as_they_are_sent() -> None:
    """Iterating yields each part when it comes, not when the text is whole; START's own text is the first part."""
    go_on = threading.Event()

    def say(speaker: Peer) -> None:
        speaker.says("MESSAGE_START", {"message_id": "a", "author": "bot", "text": "one "}, "AGENT", run_id="r", thread_id="t")
        part(speaker, "a", "two ")
        assert go_on.wait(PATIENCE_S)
        part(speaker, "a", "")
        part(speaker, "a", "three")
        end(speaker, "a")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts("AGENT") as texts:
        client.send_text_message("USER", "go")
        text = texts.receive(PATIENCE_S)
        assert (text.message_id, text.channel, text.author, text.run_id, text.thread_id) == ("a", "AGENT", "bot", "r", "t")
        parts = iter(text)
        assert [next(parts), next(parts)] == ["one ", "two "]
        assert not text.complete
        with pytest.raises(HAIPTimeout, match="2 parts of it were read"):
            next(text.parts(0))
        go_on.set()
        assert list(parts) == ["three"]
        assert text.complete
        assert list(text) == []


def test_a_text_can_be_awaited_whole() -> None:
    """text() waits for the END and joins the parts; a deadline that passes loses none of them; it may be asked again."""
    go_on = threading.Event()

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "one ")
        assert go_on.wait(PATIENCE_S)
        part(speaker, "a", "two")
        end(speaker, "a")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        text = next(iter(texts))
        with pytest.raises(HAIPTimeout):
            text.text(0.05)
        go_on.set()
        assert [text.text(PATIENCE_S), text.text(0)] == ["one two", "one two"]


def test_texts_that_nothing_takes_are_not_awaited() -> None:
    """Reading a subscription outside of its block would wait for ever: it says so at once, and in the block it is read."""
    client = HAIPClient("ws://localhost:1")
    texts = client.texts("AGENT")
    with pytest.raises(ConfigError, match="use the subscription in a with block"):
        texts.receive()
    with pytest.raises(ConfigError, match="use the subscription in a with block"):
        list(texts)
    with texts, pytest.raises(HAIPTimeout):
        texts.receive(0)
    with pytest.raises(ConnectionClosedError, match="the subscription was closed"):
        texts.receive()


def test_interleaved_texts_are_kept_apart() -> None:
    """Parts belong to their text by channel and message id, in whatever order they are read."""

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        start(speaker, "b")
        start(speaker, "a", "USER")
        part(speaker, "b", "b1 ")
        part(speaker, "a", "a1 ")
        part(speaker, "a", "other", "USER")
        part(speaker, "b", "b2")
        end(speaker, "b")
        part(speaker, "a", "a2")
        end(speaker, "a", "USER")
        end(speaker, "a")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        first, second, third = (texts.receive(PATIENCE_S) for _ in range(3))
        assert second.text(PATIENCE_S) == "b1 b2"
        assert first.text(PATIENCE_S) == "a1 a2"
        assert (third.text(PATIENCE_S), third.channel) == ("other", "USER")


def test_other_channels_and_other_frames_go_to_receive() -> None:
    """A subscription takes texts of its channels only; everything else comes to receive() as before."""

    def say(speaker: Peer) -> None:
        whole(speaker, "a", "mine")
        whole(speaker, "b", "not mine", "USER")
        speaker.says("INFO", {}, "AGENT")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts("AGENT") as texts:
        client.send_text_message("USER", "go")
        assert texts.receive(PATIENCE_S).text(PATIENCE_S) == "mine"
        types = [client.receive(PATIENCE_S).type for _ in range(4)]
        assert types == ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END", "INFO"]


def test_a_text_that_began_before_goes_on_where_it_began() -> None:
    """The rest of a text whose START went to receive() goes there too."""
    go_on = threading.Event()

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        assert go_on.wait(PATIENCE_S)
        part(speaker, "a", "x")
        end(speaker, "a")
        whole(speaker, "b", "new")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client:
        client.send_text_message("USER", "go")
        assert client.receive(PATIENCE_S).type == "MESSAGE_START"
        with client.texts() as texts:
            go_on.set()
            assert texts.receive(PATIENCE_S).text(PATIENCE_S) == "new"
        assert [client.receive(PATIENCE_S).type for _ in range(2)] == ["MESSAGE_PART", "MESSAGE_END"]


def test_credit_goes_back_as_parts_are_read() -> None:
    """What nobody reads stays within the window; each part that is read gives its credit back, so a long text gets through."""
    count, granted = 50, threading.Event()

    def say(speaker: Peer) -> None:
        credit = 4
        for number in range(count + 2):
            if not credit:
                granted.set()
            while not credit:
                credit += speaker.hears("FLOW_UPDATE").get("add_messages", 0)
            if number == 0:
                start(speaker, "a")
            elif number <= count:
                part(speaker, "a", f"{number} ")
            else:
                end(speaker, "a")
            credit -= 1

    config = FlowControlConfig(initial_credits=4)
    script = after_the_first_text(say)
    with peer(script) as url, HAIPClient(url, flow_control=config) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        assert granted.wait(PATIENCE_S)
        until(lambda: client.connection_state().channels["AGENT"].received_messages == 4)
        assert client.connection_state().channels["AGENT"].receive_window == 0
        text = texts.receive(PATIENCE_S)
        assert [part.strip() for part in text.parts(PATIENCE_S)] == [str(number) for number in range(1, count + 1)]
        state = client.connection_state().channels["AGENT"]
        assert (state.receive_window, state.receive_breaches) == (4, 0)


def test_what_fills_the_window_is_named_to_who_waits() -> None:
    """Who waits for one text while another fills the window is told so, and reading the other lets the peer go on."""

    def say(speaker: Peer) -> None:
        start(speaker, "one")
        start(speaker, "other")
        for number in range(4):
            part(speaker, "other", str(number))
        while speaker.hears("FLOW_UPDATE")["channel"] != "AGENT":
            pass
        part(speaker, "one", "at last")
        end(speaker, "one")

    config = FlowControlConfig(initial_credits=6)
    with peer(after_the_first_text(say)) as url, HAIPClient(url, flow_control=config) as client, client.texts("AGENT") as texts:
        client.send_text_message("USER", "begin", timeout=PATIENCE_S)
        # All of it has come before anything is taken: what is taken with nothing behind it is given back at once.
        until(lambda: client.connection_state().channels["AGENT"].receive_window == 0)
        one, other = texts.receive(PATIENCE_S), texts.receive(PATIENCE_S)
        with pytest.raises(HAIPTimeout, match=r"nothing more in time; 0 parts.* window of AGENT is full of 4 frames that nobody"):
            one.text(0)
        assert next(other.parts(PATIENCE_S)) == "0"
        assert one.text(PATIENCE_S) == "at last"


def test_a_good_end_ends_the_iteration() -> None:
    """Closed in good order, the iteration ends; so does that of a subscription that is opened afterwards, or closed."""
    with DevServer(agent=False) as server:
        client = HAIPClient(server.url)
        client.connect(PATIENCE_S)
        with client.texts() as texts, client.texts() as others:
            others.close()
            assert list(others) == []
            client.close()
            assert list(texts) == []
        with client.texts() as late:
            assert list(late) == []


def test_leaving_the_block_gives_back_what_was_not_read() -> None:
    """What was not read is given back, the rest of it goes to nobody, and whoever still holds a text is told."""
    go_on = threading.Event()

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "1")
        whole(speaker, "b", "2")
        assert go_on.wait(PATIENCE_S)
        part(speaker, "a", "3")
        end(speaker, "a")
        speaker.says("INFO", {}, "AGENT")

    with peer(after_the_first_text(say)) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits=8)) as client:
        with client.texts() as texts:
            client.send_text_message("USER", "go")
            text = texts.receive(PATIENCE_S)
            until(lambda: client.connection_state().channels["AGENT"].received_messages == 5)
        with pytest.raises(IncompleteTextError, match="was discarded"):
            text.text(0)
        go_on.set()
        assert client.receive(PATIENCE_S).type == "INFO"
        assert client.connection_state().channels["AGENT"].receive_window == 8


def test_a_text_may_be_passed_over() -> None:
    """discard() gives back what has come and what will come of a text; the next one gets through."""

    def say(speaker: Peer) -> None:
        credit = 4
        for number in range(20):
            while not credit:
                credit += speaker.hears("FLOW_UPDATE").get("add_messages", 0)
            part(speaker, "a", "x") if number else start(speaker, "a")
            credit -= 1
        while credit < 3:
            credit += speaker.hears("FLOW_UPDATE").get("add_messages", 0)
        whole(speaker, "b", "next")

    config, script = FlowControlConfig(initial_credits=4), after_the_first_text(say)
    with peer(script) as url, HAIPClient(url, flow_control=config) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        for text in texts:
            if text.message_id == "b":
                assert text.text(PATIENCE_S) == "next"
                break
            text.discard()


def test_a_text_that_is_begun_anew_is_two_texts() -> None:
    """A second START of an open text cuts the first one off."""

    def say(speaker: Peer) -> None:
        start(speaker, "a")
        part(speaker, "a", "old")
        whole(speaker, "a", "new")

    with peer(after_the_first_text(say)) as url, HAIPClient(url) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        old, new = texts.receive(PATIENCE_S), texts.receive(PATIENCE_S)
        assert new.text(PATIENCE_S) == "new"
        with pytest.raises(IncompleteTextError, match="begun anew"):
            old.text(PATIENCE_S)


def test_listeners_see_the_frames_and_credit_goes_back_with_reading() -> None:
    """With inbox="listeners" the frames of a text are taken by its reader, not by the listeners, and once."""
    seen: list[Message] = []
    script = after_the_first_text(lambda speaker: whole(speaker, "a", "x"))
    config = FlowControlConfig(initial_credits=3)
    with (
        peer(script) as url,
        HAIPClient(url, inbox="listeners", flow_control=config) as client,
        client.texts("AGENT") as texts,
    ):
        client.on("message", lambda message: seen.append(message) if message.channel == "AGENT" else None)
        client.send_text_message("USER", "go")
        until(lambda: len(seen) == 3)
        assert client.connection_state().channels["AGENT"].receive_window == 0
        assert all(message.is_routed for message in seen)
        assert texts.receive(PATIENCE_S).text(PATIENCE_S) == "x"
        until(lambda: client.connection_state().channels["AGENT"].receive_window == 3)


def test_waiting_in_a_listener_is_a_deadlock() -> None:
    """Waiting for a text, or for a part, on the dispatch thread raises DeadlockError; timeout 0 does not wait."""
    raised: list[type[Exception]] = []
    script = after_the_first_text(lambda speaker: start(speaker, "a"))
    with peer(script) as url, HAIPClient(url) as client, client.texts() as texts:

        def listener(message: Message) -> None:
            if message.type == "MESSAGE_START":
                text: IncomingText = texts.receive(0)
                for ask in (text.text, texts.receive, lambda: text.text(0), lambda: next(text.parts(0))):
                    try:
                        ask()
                    except (DeadlockError, HAIPTimeout) as exc:
                        raised.append(type(exc))

        client.on("message", listener)
        client.send_text_message("USER", "go")
        until(lambda: len(raised) == 4)
    assert raised == [DeadlockError, DeadlockError, HAIPTimeout, HAIPTimeout]


def test_a_real_agent_is_read_part_by_part() -> None:
    """Against the development server: question after question, each answer whole, with a window of three frames."""
    config = FlowControlConfig(initial_credits=3)
    with DevServer(policy=Generous()) as server, HAIPClient(server.url, flow_control=config) as client:
        with client.texts("AGENT") as texts:
            for number in range(5):
                client.send_text_message("USER", f"question {number}", timeout=PATIENCE_S)
                assert f"question {number}" in texts.receive(PATIENCE_S).text(PATIENCE_S)
        assert server.wait_for_session().books("AGENT").breaches == 0
