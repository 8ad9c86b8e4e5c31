"""Getting a WebSocket, and every way of not getting one."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from support.tcp_peer import HAI, accepting, answering, frame, read_request, served, unused_port, wait_for_end
from support.turnstiles import PATIENCE_S, until

from haip_sync import AuthError, ConfigError, ConnectError, ConnectionClosedError, HAIPClient, HAIPError, HAIPTimeout
from haip_sync.runtime import dial, http_head


def test_nobody_there_is_a_connect_error() -> None:
    """A refused connection says where and why, and asks whether a server runs there."""
    client = HAIPClient(f"ws://127.0.0.1:{unused_port()}")
    match = r"ws://127\.0\.0\.1:\d+ cannot be reached: connection refused\. Is a server running there\? Nothing was sent"
    with pytest.raises(ConnectError, match=match):
        client.connect(PATIENCE_S)
    with pytest.raises(ConnectError):
        client.connect(PATIENCE_S)  # nothing came about: it may be tried again
    client.close()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", r"HTTP 503, .* cannot serve now: try again later"),
        (b"HTTP/1.1 407 Log in\r\nContent-Length: 0\r\n\r\n", r"HTTP 407, .* wants a login: name it with proxy="),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered HTTP 404, it opened no WebSocket.*Is the path right"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "answered HTTP 302.*sends us elsewhere"),
        (b"HTTP/1.0 200\nbare: newlines\n\n", "answered HTTP 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak WebSocket.*Is the port right"),
        (b"HTTP/2 200 OK\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 OK\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "does not speak WebSocket"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "does not speak WebSocket.*It speaks TLS: is it a wss:// address"),
        (b"\xff\xfe\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 101 Swi", "closed the connection before it opened a WebSocket"),
        (b"", "closed the connection before it opened a WebSocket.*Does it want wss://"),
    ],
)
def test_what_is_no_websocket_server_is_a_connect_error(answer: bytes, match: str) -> None:
    """Whatever answers, if it is no WebSocket server the error says so, and that nothing was sent."""
    with served(answering(answer)) as port:
        with pytest.raises(ConnectError, match=match) as caught:
            HAIPClient(f"ws://127.0.0.1:{port}").connect(PATIENCE_S)
        assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        ("Sec-WebSocket-Protocol: never-offered",),
        ("Sec-WebSocket-Accept: twice",),
    ],
)
def test_an_answer_to_another_question_is_a_connect_error(more: tuple[str, ...]) -> None:
    """An upgrade that chooses what was not offered, or proves nothing, is none (RFC 6455, 4.1)."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection), *more))
        wait_for_end(connection)

    with served(handle) as port, pytest.raises(ConnectError, match="its answer does not fit the question"):
        HAIPClient(f"ws://127.0.0.1:{port}").connect(PATIENCE_S)


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of an HTTP answer is bounded."""
    monkeypatch.setattr(http_head, "_MOST_HEAD_BYTES", 1_000)

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            connection.sendall(b"X-More: more\r\n" * 100)

    with served(handle) as port, pytest.raises(ConnectError, match="does not speak WebSocket"):
        HAIPClient(f"ws://127.0.0.1:{port}").connect(PATIENCE_S)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_http_is_an_auth_error(status: int) -> None:
    """401 and 403 are about the token."""
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    with served(answering(answer)) as port, pytest.raises(AuthError, match=f"HTTP {status}: is the token right"):
        HAIPClient(f"ws://127.0.0.1:{port}").connect(PATIENCE_S)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 101 Switching"])
def test_a_server_that_says_too_little_is_a_timeout(answer: bytes | None) -> None:
    """A peer that accepts the connection and keeps silent ends connect at its deadline."""
    match = r"did not open a WebSocket within 1 s\. Nothing was sent"
    with served(answering(answer, hang_up=False)) as port, pytest.raises(HAIPTimeout, match=match):
        HAIPClient(f"ws://127.0.0.1:{port}").connect(1)


def test_what_comes_with_the_answer_is_not_lost() -> None:
    """A HAI in one piece with the HTTP answer is read, however the answer's headers are written."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection), "X-Empty:", "x-odd : é") + frame(1, HAI))
        wait_for_end(connection)

    with served(handle) as port, HAIPClient(f"ws://127.0.0.1:{port}") as client:
        assert client.connection_state().connected


