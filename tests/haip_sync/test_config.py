"""Settings check themselves, and name what is wrong."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from ssl import PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest

from haip_sync import BearerToken, ConfigError, FlowControlConfig, HAIPClient, HeartbeatPolicy, Limits, ReconnectPolicy


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"initial_credits": -1}, "initial_credits must be at least 0"),
        ({"initial_credits": 1.5}, "initial_credits must be a whole number, not 1.5 of type float"),
        ({"initial_credits": True}, "initial_credits must be a whole number"),
        ({"initial_credits": "10"}, "initial_credits must be a whole number"),
        ({"initial_credits": None}, "initial_credits must be a whole number"),
        ({"initial_credit_bytes": {"USER": -5}}, r"initial_credit_bytes\['USER'\] must be at least 0"),
        ({"max_credits": 0}, "max_credits must be at least 1"),
        ({"max_credits": 2**53}, "max_credits must be at most 9007199254740991"),
        ({"max_credit_bytes": {"USER": 10**5_000}}, r"max_credit_bytes\['USER'\] must be at most 9007199254740991"),
        ({"max_credits": {"USER": 0}}, r"max_credits\['USER'\] must be at least 1"),
        ({"max_credit_bytes": 0}, "max_credit_bytes must be at least 1"),
        ({"max_credit_bytes": {"NOT A NAME": 1}}, "max_credit_bytes: channel 'NOT A NAME' is not a legal name"),
        ({"max_credit_bytes": {7: 1}}, "max_credit_bytes: channel 7 is not a legal name"),
        ({"credit_unit": "frame"}, "credit_unit must be one of 'envelope', 'message', not 'frame'"),
        ({"count_control_frames": 1}, "count_control_frames must be True or False"),
    ],
)
def test_a_wrong_flow_control_setting_is_named(settings: dict[str, Any], match: str) -> None:
    """Every wrong value of FlowControlConfig raises ConfigError with the name of the field."""
    with pytest.raises(ConfigError, match=match):
        FlowControlConfig(**settings)


def test_a_mapping_leaves_the_default_to_other_channels() -> None:
    """A channel that a mapping leaves out takes the default, and zero is legal for initial values."""
    config = FlowControlConfig(initial_credits={"USER": 0}, max_credit_bytes={"bulk": 5})
    assert config.initial_for("USER") == (0, 1 << 20)
    assert config.initial_for("AGENT") == (10, 1 << 20)
    assert config.caps_for("bulk") == (100, 5)
    assert config.named_channels() == {"USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT", "bulk"}


def through_a_pickle(value: Any) -> Any:
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.mark.parametrize("cross", [through_a_pickle, copy.copy, copy.deepcopy])
def test_settings_cross_to_other_processes_with_their_mappings(cross: Callable[[Any], Any]) -> None:
    """A configuration that names channels can be pickled and copied as one that does not, and is as safe there."""
    config = FlowControlConfig(initial_credits={"USER": 3}, max_credit_bytes={"USER": 100}, queue_max_messages=7)
    other = cross(config)
    assert other == config
    assert (other.initial_for("USER")[0], other.caps_for("USER")[1], other.queue_max_messages) == (3, 100, 7)
    with pytest.raises(TypeError):
        other.initial_credits["USER"] = 5


def test_settings_cannot_be_changed_behind_their_back() -> None:
    """A mapping is copied, and neither the copy nor the settings can be written to."""
    mine = {"USER": 3}
    config = FlowControlConfig(initial_credits=mine)
    mine["USER"] = -1
    assert config.initial_for("USER")[0] == 3
    with pytest.raises(TypeError):
        config.initial_credits["USER"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        config.max_credits = 1  # type: ignore[misc]


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "1", None, True])
def test_a_wrong_heartbeat_is_named(value: Any) -> None:
    """A heartbeat that could not be kept is refused."""
    with pytest.raises(ConfigError, match=r"heartbeat\.interval"):
        HeartbeatPolicy(interval=value)
    with pytest.raises(ConfigError, match=r"heartbeat\.timeout"):
        HeartbeatPolicy(timeout=value)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"enabled": 1}, r"reconnect\.enabled must be True or False"),
        ({"initial_delay": -1}, r"reconnect\.initial_delay"),
        ({"max_delay": "x"}, r"reconnect\.max_delay"),
        ({"max_attempts": 0}, r"reconnect\.max_attempts must be at least 1"),
        ({"jitter": 1.5}, r"reconnect\.jitter must be at most 1"),
    ],
)
def test_a_wrong_reconnect_setting_is_named(settings: dict[str, Any], match: str) -> None:
    """Every wrong value of ReconnectPolicy is a ConfigError that names it, and a policy is accepted, on or off."""
    with pytest.raises(ConfigError, match=match):
        ReconnectPolicy(**settings)
    for enabled in (False, True):
        HAIPClient("ws://localhost:1", reconnect=ReconnectPolicy(enabled=enabled)).close()


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://localhost", "must look like ws://host:port or wss://host:port; its scheme is 'http'"),
        ("localhost:8080", "must look like ws://host:port"),
        ("ws://", "must look like ws://host:port"),
        ("ws://localhost:99999", "host or port cannot be read"),
        ("ws://localhost:port", "host or port cannot be read"),
        ("ws://[::1", "host or port cannot be read"),
        ("", "must look like ws://host:port"),
        (None, "url must be a string"),
    ],
)
def test_a_wrong_url_is_refused_before_anything_is_opened(url: Any, match: str) -> None:
    """A URL that cannot be connected to is a ConfigError of the constructor."""
    with pytest.raises(ConfigError, match=match):
        HAIPClient(url)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"inbox": "mailbox"}, "inbox must be one of 'queue', 'listeners'"),
        ({"transport": "sse"}, "transport must be one of 'websocket'"),
        ({"dialect": "latin"}, "dialect must be one of"),
        ({"token": 5}, "token must be a string or None"),
        ({"token": ""}, "a token must not be empty; to send none leave it out"),
        ({"auth": 5}, r"auth must be an Auth such as BearerToken\('...'\), a mapping, a function that .* or None, not int"),
        ({"token": "a", "auth": BearerToken("b")}, "token and auth are both given"),
        ({"ssl": True}, "ssl must be an ssl.SSLContext, or None for what the system trusts, not bool; .*create_default_context"),
        ({"ssl": "authority.pem"}, "ssl must be an ssl.SSLContext"),
        ({"ssl": SSLContext(PROTOCOL_TLS_SERVER)}, "ssl is a context for servers"),
        ({"ssl": SSLContext(PROTOCOL_TLS_CLIENT)}, "ssl is given, but a ws:// address has no TLS: use wss://"),
        ({"proxy": False}, 'proxy must be None .as the environment says., "" .none. or http://host:port'),
        ({"proxy": "socks5://localhost"}, "proxy is a SOCKS proxy, and haip_sync goes through HTTP proxies only"),
        ({"proxy": "ftp://localhost"}, "proxy must look like http://host:port"),
        ({"proxy": "http://localhost:port"}, "proxy cannot be read"),
        ({"headers": {"authorization": "x"}, "auth": BearerToken("b")}, "both headers and auth .or token. set Authorization"),
        ({"session_id": "abc"}, "session_id must be a UUID"),
        ({"send_timeout": -1}, "send_timeout must be a finite number of seconds"),
        ({"stall_warning": 0}, "stall_warning must be a finite number of seconds above 0"),
        ({"flow_control": {}}, "flow_control must be a FlowControlConfig, not dict"),
        ({"heartbeat": 30}, "heartbeat must be a HeartbeatPolicy"),
        ({"reconnect": True}, "reconnect must be a ReconnectPolicy"),
        ({"headers": {"a": "b\r\nc: d"}}, "must be strings without line breaks"),
        ({"headers": [("a", "b")]}, "headers must be a mapping"),
    ],
)
def test_a_wrong_client_setting_is_named(settings: dict[str, Any], match: str) -> None:
    """Every wrong argument of HAIPClient is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=match):
        HAIPClient("ws://localhost:1", **settings)


