"""The source that stands for a client, against a real development server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.sync.server import ServerConnection, serve

from haip_sync import HAIPClient, ReconnectPolicy
from haip_sync.testing import DevServer, Never
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.source import Notice

SECRET = "".join(("sec", "ret"))


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Poll `condition` without a sleep of its own; the source has nothing to wait on, by design."""
    never = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        never.wait(0.005)


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that wants a token."""
    with DevServer(token=SECRET, policy=Never(), agent=False) as running:
        yield running


@pytest.fixture
def own() -> Iterator[ClientSource]:
    """Yield a source that opens its own clients."""
    made = ClientSource(factory=open_client, name="monitor")
    yield made
    made.close()


def notice_of(source: ClientSource, action: str) -> Notice:
    """Wait for the result of a command and return it."""
    found: list[Notice] = []

    def look() -> bool:
        found.extend(notice for notice in source.take_notices() if notice.action == action)
        return bool(found)

    wait_until(look)
    return found[-1]


def connected(source: ClientSource) -> bool:
    """Return whether the source shows a connection."""
    state = source.snapshot()
    return state is not None and state.connected


def test_it_connects_and_says_so(own: ClientSource, server: DevServer) -> None:
    """Connecting happens off the calling thread; its result is a notice, and the address has no token."""
    own.connect_to(server.url, SECRET)
    assert notice_of(own, "connect").ok
    assert connected(own)
    assert not own.connecting
    assert own.failure is None
    assert "secret" not in own.address


def test_a_wrong_token_is_told_and_can_be_tried_again(own: ClientSource, server: DevServer) -> None:
    """After a refusal another attempt with another token works on the same source."""
    own.connect_to(server.url, "wrong")
    assert not notice_of(own, "connect").ok
    wait_until(lambda: own.failure)
    assert own.failure is not None
    assert own.failure.title == "The server refused the token"
    own.connect_to(server.url, SECRET)
    assert notice_of(own, "connect").ok
    assert own.failure is None


def test_an_unreachable_server_is_told(own: ClientSource) -> None:
    """Where nobody listens the failure says so."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    own.connect_to(url, None)
    assert not notice_of(own, "connect").ok
    wait_until(lambda: own.failure)
    assert own.failure is not None
    assert own.failure.title == "The server cannot be reached"


def test_a_wrong_url_is_told_at_once_and_without_its_secrets(own: ClientSource) -> None:
    """A URL that cannot be used is refused before anything is tried; what may be a token is not shown."""
    own.connect_to("http://user:pass@host/?token=secret", None)
    assert own.failure is not None
    assert own.failure.title == "The address cannot be used"
    assert own.address == "http://host/"
    assert own.snapshot() is None
    assert "secret" not in own.failure.text
    assert "pass" not in own.failure.text


def test_a_peer_that_does_not_speak_json_is_reported_as_an_event(own: ClientSource) -> None:
    """Text in place of JSON is an error event, and the failure that follows names it."""
    heard = threading.Event()

    def babble(connection: ServerConnection) -> None:
        connection.send("this is not JSON")
        heard.wait(5.0)

    with serve(babble, "127.0.0.1", 0) as babbler:
        threading.Thread(target=babbler.serve_forever).start()
        own.connect_to(f"ws://127.0.0.1:{babbler.socket.getsockname()[1]}", None)
        seen: list[str] = []

        def look() -> bool:
            seen.extend(type(event).__name__ for event in own.drain(100).events)
            return "ErrorReported" in seen

        wait_until(look)
        heard.set()
        wait_until(lambda: own.failure)
        assert own.failure is not None
        assert "could not be read" in own.failure.text
        babbler.shutdown()


