"""What cannot be an argument of the server or the proxy is a `ConfigError` of a readable length that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from haip_sync import ConfigError, HAIPClient
from haip_sync.testing import DevServer, FaultProxy, Faults, FrameFault, ManualClock, Paced, Tool, parse_policy

HUGE: Final = 10**5_000
"""More than a float holds, and more digits than Python writes out."""


class Mute:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Return a server that has a client."""
    with DevServer() as running, HAIPClient(running.url):
        running.wait_for_session()
        yield running


@pytest.mark.parametrize("value", [5, HUGE, Mute(), object()], ids=["number", "huge", "mute", "object"])
@pytest.mark.parametrize("name", ["accept_events", "clock", "host", "name", "policy", "quirks", "tools"])
def test_a_server_names_a_wrong_argument(name: str, value: Any) -> None:
    """Whatever is given to `DevServer` for something else, the error names the argument."""
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=name):
        DevServer(**arguments)


@pytest.mark.parametrize("value", ["MESSAGE_START", b"HAI", [5], [""]])
def test_one_text_is_no_list_of_accepted_events(value: Any) -> None:
    """A text for `accept_events` is refused, and not taken letter by letter."""
    with pytest.raises(ConfigError, match="accept_events"):
        DevServer(accept_events=value)


@pytest.mark.parametrize("host", ["\udcff", "a\0b", "a..b", "x" * 100 + ".example"])
def test_what_is_no_host_name_is_refused(host: str) -> None:
    """A host that no name server can be asked for is a ConfigError when the server is made, not when it starts."""
    with pytest.raises(ConfigError, match="host must be a name or an address"):
        DevServer(host=host)


def test_a_tool_needs_a_function() -> None:
    """A `Tool` whose function cannot be called is refused when the server is made, not when a client calls it."""
    function: Any = 5
    with pytest.raises(ConfigError, match="'add': its function must be a function, not 5"):
        DevServer(tools={"add": Tool(function)})


@pytest.mark.parametrize("value", [HUGE, "x" * 100_000, Mute()], ids=["huge", "long", "mute"])
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("per_second", Paced),
        ("policy", lambda value: DevServer(policy=value)),
        ("policy", parse_policy),
        ("quirks", lambda value: DevServer(quirks=value)),
        ("bytes_per_s", lambda value: Faults(bytes_per_s=-value if value is HUGE else value)),
        ("frames", lambda value: Faults(frames=value)),
        ("when", lambda value: FrameFault(action="drop", when=value)),
        ("probability", lambda value: FrameFault(action="drop", probability=value)),
        ("to_server", lambda value: FaultProxy("ws://localhost:1").set(to_server=value)),
        ("predicate", lambda value: FaultProxy("ws://localhost:1").wait_for(value, what="it")),
    ],
)
def test_a_wrong_argument_is_told_briefly(name: str, use: Callable[[Any], object], value: Any) -> None:
    """What is too large, too long or cannot be shown is a ConfigError of a few lines, which names the argument."""
    with pytest.raises(ConfigError, match=name) as caught:
        use(value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [None, 5, b"paced"])
def test_the_text_of_a_policy_is_a_text(value: Any) -> None:
    """What is no text at all is refused by `parse_policy` as any other."""
    with pytest.raises(ConfigError, match="NAME:VALUE"):
        parse_policy(value)


@pytest.mark.parametrize("name", ["host", "name"])
def test_a_proxy_names_a_wrong_argument(name: str) -> None:
    """A number for a text is refused before anything listens."""
    arguments: dict[str, Any] = {name: 5}
    with pytest.raises(ConfigError, match=name):
        FaultProxy("ws://localhost:1", **arguments)


@pytest.mark.parametrize("value", [5, [], HUGE, Mute()], ids=["number", "list", "huge", "mute"])
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("author", lambda server, value: server.send_text("USER", "hello", value)),
        ("binary", lambda server, value: server.send_frame("AUDIO_CHUNK", {}, binary=value)),
        ("code", lambda server, value: server.drop(code=value)),
        ("code", lambda server, value: server.fail_run("run", value)),
        ("data", lambda server, value: server.send_raw(value)),
        ("event_type", lambda server, value: server.send_frame(value, {})),
        ("mime", lambda server, value: server.send_audio("AUDIO_OUT", b"", value)),
        ("run_id", lambda server, value: server.cancel_run(value)),
        ("run_id", lambda server, value: server.finish_run(value)),
        ("run_id", lambda server, value: server.start_run(value)),
        ("session", lambda server, value: server.pause("USER", session=value)),
        ("sound", lambda server, value: server.send_audio("AUDIO_OUT", value)),
        ("transaction", lambda server, value: server.end_transaction(value)),
    ],
)
def test_a_command_names_a_wrong_argument(
    server: DevServer, name: str, use: Callable[[DevServer, Any], object], value: Any
) -> None:
    """What a command cannot use is refused by name, and the session, which has got nothing of it, goes on."""
    with pytest.raises(ConfigError, match=name):
        use(server, value)
    assert server.grant("USER", 1) == 1


def test_a_wait_for_a_session_needs_a_function(server: DevServer) -> None:
    """A predicate that cannot be called is refused by name."""
    predicate: Any = True
    with pytest.raises(ConfigError, match="predicate"):
        server.wait_for_session().wait_for(predicate)


def test_a_clock_of_ones_own_is_taken() -> None:
    """Whatever has the methods of a clock is one."""

    class Mine:
        def __init__(self) -> None:
            self._clock = ManualClock()
            self.now, self.wait_until = self._clock.now, self._clock.wait_until

    with DevServer(clock=Mine()) as server:
        assert server.port
