"""The proxy on real sockets: between bare ends, where every byte counts, and between a client and the development server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from support.certificates import client_context, server_context
from support.lines import ONE_LINE

from haip_sync import HAIPClient
from haip_sync.errors import ConfigError, ConnectError, FlowControlTimeout, HAIPError, HAIPTimeout
from haip_sync.testing import DevServer, FaultProxy, Faults, FrameFault, Generous

HANG_S = 20.0
"""What only a hang reaches, a machine that is busy with other things included."""
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Go\r\n\r\n"
KEY = b"\x11\x22\x33\x44"


def masked(text: str) -> bytes:
    """Return a client's frame."""
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload)]) + KEY + bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))


def plain(text: str) -> bytes:
    """Return a server's frame."""
    return bytes([0x81, len(text.encode())]) + text.encode()


class Line:
    """A connection through a proxy with bare sockets at both ends."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server

    def upgrade(self) -> None:
        """Let both heads pass."""
        self.client.sendall(REQUEST)
        assert receive(self.server, len(REQUEST)) == REQUEST
        self.server.sendall(ANSWER)
        assert receive(self.client, len(ANSWER)) == ANSWER


class Station:
    """A listening socket with a proxy in front of it."""

    def __init__(self, stack: ExitStack, **options: Any) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listening.settimeout(HANG_S)
        self.proxy = stack.enter_context(FaultProxy(f"ws://127.0.0.1:{self._listening.getsockname()[1]}", **options))

    def dial(self) -> socket.socket:
        """Connect to the proxy."""
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self.proxy.port), HANG_S))

    def line(self) -> Line:
        """Connect through the proxy."""
        client = self.dial()
        server, _ = self._listening.accept()
        server.settimeout(HANG_S)
        return Line(client, self._stack.enter_context(server))


@pytest.fixture
def make_station() -> Iterator[Callable[..., Station]]:
    """Return a function that starts a proxy with these options; everything is closed at the end."""
    with ExitStack() as stack:
        yield lambda **options: Station(stack, **options)


@pytest.fixture
def station(make_station: Callable[..., Station]) -> Station:
    """Return a proxy with bare ends."""
    return make_station()


def receive(sock: socket.socket, count: int) -> bytes:
    """Return so many bytes, fewer only at the end."""
    data = b""
    while len(data) < count and (piece := sock.recv(min(65_536, count - len(data)))):
        data += piece
    return data


def receive_all(sock: socket.socket) -> bytes:
    """Return what comes until FIN."""
    return receive(sock, 1 << 40)


def has_ended(sock: socket.socket) -> bool:
    """Return whether an end comes, FIN or RST; a timeout is none."""
    try:
        receive_all(sock)
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def fill(sock: socket.socket, most: int) -> int:
    """Send until nobody takes more for half a second, at most so much; return how much it was."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < most:
            sent += sock.send(bytes(65_536))
    except TimeoutError:
        pass
    sock.settimeout(HANG_S)
    return sent


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


# Stalls, delays, limits


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_stall_fills_the_senders_buffers(station: Station, direction: Any) -> None:
    """Nothing arrives, after a few megabytes the sender has to wait, the other direction flows; later all arrives."""
    line = station.line()
    sender, receiver = (line.client, line.server) if direction == "to_server" else (line.server, line.client)
    station.proxy.wait_for_connection(timeout=HANG_S)
    station.proxy.stall(direction)
    sent = fill(sender, 64 << 20)
    assert 0 < sent < 32 << 20
    receiver.sendall(b"other way")
    assert receive(sender, 9) == b"other way"
    receiver.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        receiver.recv(1)
    receiver.settimeout(HANG_S)
    station.proxy.flow(direction)
    assert receive(receiver, sent) == bytes(sent)


def test_a_stall_holds_for_connections_to_come(station: Station) -> None:
    """It may be set before, and nothing of theirs passes, not even their end."""
    station.proxy.stall()
    line = station.line()
    line.client.sendall(b"early")
    line.client.shutdown(socket.SHUT_WR)
    line.server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        line.server.recv(1)
    line.server.settimeout(HANG_S)
    station.proxy.clear()
    assert receive_all(line.server) == b"early"


