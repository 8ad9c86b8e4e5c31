"""What we tell a server in confidence: whatever it repeats, nobody else sees it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from support.certificates import client_context, server_context
from support.lines import ONE_LINE
from support.little_proxy import little_proxy
from support.scripted_peer import Peer, peer
from support.spills import Spills, spilled
from support.tcp_peer import HAI, Handler, accepting, answering, frame, read_request, served, wait_for_end
from support.turnstiles import PATIENCE_S, until
from support.ways_in import TOKEN, each_way

from haip_sync import HAIPClient, HAIPError, HAIPTimeout, SendRefused
from haip_sync.testing import DevServer


def echoing(before: bytes, after: bytes = b"") -> Handler:
    """Return a handler that repeats the whole request between these bytes, on one line."""

    def handle(connection: socket.socket) -> None:
        request = read_request(connection)
        connection.sendall(before + request.replace(b"\r\n", b" ") + after)

    return handle


def refusing(code: int, *, greets: bool) -> Handler:
    """Return a handler that opens a WebSocket and closes it with the token in the reason."""

    def handle(connection: socket.socket) -> None:
        request = read_request(connection)
        reason = f"bad token {TOKEN} {quote(TOKEN)}".encode()
        hello = frame(1, HAI) if greets else b""
        connection.sendall(accepting(request) + hello + frame(8, code.to_bytes(2, "big") + reason))
        wait_for_end(connection)

    return handle


def complaining(connection: socket.socket) -> None:
    """Open a WebSocket, say the token in every ERROR and wherever a frame has room for it, and leave."""
    request = read_request(connection)
    error = {
        "code": f"AUTH_{TOKEN}",
        "message": f"no such token: {TOKEN}",
        "related_id": TOKEN,
        "detail": {TOKEN: [quote(TOKEN)]},
    }
    frames: list[dict[str, Any]] = [
        {"seq": "1", "type": "ERROR", "payload": error},
        {"seq": "2", "type": "ERROR", "payload": error | {"code": "INSUFFICIENT_CREDITS"}},
        {"seq": "3", "type": "FLOW_UPDATE", "payload": {"channel": TOKEN + "/", "add_messages": 1}},
        {"seq": "4", "type": "PING", "payload": {TOKEN: 1}, "crit": True},
    ]
    first = {"session": "s", "ts": "1", "channel": "SYSTEM"}
    texts = [json.dumps({"id": str(number), **first, **members}).encode() for number, members in enumerate(frames)]
    closing = frame(8, (4000).to_bytes(2, "big"))
    connection.sendall(accepting(request) + b"".join(frame(1, text) for text in (texts[0], HAI, *texts[1:])) + closing)
    wait_for_end(connection)


SERVERS: dict[str, Handler] = {
    "401 with an echo": echoing(b"HTTP/1.1 401 ", b"\r\nX: y\r\n\r\n"),
    "404 with an echo": echoing(b"HTTP/1.1 404 Not Found\r\nX-Echo: ", b"\r\n\r\n"),
    "302 with an echo": echoing(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/", b"\r\n\r\n"),
    "101 with an echo": echoing(b"HTTP/1.1 101 Go\r\nSec-WebSocket-Protocol: ", b"\r\n\r\n"),
    "nonsense": echoing(b"You said: "),
    "half of an answer": echoing(b"HTTP/1.1 500 "),
    "silence": answering(None, hang_up=False),
    "a refusal": refusing(1008, greets=False),
    "an end in the handshake": refusing(4000, greets=False),
    "an end": refusing(4000, greets=True),
    "complaints": complaining,
}

# websocket-client's tracing shows every frame as it comes: what a server repeats in one cannot be kept from it.
IN_A_FRAME = ("a refusal", "an end in the handshake", "an end", "complaints")


def provoke(make: Callable[[], HAIPClient], spills: Spills, timeout_s: float = PATIENCE_S) -> None:
    """Connect, and note whatever can be seen of it. The secret is in no frame of ours, only in that of `make`."""
    client = make()
    client.subscribe(spills.events.append)
    try:
        client.connect(timeout_s)
        until(lambda: not client.connection_state().connected)
        client.send_text_message("USER", "too late", timeout=PATIENCE_S)
    except HAIPError as exc:
        spills.of_error(exc)
    else:
        raise AssertionError("it should have failed")
    client.close()
    spills.of_client(client)


@each_way
@pytest.mark.parametrize("server", SERVERS)
def test_whatever_a_server_repeats_nobody_else_sees_it(server: str, way: Callable[[str], dict[str, Any]]) -> None:
    """With a server that repeats what it was told, no log, event, text or error shows the token."""
    timeout_s = 0.1 if server == "silence" else PATIENCE_S
    with spilled(traces=server not in IN_A_FRAME) as spills, served(SERVERS[server]) as port:
        provoke(lambda: HAIPClient(f"ws://127.0.0.1:{port}", reconnect=ONE_LINE, **way(TOKEN)), spills, timeout_s)
    assert "127.0.0.1" in spills.text()
    assert "S3cr3t" not in spills.text()


def test_a_token_in_the_hai_is_no_less_secret() -> None:
    """What a mapping holds is struck out of the server's ERRORs and of its last words as well."""
    for server in ("complaints", "a refusal", "an end"):
        with spilled(traces=False) as spills, served(SERVERS[server]) as port:
            provoke(
                lambda at=port: HAIPClient(f"ws://127.0.0.1:{at}", reconnect=ONE_LINE, auth={"who": ["me", {"key": TOKEN}]}),
                spills,
            )
        assert "S3cr3t" not in spills.text()


