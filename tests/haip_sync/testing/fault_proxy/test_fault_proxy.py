"""A proxy without a fault passes everything on; how it is commanded, and how it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from support.certificates import client_context, server_context
from support.lines import ONE_LINE
from support.stations import HANG_S, Line, Station, fill, masked, receive, receive_all

from haip_sync import HAIPClient
from haip_sync.errors import ConfigError, ConnectError, HAIPError, HAIPTimeout
from haip_sync.testing import DevServer, FaultProxy, Faults, FrameFault, Generous


def has_ended(sock: socket.socket) -> bool:
    """Return whether an end comes, FIN or RST; a timeout is none."""
    try:
        receive_all(sock)
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


# Without faults
def test_a_conversation_passes() -> None:
    """A client and a server that know nothing of the proxy talk through it, and it counts bytes and frames."""
    with DevServer() as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url) as client:
        client.send_text_message("USER", "hello", timeout=HANG_S)
        assert client.receive(timeout=HANG_S).channel == "AGENT"
        (connection,) = proxy.connections
        assert (connection.number, connection.state, connection.ended_by) == (1, "open", None)
        # HAI and the three frames of a text.
        assert connection.frames_to_server >= 4
        assert connection.bytes_to_server > 4 * 100
        assert connection.frames_to_client >= 2
        with pytest.raises(FrozenInstanceError):
            connection.number = 2  # type: ignore[misc]
    assert [connection.state for connection in proxy.connections] == ["closed"]


def test_many_connections_at_a_time(station: Station) -> None:
    """Each has its own bytes, in order, and its own number."""
    lines = [station.line() for _ in range(20)]
    for number, line in enumerate(lines):
        line.client.sendall(bytes([number]) * 1_000)
        line.server.sendall(bytes([100 + number]) * 1_000)
    for number, line in enumerate(lines):
        assert receive(line.server, 1_000) == bytes([number]) * 1_000
        assert receive(line.client, 1_000) == bytes([100 + number]) * 1_000
    assert [connection.number for connection in station.proxy.connections] == list(range(1, 21))


def test_the_url_is_the_targets_with_another_host() -> None:
    """Path and query are the target's; there is no URL before there is a port, and the query is not shown."""
    proxy = FaultProxy("ws://localhost:9/a/b?token=secret")
    with pytest.raises(RuntimeError):
        _ = proxy.url
    with proxy:
        assert proxy.url == f"ws://127.0.0.1:{proxy.port}/a/b?token=secret"
        assert "secret" not in repr(proxy)
        assert proxy.start() is proxy
    proxy.stop()
    with pytest.raises(RuntimeError):
        proxy.start()


def test_the_ends_of_a_connection_pass(station: Station) -> None:
    """A FIN ends one direction and leaves the other; with both, the connection is over, and who began is known."""
    line = station.line()
    line.server.sendall(b"going")
    line.server.shutdown(socket.SHUT_WR)
    assert receive_all(line.client) == b"going"
    line.client.sendall(b"on")
    line.client.close()
    assert receive_all(line.server) == b"on"
    station.proxy.wait_for(lambda proxy: proxy.connections[0].state == "closed", what="the end", timeout=HANG_S)
    assert station.proxy.connections[0].ended_by == "server"


def test_a_reset_passes(station: Station) -> None:
    """An end that breaks off breaks off at the other end too."""
    line = station.line()
    line.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.client.close()
    with pytest.raises(ConnectionResetError):
        receive_all(line.server)


@pytest.mark.parametrize("faults", [Faults(), Faults(delay_s=0.01), Faults(bytes_per_s=1e9)])
def test_a_receiver_that_does_not_read_holds_the_sender_up(station: Station, faults: Faults) -> None:
    """The proxy keeps little; once the receiver reads, everything arrives."""
    station.proxy.set(to_server=faults)
    line = station.line()
    sent = fill(line.client, 64 << 20)
    assert 0 < sent < 32 << 20
    assert receive(line.server, sent) == bytes(sent)


def test_a_receiver_that_is_gone_holds_nobody_up(station: Station) -> None:
    """What is sent to it is read and forgotten until the sender can be told."""
    line = station.line()
    station.proxy.wait_for_connection(timeout=HANG_S)
    station.proxy.stall()
    line.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.server.close()
    station.proxy.flow("to_server")
    line.client.sendall(bytes(32 << 20))
    station.proxy.flow("to_client")
    with pytest.raises(ConnectionResetError):
        receive_all(line.client)
    assert station.proxy.connections[0].ended_by == "server"