def test_a_client_waits_for_a_stalled_server() -> None:
    """Sends come to a stop with time running out, and go on once the line flows."""
    with DevServer(policy=Generous(), agent=False) as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url) as client:
        proxy.stall("to_server")

        def send_a_lot() -> None:
            for _ in range(1_000):
                client.send_text_message("USER", "x" * 100_000, timeout=1.0)

        with pytest.raises(HAIPTimeout):
            send_a_lot()
        proxy.flow("to_server")
        client.send_text_message("USER", "done", timeout=HANG_S)
        session = server.wait_for_session(timeout=HANG_S)
        session.wait_for(lambda s: s.texts("USER")[-1:] and s.texts("USER")[-1].text == "done", timeout=HANG_S, what="the last")


def test_a_delay_is_kept_and_keeps_the_order(station: Station) -> None:
    """Bytes arrive in order and not before their time, with jitter too."""
    line = station.line()
    station.proxy.set(to_server=Faults(delay_s=0.1, jitter_s=0.05))
    begun_s = time.monotonic()
    for number in range(50):
        line.client.sendall(bytes([number]))
    assert receive(line.server, 50) == bytes(range(50))
    assert time.monotonic() - begun_s >= 0.1
    line.server.sendall(b"x")
    assert receive(line.client, 1) == b"x"


def test_a_delay_that_is_cleared_lets_everything_go(station: Station) -> None:
    """What would have arrived in a minute arrives now, and what is sent then arrives behind it."""
    station.proxy.set(to_server=Faults(delay_s=60.0))
    line = station.line()
    line.client.sendall(b"a")
    line.server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        line.server.recv(1)
    line.server.settimeout(HANG_S)
    station.proxy.set(to_server=Faults())
    line.client.sendall(b"b")
    assert receive(line.server, 2) == b"ab"


def test_a_limit_takes_its_time(station: Station) -> None:
    """20 kB at 50 kB a second take 400 ms at least, but for 50 ms that may have been saved."""
    line = station.line()
    station.proxy.set(to_client=Faults(bytes_per_s=50_000))
    begun_s = time.monotonic()
    line.server.sendall(bytes(20_000))
    assert receive(line.client, 20_000) == bytes(20_000)
    assert time.monotonic() - begun_s >= 0.34


# Cuts


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_ends_both_ends(station: Station, reset: bool) -> None:
    """With FIN or with RST; those that are chosen, or all; the next connection is whole."""
    first, second = station.line(), station.line()
    station.proxy.wait_for_connection(2, timeout=HANG_S)
    assert station.proxy.cut(reset=reset, connection=1) == 1
    for sock in (first.client, first.server):
        if reset:
            with pytest.raises(ConnectionResetError):
                receive_all(sock)
        else:
            assert receive_all(sock) == b""
    second.client.sendall(b"whole")
    assert receive(second.server, 5) == b"whole"
    assert station.proxy.cut(reset=reset) == 1
    assert [connection.ended_by for connection in station.proxy.connections] == ["cut", "cut"]
    assert station.proxy.cut() == 0
    third = station.line()
    third.client.sendall(b"whole")
    assert receive(third.server, 5) == b"whole"


def test_a_cut_goes_through_a_stall(station: Station) -> None:
    """What is stalled is lost with the connection."""
    line = station.line()
    station.proxy.stall()
    line.client.sendall(b"lost")
    station.proxy.wait_for_connection(timeout=HANG_S)
    assert station.proxy.cut() == 1
    assert receive_all(line.server) == b""


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_cut_after_every_byte(station: Station, direction: Any) -> None:
    """Exactly so many bytes of the upgrade and the frames arrive, then both ends see the end; once, unless told otherwise."""
    stream = REQUEST + masked("one") + masked("two")
    for n_bytes in range(len(stream) + 1):
        station.proxy.cut_after(n_bytes, direction)
        line = station.line()
        sender, receiver = (line.client, line.server) if direction == "to_server" else (line.server, line.client)
        sender.sendall(stream)
        assert receive_all(receiver) == stream[:n_bytes]
        assert receive_all(sender) == b""
    whole = station.line()
    whole.client.sendall(stream)
    assert receive(whole.server, len(stream)) == stream


