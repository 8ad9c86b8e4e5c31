"""Interrupts of those who read the peer's texts: nothing goes astray, and nothing counts twice."""

from __future__ import annotations

from collections import deque

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.scripted_peer import Peer, peer
from support.told_texts import after_the_first_text, whole
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlConfig, HAIPClient, IncomingTexts, Message
from haip_sync.testing import DevServer


def test_wherever_an_interrupt_strikes_who_subscribes_no_text_goes_astray() -> None:
    """A block that was not entered takes no texts: they come to receive(), and nothing waits where nobody reads."""
    with DevServer(agent=False) as server, HAIPClient(server.url) as client:
        kept: list[IncomingTexts] = []

        def run(place: int) -> bool:
            kept.append(client.texts("AGENT"))
            was_reached, _ = interrupted_at(place, kept[-1].__enter__)
            if not was_reached:
                kept[-1].close()
            until(lambda: not client._conversation._desk._subscriptions)
            return was_reached

        assert sum(1 for _ in every_interrupt(run)) > 5
        server.send_text("AGENT", "x")
        assert client.receive(PATIENCE_S).type == "MESSAGE_START"


def test_wherever_an_interrupt_strikes_who_leaves_the_rest_is_done() -> None:
    """Interrupted on the way out of its block, a subscription is finished by the service thread: nothing unread stays owed."""

    def script(speaker: Peer) -> None:
        speaker.greets(messages=100_000)
        while True:
            speaker.hears("MESSAGE_END")
            whole(speaker, "a", "unread")

    with peer(script) as url, HAIPClient(url) as client:
        inbox, desk = client._connection.rooms.inbox, client._conversation._desk

        def leave_interrupted(place: int) -> bool:
            texts = client.texts("AGENT").__enter__()
            client.send_text_message("USER", "go", timeout=PATIENCE_S)
            until(lambda: any(text.complete for text in tuple(texts._unread.values())))
            fired, _ = interrupted_at(place, lambda: texts.__exit__(None, None, None))
            if not texts.is_left:  # struck before the first line: nobody has left
                texts.close()
            client._connection.poke()  # as whatever comes next does
            until(lambda: not desk._subscriptions and not inbox.untaken_bytes)
            return fired

        assert len(list(every_interrupt(leave_interrupted))) > 20


def test_an_interrupt_while_reading_counts_nothing_twice() -> None:
    """Interrupted between counting a part and taking it out, a reader begins anew: the part and its credit count once."""

    class Interrupting(deque[Message]):
        is_first = True

        def popleft(self) -> Message:
            if self.is_first:
                self.is_first = False
                raise KeyboardInterrupt
            return super().popleft()

    config, script = FlowControlConfig(initial_credits=8), after_the_first_text(lambda speaker: whole(speaker, "a", "x"))
    with peer(script) as url, HAIPClient(url, flow_control=config) as client, client.texts() as texts:
        client.send_text_message("USER", "go")
        text = texts.receive(PATIENCE_S)
        until(lambda: text.complete)
        text._frames = Interrupting(text._frames)
        with pytest.raises(KeyboardInterrupt):
            text.text(PATIENCE_S)
        assert text.text(PATIENCE_S) == "x"
        window = client._connection.rooms.inbox.window("AGENT")
        assert (window.remaining.messages, window.frames_waiting, window.is_conserved()) == (8, 0, True)
