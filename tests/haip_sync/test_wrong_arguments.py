"""What cannot be an argument is a `ConfigError` of a readable length; what is a string to Python is one to us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from typing import Any, Final

import pytest

from haip_sync import AdaptiveStrategy, ConfigError, HAIPClient, ReconnectPolicy
from haip_sync.testing import DevServer

HUGE: Final = 10**5_000
"""More than a float holds, and more digits than Python writes out."""
HALF: Final = "\ud800"
"""Half of a surrogate pair: a string that UTF-8 cannot carry."""
DEADLINE_S: Final = 10.0


class Marked(str):
    """A string with something to it, as template engines and parsers return them."""

    __slots__ = ()


class Channel(StrEnum):
    """Names of channels, as a program may keep them."""

    USER = "USER"


class Old(str, Enum):  # noqa: UP042 - what programs have had for long
    """The same, before there was a StrEnum."""

    USER = "USER"


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Return a server that grants."""
    with DevServer() as running:
        yield running


@pytest.fixture
def client(server: DevServer) -> Iterator[HAIPClient]:
    """Return a client of it."""
    with HAIPClient(server.url) as connected:
        yield connected


@pytest.mark.parametrize("value", [HUGE, -HUGE], ids=["above", "below"])
@pytest.mark.parametrize(
    "use",
    [
        lambda value: ReconnectPolicy(max_delay=value),
        lambda value: AdaptiveStrategy(head_room=value),
        lambda value: HAIPClient("ws://localhost:1", send_timeout=value),
        lambda value: HAIPClient("ws://localhost:1").close(value),
        lambda value: HAIPClient("ws://localhost:1").send_audio_chunk("AUDIO_IN", "m", "audio/pcm", b"", duration_ms=value),
        lambda value: HAIPClient("ws://localhost:1").request_credits("USER", messages=value),
        lambda value: HAIPClient("ws://localhost:1", monitor=value),
        lambda value: HAIPClient("ws://localhost:1", headers={value: "x"}),
    ],
)
def test_a_number_that_nothing_holds_is_refused_as_any_other(use: Callable[[Any], object], value: int) -> None:
    """A number too large for a float, or to be written out, is a ConfigError and no other error."""
    with pytest.raises(ConfigError, match="must be"):
        use(value)


def nested() -> dict[str, Any]:
    """Return a mapping that is nested deeper than Python writes out."""
    inner: dict[str, Any] = {}
    for _ in range(5_000):
        inner = {"in": inner}
    return inner


@pytest.mark.parametrize("value", ["x" * 100_000, nested()], ids=["long", "deep"])
@pytest.mark.parametrize("where", ["timeout", "channel", "listener", "event_type", "choice", "flag"])
def test_a_wrong_argument_is_not_told_at_length(where: str, value: object) -> None:
    """Whatever stands where something else belongs, the error that says so is a few lines at most."""
    client = HAIPClient("ws://localhost:1")
    uses: dict[str, Callable[[Any], object]] = {
        "timeout": client.receive,
        "channel": client.explain,
        "listener": lambda value: client.subscribe(print, value),
        "event_type": lambda value: client.send("USER", value, None),
        "choice": lambda value: HAIPClient("ws://localhost:1", inbox=value),
        "flag": lambda value: ReconnectPolicy(enabled=value),
    }
    with pytest.raises(ConfigError) as caught:
        uses[where](value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("label", ["run_id", "thread_id", "author"])
def test_a_label_that_utf_8_cannot_carry_is_refused(client: HAIPClient, label: str) -> None:
    """Half of a surrogate pair in a label is a ConfigError, and nothing was sent."""
    labels: dict[str, Any] = {label: HALF}
    with pytest.raises(ConfigError, match="Nothing was sent"):
        client.send_text_message("USER", "hello", **labels, timeout=DEADLINE_S)
    assert client.connection_state().channels["USER"].sent_messages == 0


def test_a_token_that_utf_8_cannot_carry_is_refused_unrepeated() -> None:
    """Half of a surrogate pair in a token, ours or the server's, is a ConfigError that does not carry the token along."""
    for make in (lambda: HAIPClient("ws://localhost:1", token=f"secret{HALF}"), lambda: DevServer(token=f"secret{HALF}")):
        with pytest.raises(ConfigError, match="UTF-8") as caught:
            make()
        assert caught.value.__context__ is None


@pytest.mark.parametrize("timeout", ["1", {}, -1.0, float("nan")])
def test_a_handle_checks_its_timeout(client: HAIPClient, timeout: Any) -> None:
    """`PendingSend.result` refuses what is no timeout, whether the message is settled or not."""
    with pytest.raises(ConfigError, match="timeout must be"):
        client.enqueue_text_message("USER", "hello").result(timeout)


@pytest.mark.parametrize("callback", [None, 5, "print"])
def test_a_handle_checks_its_callback(client: HAIPClient, callback: Any) -> None:
    """What cannot be called is refused as a callback at once, whether the message is settled or not."""
    pending = client.enqueue_text_message("USER", "hello")
    with pytest.raises(ConfigError, match="callback must be a function"):
        pending.add_done_callback(callback)
    pending.result(DEADLINE_S)
    with pytest.raises(ConfigError, match="callback must be a function"):
        pending.add_done_callback(callback)


@pytest.mark.parametrize("name", ["add_messages", "add_bytes"])
def test_a_flow_update_names_its_own_arguments(name: str) -> None:
    """`send_flow_update` says which of its arguments is wrong, by the name that it has there."""
    amounts: dict[str, Any] = {name: "many"}
    with pytest.raises(ConfigError, match=f"{name} must be a whole number"):
        HAIPClient("ws://localhost:1").send_flow_update("USER", **amounts)


@pytest.mark.parametrize("channel", [Channel.USER, Old.USER, Marked("USER")], ids=["StrEnum", "Enum", "subclass"])
def test_a_subclass_of_str_is_a_string(server: DevServer, client: HAIPClient, channel: str) -> None:
    """Channels, texts and labels may be of a class that is derived from `str`; the peer gets their characters."""
    client.send_text_message(channel, Marked("hello"), Marked("me"), Marked("r"), Marked("t"), timeout=DEADLINE_S)
    client.enqueue_text_message(channel, Marked("queued")).result(DEADLINE_S)
    with client.text_stream(channel, timeout=DEADLINE_S) as stream:
        stream.write(Marked("piece"), timeout=DEADLINE_S)
    client.send_audio_chunk("AUDIO_IN", Marked("m"), Marked("audio/pcm"), b"sound", timeout=DEADLINE_S)
    client.flush(DEADLINE_S)
    session = server.wait_for_session()
    session.wait_for(lambda seen: len(seen.texts("USER")) == 3)
    texts = session.texts("USER")
    assert [text.text for text in texts] == ["hello", "queued", "piece"]
    assert (texts[0].author, texts[0].run_id, texts[0].thread_id) == ("me", "r", "t")
    assert str(client.explain(channel)).startswith("USER")


def test_a_channel_of_a_subclass_of_str_is_paused_and_resumed(server: DevServer, client: HAIPClient) -> None:
    """A pause that is asked for by a derived string is told to the peer, and lifted by another."""
    client.pause_channel(Marked("USER"))
    assert client.connection_state().channels["USER"].paused_by_us
    session = server.wait_for_session()
    session.wait_for(lambda seen: any(frame.type == "PAUSE_CHANNEL" for frame in seen.received))
    client.resume_channel(Old.USER)
    assert not client.connection_state().channels["USER"].paused_by_us
