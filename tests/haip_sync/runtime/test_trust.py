"""Connecting to wss://: whom we trust, what is said when we do not, and that everything else is as without TLS."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import trustme
from support.certificates import authority, client_context, server_context
from support.lines import ONE_LINE
from support.tcp_peer import HAI, answering, served
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConnectError, FlowControlTimeout, HAIPClient, HAIPTimeout, HeartbeatPolicy
from haip_sync.testing import DevServer, Generous

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def test_a_conversation_over_tls() -> None:
    """With the authority of our own trusted, texts go and answers come as they do without TLS, for name and numbers alike."""
    with DevServer(ssl_context=server_context(), policy=Generous()) as server:
        assert server.url.startswith("wss://")
        for number, host in enumerate(("localhost", "127.0.0.1"), 1):
            with HAIPClient(f"wss://{host}:{server.port}/path?x=y", ssl=client_context()) as client:
                assert client.address == f"wss://{host}:{server.port}"
                client.send_text_message("USER", "hello " * 20_000, timeout=PATIENCE_S)
                while client.receive(PATIENCE_S).type != "MESSAGE_END":
                    pass
            session = server.wait_for_session(number)
            session.wait_for(lambda s: s.close_code is not None, timeout=PATIENCE_S)
            assert session.close_code == 1000
            assert session.books("USER").breaches == 0


def self_signed() -> ssl.SSLContext:
    """Return the context of a server that shows a certificate that it signed itself."""
    itself = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with itself.cert_pem.tempfile() as certificate, itself.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
    return context


def old_fashioned() -> ssl.SSLContext:
    """Return the context of a server that knows TLS 1.2 only."""
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def modern() -> ssl.SSLContext:
    """Return the context of a client that wants TLS 1.3."""
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


ISSUE = authority().issue_cert
EXPIRED = ISSUE("localhost", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
TOO_EARLY = ISSUE("localhost", not_before=NOW + DAY, not_after=NOW + 2 * DAY)
STRANGER = trustme.CA().issue_cert("me@client.test")
UNTRUSTED = [
    (server_context(), None, "its certificate is signed by an authority that this machine does not know.*cafile='authority.pem'"),
    (self_signed(), None, "its certificate is self-signed.*If you trust it, name it"),
    (server_context(ISSUE("other.test")), client_context(), "its certificate is for another name.*Use the name"),
    (server_context(EXPIRED), client_context(), "its certificate has expired"),
    (server_context(TOO_EARLY), client_context(), "its certificate is not valid yet.*clock"),
    (server_context(clients=authority()), client_context(), "it wants a certificate of ours.*load_cert_chain"),
    (server_context(clients=authority()), client_context(STRANGER), "it does not know the authority that signed our certificate"),
    (old_fashioned(), modern(), "it speaks no version of TLS that we accept"),
]


@pytest.mark.parametrize(
    ("theirs", "ours", "match"),
    UNTRUSTED,
    ids=["unknown authority", "self-signed", "name", "expired", "too early", "no certificate", "unknown client", "version"],
)
def test_why_there_is_no_tls_is_told(theirs: ssl.SSLContext, ours: ssl.SSLContext | None, match: str) -> None:
    """Each way of not being trusted has its sentence: with whom, why, that nothing was sent, and what to do."""
    with DevServer(ssl_context=theirs) as server:
        client = HAIPClient(f"wss://localhost:{server.port}", ssl=ours, token="hunter2")
        with pytest.raises(ConnectError, match=rf"wss://localhost:{server.port}.*{match}") as caught:
            client.connect(PATIENCE_S)
        assert "Nothing was sent" in str(caught.value)
        assert server.sessions == ()
        with pytest.raises(ConnectError, match=match):
            client.connect(PATIENCE_S)  # nothing came about: it may be tried again


def test_a_certificate_of_ours_lets_us_in() -> None:
    """A server that wants a client certificate gets the one in the context."""
    ours = client_context(authority().issue_cert("me@client.test"))
    with DevServer(ssl_context=server_context(clients=authority())) as server, HAIPClient(server.url, ssl=ours) as client:
        client.send_text_message("USER", "hello", timeout=PATIENCE_S)


def test_a_server_without_tls_on_wss() -> None:
    """A plain server at a wss:// address: not TLS, and whether ws:// was meant."""
    match = r"no TLS with wss://127.*it does not speak TLS\. Nothing was sent\. Is it a ws:// address"
    with served(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port, pytest.raises(ConnectError, match=match):
        HAIPClient(f"wss://127.0.0.1:{port}").connect(PATIENCE_S)
    match = r"closed the connection in the TLS handshake\. Nothing was sent\. Does it speak TLS|no TLS with"
    with DevServer() as server, pytest.raises(ConnectError, match=match):
        HAIPClient(f"wss://127.0.0.1:{server.port}").connect(PATIENCE_S)
    match = r"did not finish the TLS handshake within 1 s\. Nothing was sent"
    with served(answering(None, hang_up=False)) as port, pytest.raises(HAIPTimeout, match=match):
        HAIPClient(f"wss://127.0.0.1:{port}").connect(1)


def test_a_server_with_tls_on_ws() -> None:
    """A TLS server at a ws:// address: whether wss:// was meant."""
    match = r"ws://127.*closed the connection before.*Does it want wss://|is it a wss:// address"
    with DevServer(ssl_context=server_context()) as server, pytest.raises(ConnectError, match=match):
        HAIPClient(f"ws://127.0.0.1:{server.port}").connect(PATIENCE_S)


def test_close_ends_a_tls_handshake_that_hangs() -> None:
    """close() from another thread ends a connect that waits for the server's side of TLS, at once."""
    with served(answering(None, hang_up=False)) as port:
        client = HAIPClient(f"wss://127.0.0.1:{port}")
        raised: list[BaseException] = []

        def connect() -> None:
            with suppress(Exception):
                client.connect(PATIENCE_S * 10)
            raised.append(ConnectError())

        thread = threading.Thread(target=connect)
        thread.start()
        until(lambda: isinstance(client._connection.link.opening, socket.socket))
        client.close()
        thread.join(PATIENCE_S)
        assert raised


@pytest.fixture
def deaf_server() -> Iterator[Callable[[], str]]:
    """Return a function that starts a TLS server which shakes hands and then reads nothing."""
    from websockets.sync.server import serve  # noqa: PLC0415 - only these two tests need a server without manners

    over = threading.Event()

    def handler(connection: Any) -> None:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.send(HAI.decode())
        over.wait(PATIENCE_S)

    server = serve(
        handler,
        "127.0.0.1",
        0,
        ssl=server_context(),
        compression=None,
        max_queue=1,
        ping_interval=None,
        close_timeout=0.1,
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lambda: f"wss://127.0.0.1:{server.socket.getsockname()[1]}"
    over.set()
    server.shutdown()
    thread.join(PATIENCE_S)


def test_a_peer_that_does_not_read_hangs_neither_close_nor_others(deaf_server: Callable[[], str]) -> None:
    """With a sender stuck in the socket others get FlowControlTimeout with cause socket, and close comes back in time."""
    client = HAIPClient(deaf_server(), ssl=client_context())
    client.connect(PATIENCE_S)
    raised: list[BaseException] = []

    def flood() -> None:
        try:
            for _ in range(2_000):
                client.send_text_message("USER", "x" * 100_000)
        except Exception as exc:
            raised.append(exc)

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    # Until the operating system's buffers are full.
    until(lambda: client.connection_state().channels["USER"].oldest_wait > 0.5)
    with pytest.raises(FlowControlTimeout, match="the peer does not read") as caught:
        client.send_text_message("AGENT", "y" * 100_000, timeout=0.1)
    assert caught.value.cause == "socket"
    client.request_credits("USER", messages=1)  # what waits for nothing comes back at once
    assert client.connection_state().connected
    client.close(0.2)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(raised) == 3


def test_the_heartbeat_finds_a_peer_that_does_not_read(deaf_server: Callable[[], str]) -> None:
    """With a sender stuck in the socket and no PONG the connection is given up."""
    client = HAIPClient(
        deaf_server(), ssl=client_context(), heartbeat=HeartbeatPolicy(interval=0.05, timeout=0.2), reconnect=ONE_LINE
    )
    client.connect(PATIENCE_S)

    def flood() -> None:
        with suppress(Exception):
            for _ in range(2_000):
                client.send_text_message("USER", "x" * 100_000)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert "no PONG" in str(client.connection_state().last_error)
    client.close()


def test_the_end_of_a_line_without_a_goodbye_is_told() -> None:
    """A server that drops the connection ends it as without TLS: the reason is known, and close comes back."""
    with (
        DevServer(ssl_context=server_context()) as server,
        HAIPClient(server.url, ssl=client_context(), reconnect=ONE_LINE) as client,
    ):
        server.wait_for_session()
        server.drop()
        until(lambda: not client.connection_state().connected)
        assert "was lost" in str(client.connection_state().last_error)
