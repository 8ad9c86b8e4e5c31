"""Saying who we are: in each of its places, and asked afresh."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from support.scripted_peer import Peer, peer
from support.spills import spilled
from support.tcp_peer import HAI, accepting, frame, read_request, served, unused_port, wait_for_end
from support.turnstiles import PATIENCE_S, until
from support.ways_in import TOKEN, each_way

from haip_sync import (
    Auth,
    AuthError,
    BearerToken,
    ConfigError,
    ConnectError,
    ConnectionClosedError,
    HAIPClient,
    HAIPTimeout,
    QueryToken,
    SubprotocolToken,
)
from haip_sync.testing import DevServer

ODD_TOKEN = "S3cr3t/t0ken & mehr=ü"


# ---- In each of its places -----------------------------------------------------------------------------------------------------


@each_way
def test_the_right_token_gets_in_and_a_wrong_one_does_not(way: Callable[[str], dict[str, Any]]) -> None:
    """Each place does for a server that looks at all of them; a wrong token is an AuthError."""
    with DevServer(token=TOKEN) as server:
        with HAIPClient(server.url, **way(TOKEN)) as client:
            client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        client = HAIPClient(server.url, **way("wrong"))
        with pytest.raises(AuthError, match=r"refused the token.*1008"):
            client.connect(PATIENCE_S)


def request_of(**settings: Any) -> list[str]:
    """Return the lines of the request that a client with these settings sends."""
    requests: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_request(connection))

    with served(handle) as port, pytest.raises(ConnectError):
        HAIPClient(f"ws://127.0.0.1:{port}/path?a=b", **settings).connect(PATIENCE_S)
    return requests[0].decode("latin-1").split("\r\n")


def test_where_it_stands_in_the_request() -> None:
    """Query, header and subprotocol are as HTTP and RFC 6455 want them, and the other places stay empty."""
    assert request_of()[0] == "GET /path?a=b HTTP/1.1"
    assert request_of(token=ODD_TOKEN)[0] == f"GET /path?a=b&token={quote_plus(ODD_TOKEN)} HTTP/1.1"
    assert request_of(auth=QueryToken("x", name="access key"))[0] == "GET /path?a=b&access+key=x HTTP/1.1"
    bearer = request_of(auth=BearerToken(TOKEN))
    assert bearer[0] == "GET /path?a=b HTTP/1.1"
    assert f"Authorization: Bearer {TOKEN}" in bearer
    subprotocol = request_of(auth=SubprotocolToken(TOKEN))
    assert f"Sec-WebSocket-Protocol: haip, {TOKEN}" in subprotocol
    assert f"Sec-WebSocket-Protocol: {TOKEN}" in request_of(auth=SubprotocolToken(TOKEN, protocol=None))
    assert not any("S3cr3t" in line for line in subprotocol if not line.startswith("Sec-WebSocket-Protocol"))


@pytest.mark.parametrize("chosen", [(), ("Sec-WebSocket-Protocol: haip",), (f"Sec-WebSocket-Protocol: {TOKEN}",)])
def test_a_server_may_choose_either_subprotocol_or_none(chosen: tuple[str, ...]) -> None:
    """What we offered may be chosen, the token too; choosing none is a server's right (RFC 6455, 4.1)."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection), *chosen) + frame(1, HAI) + frame(8, b"\x03\xe8"))
        wait_for_end(connection)

    with served(handle) as port:
        client = HAIPClient(f"ws://127.0.0.1:{port}", auth=SubprotocolToken(TOKEN))
        client.connect(PATIENCE_S)
        client.close()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: QueryToken(""), "a token must not be empty"),
        (lambda: QueryToken(b"S3cr3t"), "a token must be a string, not bytes"),  # type: ignore[arg-type]
        (lambda: QueryToken("x", name=""), "the name of a query token must not be empty"),
        (lambda: BearerToken("S3cr3t\r\nX: y"), "a bearer token must be made of visible ASCII characters"),
        (lambda: BearerToken("S3cr3t t0ken"), "a bearer token must be made of visible ASCII"),
        (lambda: BearerToken("S3cr3t-ü"), "a bearer token must be made of visible ASCII"),
        (lambda: SubprotocolToken("S3cr3t, x"), "a subprotocol token must be made of letters, digits and"),
        (lambda: SubprotocolToken("S3cr3t=="), r"encode it otherwise, as base64url"),
        (lambda: SubprotocolToken("x", protocol="a b"), "protocol must be made of letters"),
    ],
)
def test_a_token_that_cannot_stand_there_is_refused(make: Callable[[], Auth], match: str) -> None:
    """What HTTP could not carry is a ConfigError at once, which does not repeat it."""
    with pytest.raises(ConfigError, match=match) as caught:
        make()
    assert "S3cr3t" not in str(caught.value)


@pytest.mark.parametrize("auth", [QueryToken(TOKEN), BearerToken(TOKEN), SubprotocolToken(TOKEN)])
def test_no_repr_shows_it(auth: Auth) -> None:
    """Not the value's own, not that of what it puts into the request; equal ones are equal all the same."""
    assert "S3cr3t" not in f"{auth} {auth!r} {auth.credentials()!r} {[auth]}"
    assert repr(auth) == f"{type(auth).__name__}(...)"
    assert auth == type(auth)(TOKEN)  # type: ignore[call-arg]


