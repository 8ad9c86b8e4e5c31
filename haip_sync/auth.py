"""Who we are to a server, and where it is told. No value here shows its secret in a repr, a text or an error.

```python
HAIPClient(url, token="...")                                 # ?token=... in the URL (HAIP 1.1.2)
HAIPClient(url, auth=BearerToken("..."))                     # Authorization: Bearer ...
HAIPClient(url, auth=SubprotocolToken("..."))                # Sec-WebSocket-Protocol: haip, ...
HAIPClient(url, auth=lambda: BearerToken(fetch_token()))     # asked afresh for each connection
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, quote_plus

from haip_sync.errors import ConfigError

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_HTTP_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What RFC 6455 (by way of RFC 9110) allows as a subprotocol."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """What an `Auth` puts where. Immutable; its repr shows nothing of it.

    Attributes:
        query: Pairs for the URL's query.
        headers: Pairs for the HTTP request.
        subprotocols: Entries of `Sec-WebSocket-Protocol`, in order.
        hello: Goes into our HAI as its `auth` member; None: nothing does.
        secrets: The texts that must be shown nowhere, in every spelling that a peer may repeat.
    """

    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    hello: Mapping[str, Any] | None = None
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Credentials(...)"


class Auth:
    """How a connection says who it is: one of the kinds below. Immutable, may be shared; its repr shows no secret."""

    def credentials(self) -> Credentials:
        """Return what goes where."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


AuthSource = Auth | Callable[[], Auth | str]
"""An `Auth`, or a function that returns one (or a string, short for `QueryToken`); it is called for each connection."""


@dataclass(frozen=True, repr=False)
class QueryToken(Auth):
    """A token in the URL's query: `?token=...` (HAIP 1.1.2). Servers and proxies often log URLs: prefer another kind."""

    token: str
    name: str = "token"
    """What it is called in the query."""

    def __post_init__(self) -> None:
        _check_text("a token", self.token)
        _check_text("the name of a query token", self.name)

    def credentials(self) -> Credentials:
        """Return the query."""
        spellings = dict.fromkeys((self.token, quote_plus(self.token), quote(self.token, safe="")))
        return Credentials(query=((self.name, self.token),), secrets=tuple(spellings))


@dataclass(frozen=True, repr=False)
class BearerToken(Auth):
    """A token in the header `Authorization: Bearer ...` (RFC 6750)."""

    token: str

    def __post_init__(self) -> None:
        _check_text("a bearer token", self.token, _VISIBLE, "visible ASCII characters without spaces")

    def credentials(self) -> Credentials:
        """Return the header."""
        return Credentials(headers=(("Authorization", f"Bearer {self.token}"),), secrets=(self.token,))


@dataclass(frozen=True, repr=False)
class SubprotocolToken(Auth):
    """A token as an entry of `Sec-WebSocket-Protocol`, which is all that a browser can send besides the URL.

    A server chooses one of the entries. Most want to choose one that is no secret: `protocol` goes before the token.
    """

    token: str
    protocol: str | None = field(default="haip")
    """The entry before the token; None: the token stands alone."""

    def __post_init__(self) -> None:
        allowed = "letters, digits and !#$%&'*+-.^_`|~ (encode it otherwise, as base64url for instance)"
        _check_text("a subprotocol token", self.token, _HTTP_TOKEN, allowed)
        if self.protocol is not None:
            _check_text("protocol", self.protocol, _HTTP_TOKEN, allowed)

    def credentials(self) -> Credentials:
        """Return the entries."""
        entries = (self.token,) if self.protocol is None else (self.protocol, self.token)
        return Credentials(subprotocols=entries, secrets=(self.token,))


def _check_text(what: str, value: object, form: re.Pattern[str] | None = None, allowed: str = "") -> None:
    """Raise `ConfigError`, which does not repeat `value`, unless it is a text that is not empty and of this form."""
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a string, not {type(value).__name__}")
    if not value:
        raise ConfigError(f"{what} must not be empty; to send none leave it out")
    if form is not None and not form.fullmatch(value):
        raise ConfigError(f"{what} must be made of {allowed}")
