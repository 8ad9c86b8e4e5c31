"""Getting a WebSocket, and every way of not getting one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.turnstiles import PATIENCE_S, until

from haip_sync import AuthError, ConnectError, ConnectionClosedError, HAIPClient, HAIPTimeout
from haip_sync.runtime.line import Address


@contextmanager
def peer(answer: bytes | None, *, hang_up: bool = True) -> Iterator[str]:
    """Run a TCP server that answers the first request with these bytes (None: with nothing) and hangs up, or does not."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                if answer is not None:
                    connection.recv(65_536)
                    connection.sendall(answer)
                if not hang_up:
                    done.wait(PATIENCE_S)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join(PATIENCE_S)


def unused_port() -> int:
    """Return a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_nobody_there_is_a_connect_error() -> None:
    """A refused connection says where and why, and asks whether a server runs there."""
    client = HAIPClient(f"ws://127.0.0.1:{unused_port()}", token="secret")
    with pytest.raises(
        ConnectError, match=r"ws://127\.0\.0\.1:\d+ cannot be reached: connection refused\. Is a server running"
    ) as caught:
        client.connect(PATIENCE_S)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConnectError):
        client.connect(PATIENCE_S)  # nothing came about: it may be tried again
    client.close()


def test_a_host_that_is_not_found_is_a_connect_error() -> None:
    """A name that does not resolve says so."""
    with pytest.raises(ConnectError, match=r"ws://no-such-host\.invalid:80 cannot be reached"):
        HAIPClient("ws://no-such-host.invalid").connect(PATIENCE_S)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered HTTP 404, it opened no WebSocket"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "does not speak WebSocket"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak WebSocket|closed the connection before"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: pony\r\n\r\n", "does not speak WebSocket|answered HTTP 200"),
        (b"\xff\xfe\r\n\r\n", "does not speak WebSocket|closed the connection before"),
        (b"", "closed the connection before it opened a WebSocket"),
    ],
)
def test_what_is_no_websocket_server_is_a_connect_error(answer: bytes, match: str) -> None:
    """Whatever answers, if it is no WebSocket server the error says so and carries no token."""
    with peer(answer) as url:
        with pytest.raises(ConnectError, match=match) as caught:
            HAIPClient(url, token="secret").connect(PATIENCE_S)
        assert "secret" not in repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_http_is_an_auth_error(status: int) -> None:
    """401 and 403 are about the token."""
    with peer(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()) as url, pytest.raises(AuthError, match=str(status)):
        HAIPClient(url).connect(PATIENCE_S)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 101 Switching"])
def test_a_server_that_says_too_little_is_a_timeout(answer: bytes | None) -> None:
    """A peer that accepts the connection and keeps silent ends connect at its deadline."""
    with peer(answer, hang_up=False) as url, pytest.raises(HAIPTimeout, match="did not open a WebSocket within"):
        HAIPClient(url).connect(0.2)


def test_close_ends_an_attempt_to_connect() -> None:
    """close() from another thread ends a connect that hangs, at once."""
    with peer(None, hang_up=False) as url:
        client = HAIPClient(url)
        raised: list[BaseException] = []

        def connect() -> None:
            try:
                client.connect(PATIENCE_S * 10)
            except ConnectionClosedError as exc:
                raised.append(exc)

        thread = threading.Thread(target=connect)
        thread.start()
        until(lambda: client._connection._opening is not None)
        client.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert "closed while it connected" in str(raised[0])


@pytest.mark.parametrize(
    ("url", "token", "opened"),
    [
        ("ws://h", None, "ws://h/"),
        ("ws://h:81/path?a=b", "t k&n", "ws://h:81/path?a=b&token=t+k%26n"),
        ("ws://user:secret@h:81", "x", "ws://h:81/?token=x"),
        ("ws://[::1]:8080/", "x", "ws://[::1]:8080/?token=x"),
    ],
)
def test_the_token_goes_into_the_query(url: str, token: str | None, opened: str) -> None:
    """The URL that is opened carries the token, quoted, beside what was there; credentials in the URL are never sent."""
    address = Address(url)
    assert address.with_token(token) == opened
    assert "secret" not in address.text
