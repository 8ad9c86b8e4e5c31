"""Opening a connection: both HAIs, the dialect, the first credit."""

from __future__ import annotations

import pytest
from support.live import Start, settled
from support.turnstiles import PATIENCE_S

import haip_sync
from haip_sync import AuthError, ConnectionClosedError, FlowControlConfig, HAIPClient
from haip_sync.testing import DevServer


@pytest.mark.parametrize("dialect", ["message", "text"])
def test_a_text_arrives_in_the_peers_dialect(start: Start, dialect: str) -> None:
    """A text travels as START, PART and END of the dialect that the peer accepts, with decimal seq and cumulative ack."""
    server, client = start(dialect=dialect)
    receipt = client.send_text_message("USER", 'grüß dich\n"😀"', author="me", run_id="run-1", thread_id="t")
    session = settled(server, lambda s: s.texts())
    [text] = session.texts("USER")
    assert (text.text, text.author, text.message_id) == ('grüß dich\n"😀"', "me", receipt.message_id)
    data = [frame for frame in session.received if frame.channel == "USER"]
    prefix = "" if dialect == "message" else "TEXT_"
    assert [frame.type for frame in data] == [f"{prefix}MESSAGE_{end}" for end in ("START", "PART", "END")]
    assert [frame.seq for frame in session.received] == [str(n + 1) for n in range(len(session.received))]
    assert {(frame.run_id, frame.thread_id, frame.ack) for frame in data} == {("run-1", "t", "1")}
    assert receipt.seq == int(data[-1].seq)
    assert receipt.outcome in ("sent", "acknowledged")
    state = client.connection_state()
    assert (state.dialect, state.connected, state.epoch) == (dialect, True, 1)
    assert state.session_id == session.id
    assert state.peer_session_id == session.server_id


def test_the_first_balance_is_the_peers(start: Start) -> None:
    """The peer's HAI sets the balance of every channel, a grant above the cap set aside."""
    _, client = start({"flow_control": FlowControlConfig(max_credits=5)}, initial_credits=7, initial_credit_bytes=123)
    for channel in client.connection_state().channels.values():
        assert (channel.credits, channel.set_aside, channel.byte_credits) == (5, 2, 123)


def test_our_own_settings_stand_in_where_the_peer_names_none(start: Start) -> None:
    """Without initial credit in the peer's HAI our initial values are our own balance."""
    _, client = start({"flow_control": FlowControlConfig(initial_credits={"USER": 3})}, initial_credits=None)
    assert client.connection_state().credits["USER"] == 3
    assert client.connection_state().credits["AGENT"] == 10


def test_our_hai_grants_the_smallest_and_flow_updates_the_rest(start: Start) -> None:
    """Per-channel initial values reach the peer: the smallest in HAI, the rest by FLOW_UPDATE."""
    config = FlowControlConfig(initial_credits={"USER": 3, "AGENT": 20}, initial_credit_bytes={"AGENT": 2_000_000})
    server, _ = start({"flow_control": config})
    session = settled(server, lambda s: s.books("AGENT").to_client.balance == 20)
    assert session.books("AGENT").to_client.balance_bytes == 2_000_000
    assert session.books("USER").to_client.balance == 3
    assert session.books("SYSTEM").to_client.balance == 10


def test_a_wrong_token_is_an_auth_error_and_shows_no_token() -> None:
    """A refused token raises AuthError that names code 1008 and neither the token given nor any part of the URL's query."""
    with DevServer(token="right") as server:
        client = HAIPClient(server.url, token="wrong-secret")
        with pytest.raises(AuthError, match=r"refused the token.*1008") as caught:
            client.connect(PATIENCE_S)
        assert "secret" not in repr(caught.value) + repr(client)
        with HAIPClient(server.url, token="right") as good:
            assert good.connection_state().connected
        with HAIPClient(f"{server.url}?token=right") as also:
            assert also.connection_state().connected


def test_sending_before_connecting_says_so() -> None:
    """Before the first HAI every send raises ConnectionClosedError, and nothing was opened."""
    client = HAIPClient("ws://127.0.0.1:9")
    for call in (
        lambda: client.send_text_message("USER", "x"),
        lambda: client.request_credits("USER", messages=1),
        lambda: client.pause_channel("USER"),
        lambda: client.wait_for_credits("USER"),
    ):
        with pytest.raises(ConnectionClosedError, match="not connected yet"):
            call()
    assert client.connection_state().credits["USER"] == 0
    client.close()


def test_a_client_connects_once(start: Start) -> None:
    """A second connect is refused in words."""
    _, client = start()
    with pytest.raises(ConnectionClosedError, match="connects once"):
        client.connect()


def test_connect_returns_a_connected_client() -> None:
    """`haip_sync.connect` is the constructor and `connect` in one."""
    with DevServer() as server:
        client = haip_sync.connect(server.url, timeout=PATIENCE_S, name="mine")
        assert client.connection_state().connected
        assert client.name == "mine"
        client.close()


def test_a_connected_client_may_be_entered(start: Start) -> None:
    """`with connect(url) as client:` is the way of every library: the block takes the client as it stands, and closes it."""
    server, _ = start()
    with haip_sync.connect(server.url, timeout=PATIENCE_S) as client:
        assert client.connection_state().connected
    assert client.connection_state().phase == "closed"
    with pytest.raises(ConnectionClosedError, match="make a new one"), client:
        pytest.fail("a closed client was entered")
