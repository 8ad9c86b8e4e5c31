"""What is said when there is no connection."""

from __future__ import annotations

import pytest

from haip_sync import (
    AuthError,
    ConfigError,
    ConnectError,
    Disconnected,
    ErrorReported,
    HAIPTimeout,
    HandshakeError,
    ProtocolError,
    VersionError,
)
from monitor_app.actions import SPECS
from monitor_app.model.failures import complaint_of, failure_of, failure_of_loss


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (ConfigError("x"), "The address cannot be used"),
        (AuthError("x"), "The server refused the token"),
        (VersionError("x"), "The server speaks another version of HAIP"),
        (HandshakeError("x"), "The handshake failed"),
        (ProtocolError("x", blame="remote"), "The server does not keep to HAIP"),
        (HAIPTimeout("x"), "The server does not answer"),
        (ConnectError("x"), "The server cannot be reached"),
        (OSError("x"), "No connection"),
    ],
)
def test_each_kind_of_failure_has_its_title_and_the_address(error: Exception, title: str) -> None:
    """The most special kind decides; the text names address and reason."""
    failure = failure_of(error, "ws://a:1")
    assert failure.title == title
    assert failure.text.startswith("ws://a:1: x.")


def test_the_advice_on_a_token_names_the_menu_as_it_is() -> None:
    """The words are those of the command that it sends to, without its underlined letter."""
    [words] = [spec.text.replace("&", "") for spec in SPECS if spec.name == "connect_to"]
    assert f"File, {words} " in failure_of(AuthError("x"), "ws://a:1").text


def test_an_address_is_not_named_twice() -> None:
    """Where the reason names the address already, it is left alone."""
    assert failure_of(ConnectError("ws://a:1 is down"), "ws://a:1").text.startswith("ws://a:1 is down. ")


def test_a_complaint_says_whose_it_is() -> None:
    """An ERROR of the peer's is told from a frame that we could not read."""
    event = ErrorReported(time_s=1.0, code="X", message="no JSON", reported_by="us")
    assert complaint_of(event) == "What it sent could not be read: no JSON."
    event = ErrorReported(time_s=1.0, code="X", message="bad token.", reported_by="peer")
    assert complaint_of(event) == "It answered: bad token."


def test_a_loss_has_the_best_reason_there_is() -> None:
    """The client's last error comes first, then the goodbye, then plain words."""
    goodbye = Disconnected(time_s=1.0, reason="server stops", in_good_order=True)
    assert "it broke" in failure_of_loss("ws://a:1", "it broke", goodbye).text
    assert "server stops" in failure_of_loss("ws://a:1", None, goodbye).text
    assert "closed" in failure_of_loss("ws://a:1", None, None).text