def test_the_words_of_haip_in_an_error_are_left_alone() -> None:
    """A secret that is a part of a code or of an id does not make the server's ERROR mean something else."""
    refused: list[SendRefused] = []

    def script(speaker: Peer) -> None:
        speaker.greets()
        start = speaker.hears_frame("MESSAGE_START")
        speaker.says("ERROR", {"code": "INSUFFICIENT_CREDITS", "message": "no CREDIT", "related_id": start["id"]})
        speaker.stays()

    with peer(script) as url, HAIPClient(url, auth={"account": "CREDIT", "dash": "-----"}) as client:
        client.subscribe(refused.append, SendRefused)
        receipt = client.send_text_message("USER", "hello", timeout=PATIENCE_S)
        until(lambda: refused)
        assert receipt.outcome == "refused"
        assert refused[0].message.endswith("The peer says INSUFFICIENT_CREDITS: no ***")


def test_what_came_in_place_of_a_hai_is_told_without_the_token() -> None:
    """The error of a handshake that fails says what the server sent instead, but for the token in it."""
    error = f'{{"id":"1","channel":"SYSTEM","type":"ERROR","payload":{{"code":"AUTH","message":"no such token: {TOKEN}"}}}}'

    def handle(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection)) + frame(1, error.encode()))
        wait_for_end(connection)

    with served(handle) as port, pytest.raises(HAIPTimeout, match=r"instead: ERROR AUTH: no such token: \*\*\*$"):
        HAIPClient(f"ws://127.0.0.1:{port}", token=TOKEN).connect(2)


def test_a_token_in_the_url_is_no_less_secret() -> None:
    """A token that stands in the URL itself, and a password before its host, are kept as well."""
    for handler in (SERVERS["404 with an echo"], SERVERS["a refusal"], SERVERS["an end"]):
        with spilled(traces=False) as spills, served(handler) as port:
            provoke(lambda at=port: HAIPClient(f"ws://me:S3cr3t@127.0.0.1:{at}/?token={TOKEN}", reconnect=ONE_LINE), spills)
        assert "S3cr3t" not in spills.text()


@pytest.mark.parametrize(
    "handler",
    [
        answering(None, hang_up=False),
        echoing(b"HTTP/1.1 407 "),
        echoing(b"HTTP/1.1 403 ", b"\r\n\r\n"),
        echoing(b"You said: "),
    ],
    ids=["silence", "407", "403", "nonsense"],
)
def test_the_secret_of_a_proxy_is_no_less_secret(handler: Handler) -> None:
    """User and password for a proxy are shown to it alone, whatever becomes of that."""
    with spilled() as spills, served(handler) as port:
        provoke(
            lambda: HAIPClient("wss://server.test", token=TOKEN, proxy=f"http://me:{TOKEN}@127.0.0.1:{port}"),
            spills,
            0.5,
        )
    assert f"127.0.0.1:{port}" in spills.text()
    assert "S3cr3t" not in spills.text()


@each_way
def test_a_connection_that_works_shows_nothing_either(way: Callable[[str], dict[str, Any]]) -> None:
    """Through TLS and a proxy, from the first byte to a close in good order, nothing that can be read has the token in it."""
    with (
        spilled() as spills,
        DevServer(token=TOKEN, ssl_context=server_context()) as server,
        little_proxy(server.port, login=f"me:{TOKEN}") as proxy,
    ):
        client = HAIPClient(server.url, ssl=client_context(), proxy=f"http://me:{TOKEN}@{proxy.host}", **way(TOKEN))
        client.subscribe(spills.events.append)
        with client:
            client.send_text_message("USER", "hello", timeout=PATIENCE_S)
            client.receive(PATIENCE_S)
            spills.of_client(client)
        spills.of_client(client)
    assert "TLS with wss://127.0.0.1" in spills.text()  # it does see the logs
    assert "++Rcv decoded" in spills.text()  # and websocket-client's tracing
    assert "HandshakeCompleted" in spills.text()
    assert "S3cr3t" not in spills.text()