# ---- Asked afresh --------------------------------------------------------------------------------------------------------------


def test_a_function_is_asked_for_each_attempt() -> None:
    """Each connect asks again, in the thread that connects and under no lock of the client's."""
    asked: list[str] = []
    threads: list[threading.Thread] = []

    def fetch() -> Auth:
        asked.append(f"token-{len(asked)}")
        threads.append(threading.current_thread())
        other = threading.Thread(target=client.connection_state)  # it takes the connection's lock
        other.start()
        other.join(PATIENCE_S)
        assert not other.is_alive()
        return BearerToken(asked[-1])

    port = unused_port()
    client = HAIPClient(f"ws://127.0.0.1:{port}", auth=fetch)
    assert asked == []
    for _ in range(2):
        with pytest.raises(ConnectError):
            client.connect(PATIENCE_S)
    with DevServer(port=port, token="token-2"), client:
        assert asked == ["token-0", "token-1", "token-2"]
    assert set(threads) == {threading.current_thread()}


def boom() -> Auth:
    """Fail, and tell too much about it."""
    raise LookupError(f"no such key: {TOKEN}")


def test_a_function_that_raises_is_named_and_its_words_are_not() -> None:
    """The error names what was raised and where, says that nothing was sent, and carries nothing of it along."""
    client = HAIPClient(f"ws://127.0.0.1:{unused_port()}", auth=boom)
    with spilled() as spills:
        with pytest.raises(ConnectError, match=r"raised LookupError in boom \(.*test_auth.py:\d+\)\. Nothing was sent") as caught:
            client.connect(PATIENCE_S)
        spills.of_error(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "S3cr3t" not in spills.text()

    def interrupted() -> Auth:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HAIPClient("ws://localhost:1", auth=interrupted).connect(PATIENCE_S)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (None, r"auth\(\) must return an Auth such as BearerToken, a mapping,? or a string, not NoneType"),
        (b"S3cr3t", r"or a string, not bytes"),
        ("", "a token must not be empty"),
        (BearerToken("S3cr3t"), r"both headers and auth \(or token\) set Authorization"),
    ],
)
def test_a_function_that_returns_what_cannot_be_used_is_a_config_error(answer: Any, match: str) -> None:
    """The error names the type and not the value, and nothing is opened."""
    client = HAIPClient("ws://localhost:1", auth=lambda: answer, headers={"Authorization": "x"})
    with pytest.raises(ConfigError, match=match) as caught:
        client.connect(PATIENCE_S)
    assert "S3cr3t" not in str(caught.value)


def test_a_function_counts_against_the_deadline() -> None:
    """Where asking takes all the time that there is, nothing else is begun."""
    with DevServer() as server:
        client = HAIPClient(server.url, auth=lambda: str(threading.Event().wait(0.2)))
        with pytest.raises(HAIPTimeout, match=r"did not answer within 0\.1 s"):
            client.connect(0.1)
        assert server.refusals == ()


# ---- Refused behind the HAI ---------------------------------------------------------------------------------------------------


def test_a_wrong_object_in_the_hai_is_an_auth_error_of_connect() -> None:
    """A server that reads who we are in our HAI refuses it behind its own; `connect` waits for that."""
    with DevServer(dialect="transaction", token="right") as server:
        with pytest.raises(AuthError, match=r"refused the token.*code 1008.*Nothing was sent"):
            HAIPClient(server.url, auth={"token": "wrong"}).connect(PATIENCE_S)
        with HAIPClient(server.url, auth={"token": "right"}) as client:
            assert client.connection_state().round_trip is not None
            assert client.connection_state().dialect == "transaction"


@pytest.mark.parametrize("accepts_ping", [True, False])
def test_a_server_that_answers_no_ping_lets_us_in_all_the_same(*, accepts_ping: bool) -> None:
    """Where no answer can be had, `connect` returns in time, and a later refusal is told to the next call."""
    refuse = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=["HAI", "ERROR", *(["PING"] if accepts_ping else []), "TRANSACTION_START"])
        refuse.wait(PATIENCE_S)
        speaker.connection.close(1008, "who are you?")

    with peer(script) as url:
        client = HAIPClient(url, auth={"token": "wrong"})
        client.connect(0.3)
        assert client.connection_state().connected
        refuse.set()
        until(lambda: not client.connection_state().connected)
        with pytest.raises(ConnectionClosedError, match=r"closed the connection with code 1008 \(who are you\?\)"):
            client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        client.close()


def test_who_says_nothing_in_the_hai_is_asked_nothing() -> None:
    """Without an object in the HAI no PING goes out behind it."""
    with DevServer() as server, HAIPClient(server.url, token="anything") as client:
        client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.texts("USER"), timeout=PATIENCE_S)
        assert [frame.type for frame in session.received][:2] == ["HAI", "MESSAGE_START"]
