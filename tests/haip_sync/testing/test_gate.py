"""The token check lets in who shows the token, in one of three places, and nobody else."""

from __future__ import annotations

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing.gate import Gate


@pytest.mark.parametrize(
    ("path", "headers", "admitted"),
    [
        ("/?token=s%C3%A9cret", {}, True),
        ("/any/path?a=1&token=s%C3%A9cret", {}, True),
        ("/", {"Authorization": "Bearer sécret"}, True),
        ("/", {"Sec-WebSocket-Protocol": "haip, sécret"}, True),
        ("/", {"Sec-WebSocket-Protocol": "sécret"}, True),
        ("/", {"Sec-WebSocket-Protocol": "haip, secret"}, False),
        ("/", {}, False),
        ("/?token=", {}, False),
        ("/?token=secret", {}, False),
        ("/?Token=s%C3%A9cret", {}, False),
        ("/", {"Authorization": "Basic sécret"}, False),
    ],
)
def test_only_the_token_opens(path: str, headers: dict[str, str], admitted: bool) -> None:
    """The query, a bearer header or a subprotocol must carry exactly the token."""
    assert Gate("sécret").admits(path, headers) is admitted


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["haip", "token"], "haip"), (["token", "haip", "more"], "haip"), (["token"], "token")],
)
def test_the_subprotocol_that_is_answered_is_not_the_token(offered: list[str], chosen: str | None) -> None:
    """A client that offers subprotocols is answered with one of them, and with the token only where it offers nothing else."""
    assert Gate("token").subprotocol(offered) == chosen
    assert Gate(None).subprotocol(offered) == (offered[0] if offered else None)


def test_without_a_token_everybody_may_come_in() -> None:
    """A token that nobody asked for does no harm."""
    assert Gate(None).admits("/?token=whatever", {})


@pytest.mark.parametrize("token", ["", 3, b"x"])
def test_a_token_is_a_text(token: object) -> None:
    """An empty one would be no check at all: `ConfigError`, which does not repeat it."""
    with pytest.raises(ConfigError):
        Gate(token)  # type: ignore[arg-type]
