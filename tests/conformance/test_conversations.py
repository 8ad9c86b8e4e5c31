"""Every rule and every quirk of the wire as a conversation, held twice: with the session alone, and over a real socket."""

from __future__ import annotations

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