def test_a_cut_after_bytes_may_reset_and_be_for_several(station: Station) -> None:
    """No byte beyond passes; as many connections as were planned are cut; live ones are left alone."""
    live = station.line()
    live.client.sendall(b"123456")
    assert receive(live.server, 6) == b"123456"
    station.proxy.cut_after(4, "to_server", reset=True, connections=2)
    for _ in range(2):
        line = station.line()
        line.client.sendall(b"123456")
        with pytest.raises(ConnectionResetError):
            receive_all(line.client)
    live.client.sendall(b"7")
    assert receive(live.server, 1) == b"7"
    assert [view.bytes_to_server for view in station.proxy.connections] == [7, 4, 4]
    station.proxy.cut_after(0, "to_client", connections=None)
    station.proxy.clear()
    line = station.line()
    line.server.sendall(b"whole")
    assert receive(line.client, 5) == b"whole"


def test_a_client_survives_a_cut_anywhere() -> None:
    """Connecting fails as an error of ours, in time, wherever the server's side of it breaks off."""
    with DevServer() as server, FaultProxy(server.url) as proxy:
        with HAIPClient(proxy.url):
            (whole,) = proxy.connections
        assert whole.frames_to_client == 1  # The server's HAI: without its last byte nobody is connected.
        for n_bytes in [*range(0, whole.bytes_to_client - 1, 31), whole.bytes_to_client - 1]:
            proxy.cut_after(n_bytes, "to_client", reset=bool(n_bytes % 2))
            with pytest.raises(HAIPError):
                HAIPClient(proxy.url).connect(timeout=HANG_S)
        with HAIPClient(proxy.url) as client:
            client.send_text_message("USER", "at last", timeout=HANG_S)


def test_a_half_close_ends_one_direction(station: Station) -> None:
    """The receiver sees FIN behind what was sent before; the other direction goes on; the sender is not held up."""
    line = station.line()
    line.server.sendall(b"before")
    station.proxy.wait_for(lambda proxy: proxy.connections[0].bytes_to_client == 6, what="six bytes", timeout=HANG_S)
    assert station.proxy.half_close("to_client") == 1
    assert receive_all(line.client) == b"before"
    line.server.sendall(bytes(16 << 20))
    line.client.sendall(b"on")
    assert receive(line.server, 2) == b"on"
    line.client.shutdown(socket.SHUT_WR)
    assert receive_all(line.server) == b""
    assert station.proxy.half_close("to_client", connection=9) == 0


def test_nobody_is_let_in(station: Station) -> None:
    """Connecting fails as if nobody were there, live connections go on, and the port is the same afterwards."""
    live, port = station.line(), station.proxy.port
    station.proxy.refuse()
    station.proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        station.dial()
    live.client.sendall(b"on")
    assert receive(live.server, 2) == b"on"
    station.proxy.refuse(False)
    line = station.line()
    line.client.sendall(b"in")
    assert receive(line.server, 2) == b"in"
    assert station.proxy.port == port
    assert len(station.proxy.connections) == 2


def test_somebody_is_let_in_and_closed_at_once(station: Station) -> None:
    """The connection comes about and ends before a byte has passed; planned cuts are not used up by it."""
    station.proxy.refuse(accept_first=True)
    station.proxy.cut_after(1, "to_server")
    assert receive_all(station.dial()) == b""
    assert station.proxy.wait_for_connection(timeout=HANG_S).ended_by == "refused"
    station.proxy.refuse(False)
    line = station.line()
    line.client.sendall(b"xy")
    assert receive_all(line.server) == b"x"


def test_refusing_may_be_set_before_the_start() -> None:
    """The port is taken all the same, and `clear` opens it."""
    with DevServer() as server:
        proxy = FaultProxy(server.url)
        proxy.refuse()
        with proxy:
            with pytest.raises(ConnectError):
                HAIPClient(proxy.url).connect(timeout=HANG_S)
            assert proxy.connections == ()
            proxy.clear()
            with HAIPClient(proxy.url):
                assert proxy.wait_for_connection(timeout=HANG_S).state == "open"


# Frames