def test_the_token_is_in_no_text_of_the_client() -> None:
    """Neither the client's repr nor its address shows the token, whether it was given apart or in the URL; not in both."""
    for url, token in (("ws://user:hunter2@localhost:81/x?token=hunter2", None), ("ws://localhost:81", "hunter2")):
        client = HAIPClient(url, token=token)
        assert "hunter2" not in f"{client!r} {client.address} {client.name} {client.connection_state()}"
        assert client.address == "ws://localhost:81"
    with pytest.raises(ConfigError, match=r"the URL has token= in its query already") as caught:
        HAIPClient("ws://localhost:81?token=hunter2", token="hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_frame_bytes": 0}, r"limits\.max_frame_bytes must be at least 1"),
        ({"max_nesting": 501}, r"limits\.max_nesting must be at most 500"),
        ({"max_channels": "many"}, r"limits\.max_channels must be a whole number"),
        ({"max_unwritten_answers_bytes": True}, r"limits\.max_unwritten_answers_bytes must be a whole number"),
        ({"max_log_lines_per_s": -1}, r"limits\.max_log_lines_per_s must be at least 1"),
    ],
)
def test_limits_check_themselves(settings: dict[str, Any], match: str) -> None:
    """A limit that is none is refused by its name."""
    with pytest.raises(ConfigError, match=match):
        Limits(**settings)


def test_the_channels_that_are_named_must_fit_the_limit() -> None:
    """The five channels of HAIP and those of the settings count."""
    with pytest.raises(ConfigError, match="max_channels is 5, and flow_control names 6 channels"):
        HAIPClient("ws://h", flow_control=FlowControlConfig(max_credits={"more": 5}), limits=Limits(max_channels=5))
    HAIPClient("ws://h", limits=Limits(max_channels=5))
