"""What the transaction dialect refuses, and where credit belongs in it."""

from __future__ import annotations

from typing import Any

import pytest
from support.transaction_dial import PATIENCE_S, Dial, begin, errors, meet, serve

from haip_sync.testing import Generous, Quirks

# What is wrong


@pytest.mark.parametrize(("payload", "code"), [({}, "MISSING_TOOL_NAME"), ({"toolName": "no"}, "TOOL_NOT_FOUND")])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_transaction_needs_a_tool(dial: Dial, payload: Any, code: str, *, is_named: bool) -> None:
    """The ERROR has the temporary id in its envelope, and the frame's id, unless the quirks say otherwise."""
    with serve(quirks=Quirks(names_related_id=is_named)) as running:
        client, session = meet(running, dial)
        frame_id, _ = client.send("TRANSACTION_START", payload, transaction="temporary")
        error = client.expect("ERROR")
        assert (error["payload"]["code"], error["transaction"]) == (code, "temporary")
        assert error["payload"].get("related_id") == (frame_id if is_named else None)
        assert session.transactions == ()


@pytest.mark.parametrize("event_type", ["MESSAGE", "MESSAGE_UPDATE", "AUDIO", "TRANSACTION_END", "TRANSACTION_JOIN"])
@pytest.mark.parametrize("transaction", [None, "null", "temporary", "ended"])
def test_what_belongs_to_no_open_transaction(dial: Dial, event_type: str, transaction: str | None) -> None:
    """TRANSACTION_NOT_FOUND; data was sent and is paid for all the same."""
    with serve() as running:
        client, session = meet(running, dial)
        name = begin(client)
        client.send("TRANSACTION_END", {}, transaction=name)
        named = name if transaction == "ended" else transaction
        frame_id, _ = client.send(event_type, {}, "USER", transaction=named)
        error = client.expect("ERROR")
        assert (error["payload"]["code"], error["payload"]["related_id"]) == ("TRANSACTION_NOT_FOUND", frame_id)
        assert error["transaction"] == (named or "null")
        assert session.books("USER").from_client.spent == (0 if event_type.startswith("TRANSACTION") else 1)
        assert session.transactions[0].open is False


def test_an_info_needs_no_transaction(dial: Dial) -> None:
    """It is kept among what was received."""
    with serve() as running:
        client, session = meet(running, dial)
        client.send("INFO", {"a": 1}, "USER", transaction="null")
        client.send("INFO", {"a": 1}, "USER", transaction="t")
        client.send("PING", {})
        client.expect("PONG")
        assert errors(client) == []
        assert [frame.type for frame in session.received] == ["HAI", "INFO", "INFO", "PING"]
        assert [frame.transaction for frame in session.received] == [None, None, "t", None]


# Credit


def test_a_flow_update_belongs_to_a_transaction(dial: Dial) -> None:
    """Outside of one it changes nothing and is answered with TRANSACTION_NOT_FOUND."""
    with serve(policy="on-request") as running:
        client, session = meet(running, dial)
        outside, _ = client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5})
        error = client.expect("ERROR")["payload"]
        assert (error["code"], error["related_id"]) == ("TRANSACTION_NOT_FOUND", outside)
        assert session.books("AGENT").to_client.granted == 50
        name = begin(client)
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5}, transaction=name)
        answer = client.expect("FLOW_UPDATE")
        assert (answer["payload"], answer["transaction"]) == ({"channel": "AGENT", "add_messages": 5}, name)
        assert session.books("AGENT").to_client.granted == 55


def test_what_the_policy_owes_waits_for_a_transaction(dial: Dial) -> None:
    """It is neither sent nor booked before; an explicit grant is sent at once, in no transaction."""
    with serve(policy=Generous()) as running:
        client, session = meet(running, dial)
        client.send("INFO", {}, "USER")
        client.send("PING", {})
        client.expect("PONG")
        assert [frame["type"] for frame in client.seen] == ["HAI", "PONG"]
        assert session.books("USER").from_client.balance == 9
        running.grant("SIDE", 3)
        assert client.expect("FLOW_UPDATE")["transaction"] == "null"
        name = begin(client)
        grant = client.expect("FLOW_UPDATE")
        assert (grant["payload"]["channel"], grant["payload"]["add_messages"], grant["transaction"]) == ("USER", 1, name)
        assert session.books("USER").from_client.balance == 10


def test_a_client_of_another_dialect_may_grant_outside_of_transactions(dial: Dial) -> None:
    """The rule is the transaction dialect's."""
    with serve(dialect="all") as running:
        client = dial(running.url)
        client.greet()
        session = running.wait_for_session(timeout=PATIENCE_S)
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5})
        client.send("PING", {})
        client.expect("PONG")
        assert (errors(client), session.books("AGENT").to_client.granted) == ([], 55)