def test_a_target_that_is_not_there() -> None:
    """The client's connection is reset, and the proxy says why."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with FaultProxy(f"ws://127.0.0.1:{port}") as proxy:
        with pytest.raises(ConnectError):
            HAIPClient(proxy.url).connect(timeout=HANG_S)
        assert proxy.wait_for_connection(timeout=HANG_S).ended_by == "unreachable"


def test_a_name_with_several_addresses_is_tried_at_each() -> None:
    """Localhost is ::1 as well on most machines, where the server does not listen."""
    with (
        DevServer() as server,
        FaultProxy(f"ws://localhost:{server.port}", host="localhost") as proxy,
        HAIPClient(proxy.url) as client,
    ):
        assert client.connection_state().connected


def test_a_test_that_raises_is_told_at_the_end(station: Station) -> None:
    """Its frame passes; `stop` raises once; where another exception is under way, that one has a note."""
    fault = FrameFault(action="drop", when=lambda text: text.index("absent") >= 0)

    def pass_one(proxy: FaultProxy, line: Line) -> None:
        proxy.set(to_server=Faults(frames=(fault,)))
        line.upgrade()
        line.client.sendall(masked("passes"))
        assert receive(line.server, 12) == masked("passes")

    pass_one(station.proxy, station.line())
    with pytest.raises(RuntimeError) as told:
        station.proxy.stop()
    assert isinstance(told.value.__cause__, ValueError)
    station.proxy.stop()
    with ExitStack() as stack:
        other = Station(stack)
        pass_one(other.proxy, other.line())
        with pytest.raises(KeyError) as under_way, other.proxy:
            raise KeyError("mine")
        assert "ValueError" in under_way.value.__notes__[0]


def test_a_test_may_not_use_its_proxy(station: Station) -> None:
    """It would wait for itself; the call raises instead."""
    station.proxy.set(to_server=Faults(frames=(FrameFault(action="drop", when=lambda _: bool(station.proxy.cut())),)))
    line = station.line()
    line.upgrade()
    line.client.sendall(masked("x"))
    assert receive(line.server, 7) == masked("x")
    with pytest.raises(RuntimeError) as told:
        station.proxy.stop()
    assert isinstance(told.value.__cause__, RuntimeError)


# TLS
def test_tls_passes_and_hides_its_frames() -> None:
    """Bytes can be delayed and cut, frames cannot be seen: frame faults are refused."""
    with (
        DevServer(ssl_context=server_context()) as server,
        FaultProxy(server.url, host="localhost") as proxy,
        HAIPClient(proxy.url, ssl=client_context(), reconnect=ONE_LINE) as client,
    ):
        proxy.set(to_client=Faults(delay_s=0.01), to_server=Faults(jitter_s=0.01))
        client.send_text_message("USER", "hello", timeout=HANG_S)
        assert client.receive(timeout=HANG_S).channel == "AGENT"
        with pytest.raises(ConfigError, match="TLS"):
            proxy.set(to_client=Faults(delay_s=9.0, frames=(FrameFault(action="drop"),)))
        assert proxy.connections[0].frames_to_server == 0
        assert proxy.cut(reset=True) == 1
        with pytest.raises(HAIPError):
            list(client.messages())


# Life
def test_stop_ends_everything_at_once(station: Station) -> None:
    """Full buffers, stalls and delays hold it up no more than idle connections do; who waits is told."""
    station.proxy.stall("to_server")
    station.proxy.set(to_client=Faults(delay_s=60.0))
    line = station.line()
    fill(line.client, 64 << 20)
    line.server.sendall(b"late")
    waiting: list[BaseException] = []

    def wait() -> None:
        try:
            station.proxy.wait_for(lambda _: False, what="what never comes", timeout=None)
        except HAIPTimeout as over:
            waiting.append(over)

    waiter = threading.Thread(target=wait)
    waiter.start()
    begun_s = time.monotonic()
    station.proxy.stop()
    assert time.monotonic() - begun_s < 4.0
    waiter.join(HANG_S)
    assert len(waiting) == 1
    assert station.proxy.connections[0].ended_by == "stopped"
    assert has_ended(line.client)
    station.proxy.clear()
    assert station.proxy.cut() == 0


def test_waiting_has_a_deadline(station: Station) -> None:
    """It says what was waited for."""
    with pytest.raises(HAIPTimeout, match="connection 3"):
        station.proxy.wait_for_connection(3, timeout=0.05)


def test_any_thread_may_command_it() -> None:
    """While several threads stall, delay and release, a conversation loses nothing."""
    over = threading.Event()
    with DevServer(policy=Generous(), agent=False) as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url) as client:

        def disturb(direction: Any) -> None:
            while not over.is_set():
                proxy.stall(direction)
                proxy.set(
                    **{direction: Faults(delay_s=0.001, bytes_per_s=1e6, frames=(FrameFault(action="drop", number=9_999),))}
                )
                proxy.flow(direction)
                proxy.clear()
                assert len(proxy.connections) == 1

        threads = [threading.Thread(target=disturb, args=(direction,)) for direction in ("to_server", "to_client") * 2]
        for thread in threads:
            thread.start()
        try:
            for number in range(100):
                client.send_text_message("USER", str(number), timeout=HANG_S)
            session = server.wait_for_session(timeout=HANG_S)
            session.wait_for(lambda s: s.text_count == 100, timeout=HANG_S, what="every text")
        finally:
            over.set()
            for thread in threads:
                thread.join(HANG_S)
        assert [text.text for text in session.texts("USER")] == [str(number) for number in range(100)]
        assert session.out_of_order == session.books("USER").breaches == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: FaultProxy("http://localhost"),
        lambda: FaultProxy("ws://localhost:1", port=70_000),
        lambda: FaultProxy("ws://localhost:1", seed=-1),
        lambda: FaultProxy("ws://localhost:1").set(to_server="slow"),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").stall("sideways"),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").flow("sideways"),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").half_close("both"),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").cut(connection=0),
        lambda: FaultProxy("ws://localhost:1").cut(reset=1),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").cut_after(-1, "to_server"),
        lambda: FaultProxy("ws://localhost:1").cut_after(1, "both"),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").cut_after(1, "to_server", connections=0),
        lambda: FaultProxy("ws://localhost:1").refuse(1),  # type: ignore[arg-type]
        lambda: FaultProxy("ws://localhost:1").wait_for_connection(0),
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], object]) -> None:
    """`ConfigError`, before anything happens."""
    with pytest.raises(ConfigError):
        make()


def test_a_port_that_is_taken() -> None:
    """`OSError`, nothing is left open, and the proxy may be started once the port is free."""
    with DevServer() as server:
        proxy = FaultProxy("ws://localhost:1", port=server.port)
        with pytest.raises(OSError):  # noqa: PT011
            proxy.start()
    with proxy:
        assert proxy.port == server.port