def test_close_ends_an_attempt_to_connect() -> None:
    """close() from another thread ends a connect that hangs, at once."""
    with served(answering(None, hang_up=False)) as port:
        client = HAIPClient(f"ws://127.0.0.1:{port}")
        close_while_connecting(client)


def close_while_connecting(client: HAIPClient) -> None:
    """Check that close ends an attempt of this client's to connect."""
    raised: list[BaseException] = []

    def connect() -> None:
        try:
            client.connect(PATIENCE_S * 10)
        except HAIPError as exc:
            raised.append(exc)

    thread = threading.Thread(target=connect)
    thread.start()
    until(lambda: client._connection.link.opening is not None)
    client.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert isinstance(raised[0], ConnectionClosedError)
    assert "closed while it connected" in str(raised[0])


def opcodes(data: bytes) -> list[int]:
    """Return the opcodes of the masked WebSocket frames that are whole in `data`."""
    found, at = [], 0
    while at + 2 <= len(data):
        opcode, size, at = data[at] & 0xF, data[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        at += 4 + size
        if at <= len(data):
            found.append(opcode)
    return found


def test_nothing_follows_our_close_frame() -> None:
    """The peer's answer to our close frame is not answered in turn; a close frame that the peer sends first is."""
    received: list[list[int]] = []

    def handle(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection)) + frame(1, HAI))
        data = b""
        while 8 not in opcodes(data):
            data += connection.recv(65_536)
        connection.sendall(frame(8, b"\x03\xe8"))
        while piece := connection.recv(65_536):
            data += piece
        received.append(opcodes(data))

    def handle_first(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection)) + frame(1, HAI) + frame(8, b"\x03\xe8"))
        data = b""
        while piece := connection.recv(65_536):
            data += piece
        received.append(opcodes(data))

    for handler in (handle, handle_first):
        with served(handler) as port:
            client = HAIPClient(f"ws://127.0.0.1:{port}")
            client.connect(PATIENCE_S)
            if handler is handle:
                client.close()
            until(lambda: len(received) == (1 if handler is handle else 2))  # noqa: B023 - at once
            client.close()
    assert [sent[sent.index(8) :] for sent in received] == [[8], [8]]


# ---- Looking names up, and several addresses -----------------------------------------------------------------------------------


class NameService:
    """What stands in the place of the system's: `found` for every .invalid name, once `gate` is open."""

    def __init__(self, found: list[tuple[Any, ...]] | OSError) -> None:
        self.gate = threading.Event()
        self.asked: list[str] = []
        self._found = found
        self._system = socket.getaddrinfo

    def __call__(self, host: str, port: int, *more: int, **options: int) -> Any:
        if not host.endswith(".invalid"):
            return self._system(host, port, *more, **options)
        if "flags" in options:
            raise socket.gaierror
        self.asked.append(host)
        assert self.gate.wait(PATIENCE_S)
        if isinstance(self._found, OSError):
            raise self._found
        return [(*found, (where, port)) for *found, where in self._found]


LOOPBACK = (socket.AF_INET, socket.SOCK_STREAM, 0, "", "127.0.0.1")


