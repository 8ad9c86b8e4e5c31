"""Every rule and every quirk of the wire as a conversation, held twice: with the session alone, and over a real socket."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from support.conversation_alone import Alone
from support.conversation_live import live
from support.conversations import Conversation, load, run

CONVERSATIONS = load(Path(__file__).parent)
each = pytest.mark.parametrize("conversation", CONVERSATIONS, ids=[c.name.replace(" ", "-") for c in CONVERSATIONS])


@each
def test_the_session_alone(conversation: Conversation) -> None:
    """The session, without a socket, says and means what the conversation expects."""
    run(conversation, Alone(conversation))


@each
def test_a_client_over_a_socket(conversation: Conversation) -> None:
    """A client on a real WebSocket says and means the same."""
    with live(conversation) as side:
        run(conversation, side)


def test_the_names_say_which_is_which() -> None:
    """No two conversations have one name, and each states its rule."""
    names = [conversation.name for conversation in CONVERSATIONS]
    assert len(names) == len(set(names)) >= 50
    assert all(conversation.rule for conversation in CONVERSATIONS)


def test_every_point_of_the_wire_is_shown() -> None:
    """Each numbered point of WIRE.md is shown by a conversation, and each conversation shows points, or parts, that there are."""
    text = resources.files("haip_sync.protocol").joinpath("WIRE.md").read_text("utf-8")
    points = set(re.findall(r"^(T?[0-9]+)\. \*\*", text, re.MULTILINE))
    assert {"1", "21", "T1", "T9"} <= points
    shown = {point for conversation in CONVERSATIONS for point in conversation.shows}
    assert points - shown == set()
    assert shown - points <= {"envelope", "handshake", "dialects", "tools"}
    assert [conversation.name for conversation in CONVERSATIONS if not conversation.shows] == []