def test_a_lost_server_is_told_and_can_be_reached_again() -> None:
    """After a loss for good the reason is known, and `reconnect` brings a new client."""

    def open_once(url: str, token: str | None) -> HAIPClient:
        return HAIPClient(url, token=token, inbox="listeners", reconnect=ReconnectPolicy(enabled=False))

    own = ClientSource(factory=open_once)
    with DevServer(agent=False) as server:
        own.connect_to(server.url, None)
        assert notice_of(own, "connect").ok
        session = server.wait_for_session()
        assert own.snapshot() is not None
        server.drop(session=session)
        wait_until(lambda: own.failure)
        assert own.failure is not None
        assert own.failure.title == "The connection is over"
        own.reconnect()
        assert notice_of(own, "connect").ok
        assert connected(own)
        own.close()


def test_commands_reach_the_server(own: ClientSource, server: DevServer) -> None:
    """Pause, resume, request and a text arrive as frames, and each leaves a notice."""
    own.connect_to(server.url, SECRET)
    assert notice_of(own, "connect").ok
    session = server.wait_for_session()
    own.pause("USER", "why")
    assert notice_of(own, "pause").result == "USER is paused"
    own.resume("USER")
    assert notice_of(own, "resume").result == "USER is resumed"
    own.request("USER", 5, 1024)
    own.send_test_message("USER", "hello")
    session.wait_for(lambda seen: seen.text_count == 1, what="the text")
    types = [frame.type for frame in session.received]
    assert [kind for kind in types if kind.endswith("_CHANNEL") or kind == "FLOW_UPDATE"] == [
        "PAUSE_CHANNEL",
        "RESUME_CHANNEL",
        "FLOW_UPDATE",
    ]
    assert notice_of(own, "test message").ok


def test_a_request_for_nothing_is_refused_by_the_client(own: ClientSource, server: DevServer) -> None:
    """A non-positive request comes back as a notice with the client's own words; nothing else stops."""
    own.connect_to(server.url, SECRET)
    assert notice_of(own, "connect").ok
    own.request("USER", 0, 0)
    refused = notice_of(own, "request")
    assert not refused.ok
    assert refused.result
    assert connected(own)


def test_commands_without_a_client_are_answered(own: ClientSource) -> None:
    """Before there is a client every command says that there is no connection."""
    own.pause("USER", None)
    own.send_test_message("USER", "x")
    assert [notice.ok for notice in own.take_notices()] == [False, False]
    assert own.failure is None
    assert own.address == ""


def test_closing_ends_an_attempt_that_hangs(own: ClientSource) -> None:
    """With a server that never answers, closing is quick and leaves no thread."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        own.connect_to(f"ws://127.0.0.1:{mute.getsockname()[1]}", None)
        assert own.connecting
        begun_s = time.monotonic()
        own.close()
        assert time.monotonic() - begun_s < 4.0


def test_a_scripts_client_is_left_open_and_not_listened_to(server: DevServer) -> None:
    """Closing the source of a script's client unsubscribes and touches nothing else."""
    with HAIPClient(server.url, token=SECRET, name="mine") as client:
        source = ClientSource(client)
        assert (source.name, source.can_reconnect, source.failure) == ("mine", False, None)
        source.close()
        source.close()
        server.wait_for_session()
        server.grant("USER", 3)
        wait_until(lambda: client.connection_state().channels["USER"].granted == 13)
        assert not source.drain(100).events
        assert client.connection_state().connected


def test_a_scripts_client_that_is_not_connected_says_whose_turn_it_is(server: DevServer) -> None:
    """The window cannot connect a script's client, and says so."""
    client = HAIPClient(server.url, token=SECRET)
    source = ClientSource(client)
    assert source.failure is not None
    assert source.failure.title == "Not connected"
    source.connect_to(server.url, None)
    assert not source.connecting
    source.close()
    client.close()


def test_a_test_message_that_waits_is_taken_back_with_the_window() -> None:
    """Closing the source of a script's client leaves the client open, and nothing of the monitor's in its queue."""
    with DevServer(policy=Never(), initial_credits=0, agent=False) as server, HAIPClient(server.url) as client:
        source = ClientSource(client)
        source.send_test_message("USER", "waits")
        wait_until(lambda: client.queue_length("USER") == 1)
        source.close()
        assert client.queue_length("USER") == 0
        assert client.connection_state().connected