@pytest.fixture
def name_service(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts a name service in the system's place; its threads are let go at the end."""
    made: list[NameService] = []

    def make(found: list[tuple[Any, ...]] | OSError) -> NameService:
        service = NameService(found)
        monkeypatch.setattr(dial.socket, "getaddrinfo", service)
        made.append(service)
        return service

    yield make
    for service in made:
        service.gate.set()


def test_a_host_that_is_not_found_is_a_connect_error(name_service: Any) -> None:
    """A name that does not resolve says so."""
    name_service(socket.gaierror(socket.EAI_NONAME, "Name or service not known")).gate.set()
    with pytest.raises(ConnectError, match=r"ws://no-such-host\.invalid:80 cannot be reached: name or service not known"):
        HAIPClient("ws://no-such-host.invalid", proxy="").connect(PATIENCE_S)


def test_the_deadline_holds_for_looking_a_name_up(name_service: Any) -> None:
    """A name service that hangs does not hold connect beyond its deadline."""
    service = name_service([LOOPBACK])
    with pytest.raises(HAIPTimeout, match=r"ws://slow\.invalid:80 was not reached: .* the name slow\.invalid within 0\.5 s\."):
        HAIPClient("ws://slow.invalid", proxy="").connect(0.5)
    assert service.asked == ["slow.invalid"]


def test_close_ends_looking_a_name_up(name_service: Any) -> None:
    """close() from another thread ends a connect that waits for the name service, at once."""
    name_service([LOOPBACK])
    close_while_connecting(HAIPClient("ws://slow.invalid", proxy=""))


def test_lookups_that_hang_are_bounded(name_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many lookups hang already, another is not begun."""
    monkeypatch.setattr(dial, "_MOST_LOOKUPS", 2)
    service = name_service([LOOPBACK])
    for _ in range(2):
        with pytest.raises(HAIPTimeout):
            HAIPClient("ws://slow.invalid", proxy="").connect(0.05)
    with pytest.raises(ConnectError, match="the system's name service hangs: too many lookups"):
        HAIPClient("ws://slow.invalid", proxy="").connect(PATIENCE_S)
    assert len(service.asked) == 2


def test_every_address_of_a_name_has_its_chance(name_service: Any) -> None:
    """Addresses that refuse are passed over until one answers."""
    refusing = (socket.AF_INET, socket.SOCK_STREAM, 0, "", "127.0.0.2")
    service = name_service([refusing, refusing, LOOPBACK])
    service.gate.set()
    with served(answering(b"HTTP/1.1 401 No\r\n\r\n")) as port, pytest.raises(AuthError):
        HAIPClient(f"ws://many.invalid:{port}", proxy="").connect(PATIENCE_S)


# ---- Headers -------------------------------------------------------------------------------------------------------------------


def heads(headers: dict[str, str], path: str = "/") -> tuple[str, list[str]]:
    """Return the request line and the headers of the request that a client with these settings sends."""
    requests: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_request(connection))

    with served(handle) as port, pytest.raises(ConnectError):
        HAIPClient(f"ws://127.0.0.1:{port}{path}", headers=headers).connect(PATIENCE_S)
    first, *lines = requests[0].decode("latin-1").rstrip("\r\n").replace(str(port), "PORT").split("\r\n")
    return first, lines


def test_headers_are_sent_and_host_may_be_ours() -> None:
    """Headers go with the request as given; Host is the address unless it is given; nothing else is said about us."""
    first, lines = heads({"X-Tenant": "é 1"}, "/a b?c=d e&x=%2F#fragment")
    assert first == "GET /a%20b?c=d%20e&x=%2F HTTP/1.1"
    names = [line.partition(":")[0] for line in lines]
    assert names == ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "X-Tenant"]
    assert {"Host: 127.0.0.1:PORT", "X-Tenant: é 1"} <= set(lines)
    assert [line for line in heads({"host": "elsewhere"})[1] if line.lower().startswith("host:")] == ["host: elsewhere"]


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        ({"Upgrade": "h2c"}, "headers cannot set upgrade: the WebSocket itself needs it"),
        ({"connection": "close"}, "cannot set connection"),
        ({"Sec-WebSocket-Key": "x"}, "cannot set sec-websocket-key"),
        ({"Sec-WebSocket-Protocol": "x"}, r"for a token there use auth=SubprotocolToken"),
        ({"Content-Length": "5"}, "cannot set content-length"),
        ({"a b": "x"}, "'a b' is no name of a header"),
        ({"": "x"}, "is no name of a header"),
        ({"X": "secret\r\nY: Z"}, "'X' must be strings without line breaks"),
        ({"X": "secret\u20ac"}, "'X' must be of characters that HTTP can carry"),
        ({"X": 5}, "'X' must be strings"),
    ],
)
def test_headers_that_cannot_be_sent_are_named(headers: Any, match: str) -> None:
    """What WebSocket needs for itself, and what HTTP cannot carry, is a ConfigError that shows no value."""
    with pytest.raises(ConfigError, match=match) as caught:
        HAIPClient("ws://localhost", headers=headers)
    assert "secret" not in str(caught.value)