def test_frames_are_changed_on_live_connections_and_on_new_ones(station: Station) -> None:
    """By number or by text, masked or not, in their own direction, until the faults are cleared."""
    live = station.line()
    live.upgrade()
    drop = FrameFault(action="drop", when=lambda text: "no" in text)
    station.proxy.set(to_server=Faults(frames=(drop,)), to_client=Faults(frames=(FrameFault(action="duplicate", number=1),)))
    new = station.line()
    new.upgrade()
    for line in (live, new):
        line.client.sendall(masked("no") + masked("yes"))
        assert receive(line.server, len(masked("yes"))) == masked("yes")
        line.server.sendall(plain("no") + plain("z"))
        expected = plain("no") * 2 + plain("z")
        assert receive(line.client, len(expected)) == expected
    station.proxy.clear()
    live.client.sendall(masked("no"))
    assert receive(live.server, len(masked("no"))) == masked("no")


def test_a_frame_cuts_the_connection_in_its_place(station: Station) -> None:
    """What came before arrives."""
    station.proxy.set(to_server=Faults(frames=(FrameFault(action="cut", when=lambda text: text == "cut"),)))
    line = station.line()
    line.upgrade()
    line.client.sendall(masked("before") + masked("cut") + masked("after"))
    assert receive_all(line.server) == masked("before")
    assert receive_all(line.client) == b""


def test_a_seed_garbles_the_same_way(make_station: Callable[..., Station]) -> None:
    """Two proxies with one seed change the same bits of the nth connection; the seed can be read."""
    seen = []
    for seed in (7, 7, 8):
        station = make_station(seed=seed)
        station.proxy.set(to_server=Faults(frames=(FrameFault(action="garble"),)))
        for _ in range(2):
            line = station.line()
            line.upgrade()
            line.client.sendall(masked("x" * 100))
            seen.append(receive(line.server, 106))
        assert station.proxy.seed == seed
    first, second, first_again, second_again, other, _ = seen
    assert (first, second) == (first_again, second_again)
    assert len({first, second, other, masked("x" * 100)}) == 4


def test_a_server_that_seems_to_grant_nothing() -> None:
    """Without the server's FLOW_UPDATEs a client that has spent its first credit waits in vain, and nothing else is wrong."""
    lost = FrameFault(action="drop", when=lambda text: '"type":"FLOW_UPDATE"' in text)
    with (
        DevServer(initial_credits=3, agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url) as client,
    ):
        proxy.set(to_client=Faults(frames=(lost,)))
        client.send_text_message("USER", "whole", timeout=HANG_S)
        session = server.wait_for_session(timeout=HANG_S)
        session.wait_for(lambda s: s.books("USER").from_client.balance > 0, timeout=HANG_S, what="a grant")
        with pytest.raises(FlowControlTimeout):
            client.send_text_message("USER", "starved", timeout=0.2)
        assert session.connected


def test_a_server_reads_a_garbled_frame_and_goes_on() -> None:
    """A masked text that is no JSON any more is answered with ERROR; the connection stands, and the frame is asked for again."""
    garbled = FrameFault(action="garble", when=lambda text: '"type":"MESSAGE_START"' in text, times=1)
    with DevServer(agent=False) as server, FaultProxy(server.url, seed=1) as proxy, HAIPClient(proxy.url) as client:
        proxy.set(to_server=Faults(frames=(garbled,)))
        errors = threading.Event()
        client.on("error", lambda _: errors.set())
        client.send_text_message("USER", "garbled", timeout=HANG_S)
        assert errors.wait(HANG_S)
        client.send_text_message("USER", "whole", timeout=HANG_S)
        session = server.wait_for_session(timeout=HANG_S)
        session.wait_for(lambda s: s.text_count == 2, timeout=HANG_S, what="both texts")
        assert [text.text for text in session.texts("USER")] == ["garbled", "whole"]
        assert session.lost == ()


def test_a_client_ends_a_connection_whose_frames_are_broken() -> None:
    """Reserved bits that nobody agreed on end it, and everything that waits is told so."""
    broken = FrameFault(action="garble_header", when=lambda text: '"channel":"AGENT"' in text)
    with DevServer() as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url, reconnect=ONE_LINE) as client:
        proxy.set(to_client=Faults(frames=(broken,)))
        client.send_text_message("USER", "hello", timeout=HANG_S)
        with pytest.raises(HAIPError) as ended:
            client.receive(timeout=HANG_S)
        assert not isinstance(ended.value, HAIPTimeout)
        session = server.wait_for_session(timeout=HANG_S)
        session.wait_for(lambda s: not s.connected, timeout=HANG_S, what="the end")
        assert session.close_code == 1002


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
