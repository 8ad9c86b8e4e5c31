"""What a proxy does to a line: stalls, delays, limits, cuts, refusals, and frames that it changes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.stations import HANG_S, REQUEST, Station, fill, masked, receive, receive_all

from haip_sync import HAIPClient
from haip_sync.errors import ConnectError, FlowControlTimeout, HAIPError, HAIPTimeout
from haip_sync.testing import DevServer, FaultProxy, Faults, FrameFault, Generous, ManualClock
from haip_sync.testing.numbering import PATIENCE_S


def plain(text: str) -> bytes:
    """Return a server's frame."""
    return bytes([0x81, len(text.encode())]) + text.encode()


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
    clock = ManualClock()  # by which the server asks and never gives up, however slow the answer
    with DevServer(agent=False, clock=clock) as server, FaultProxy(server.url, seed=1) as proxy, HAIPClient(proxy.url) as client:
        proxy.set(to_server=Faults(frames=(garbled,)))
        errors = threading.Event()
        client.on("error", lambda _: errors.set())
        client.send_text_message("USER", "garbled", timeout=HANG_S)
        assert errors.wait(HANG_S)
        client.send_text_message("USER", "whole", timeout=HANG_S)
        client.ping(timeout=HANG_S)  # the server has read all that, and misses a frame
        clock.advance(PATIENCE_S)
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
