"""Who we are to a server, and where it is told. No value here shows its secret in a repr, a text or an error.

```python
HAIPClient(url, token="...")                                 # ?token=... in the URL (HAIP 1.1.2)
HAIPClient(url, auth=BearerToken("..."))                     # Authorization: Bearer ...
HAIPClient(url, auth=SubprotocolToken("..."))                # Sec-WebSocket-Protocol: haip, ...
HAIPClient(url, auth={"token": "..."})                       # the `auth` member of our HAI (transaction dialect)
HAIPClient(url, auth=lambda: BearerToken(fetch_token()))     # asked afresh for each connection
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

import msgspec

from haip_sync.errors import ConfigError

SHORTEST_SECRET: Final = 4
"""Characters: what is shorter, `version=1` in a URL for instance, would be struck out of every other word, and is none."""
# Compiled when they are asked for first: importing the client need not wait for that.
_VISIBLE: Final = r"[\x21-\x7e]+"
_HTTP_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""What RFC 6455 (by way of RFC 9110) allows as a subprotocol."""


class Credentials(msgspec.Struct, frozen=True):
    """What an `Auth` puts where. Immutable; its repr shows nothing of it.

    Attributes:
        query: Pairs for the URL's query.
        headers: Pairs for the HTTP request.
        subprotocols: Entries of `Sec-WebSocket-Protocol`, in order.
        hello: Goes into our HAI as its `auth` member; None: nothing does.
        secrets: The texts that must be shown nowhere, however a peer that repeats one may spell it.
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

    __slots__ = ()

    def credentials(self) -> Credentials:
        """Return what goes where."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


AuthCall = Callable[[], Auth | Mapping[str, Any] | str]
AuthSource = Auth | Mapping[str, Any] | AuthCall
"""An `Auth`, or a mapping, short for `HelloAuth`; or a function that returns one of these (or a string, short for `QueryToken`),
which is called for each connection."""


class QueryToken(Auth, msgspec.Struct, frozen=True):
    """A token in the URL's query: `?token=...` (HAIP 1.1.2). Servers and proxies often log URLs: prefer another kind."""

    token: str
    name: str = "token"
    """What it is called in the query."""

    def __post_init__(self) -> None:
        _check_text("a token", self.token)
        _check_text("the name of a query token", self.name)

    def credentials(self) -> Credentials:
        """Return the query."""
        return Credentials(query=((self.name, self.token),), secrets=(self.token,))


class BearerToken(Auth, msgspec.Struct, frozen=True):
    """A token in the header `Authorization: Bearer ...` (RFC 6750)."""

    token: str

    def __post_init__(self) -> None:
        _check_text("a bearer token", self.token, _VISIBLE, "visible ASCII characters without spaces")

    def credentials(self) -> Credentials:
        """Return the header."""
        return Credentials(headers=(("Authorization", f"Bearer {self.token}"),), secrets=(self.token,))


class SubprotocolToken(Auth, msgspec.Struct, frozen=True):
    """A token as an entry of `Sec-WebSocket-Protocol`, which is all that a browser can send besides the URL.

    A server chooses one of the entries. Most want to choose one that is no secret: `protocol` goes before the token.
    """

    token: str
    protocol: str | None = "haip"
    """The entry before the token; None: the token stands alone."""

    def __post_init__(self) -> None:
        allowed = "letters, digits and !#$%&'*+-.^_`|~ (encode it otherwise, as base64url for instance)"
        _check_text("a subprotocol token", self.token, _HTTP_WORD, allowed)
        if self.protocol is not None:
            _check_text("protocol", self.protocol, _HTTP_WORD, allowed)

    def credentials(self) -> Credentials:
        """Return the entries."""
        entries = (self.token,) if self.protocol is None else (self.protocol, self.token)
        return Credentials(subprotocols=entries, secrets=(self.token,))


class HelloAuth(Auth):
    """An object in our HAI, its `auth` member: where servers of the transaction dialect read who we are.

    Raises `ConfigError` for what JSON cannot carry; it repeats no word of it.
    """

    def __init__(self, members: Mapping[str, Any]) -> None:
        if not isinstance(members, Mapping):
            raise ConfigError(f"the auth of a HAI must be a mapping, not {type(members).__name__}")
        encoded: bytes | None = None
        # Raised outside of the block: the error that it would carry along in its context holds the words.
        with suppress(TypeError, ValueError, RecursionError):
            encoded = msgspec.json.encode(dict(members))
        if encoded is None:
            raise ConfigError("auth holds what JSON cannot carry; its words are not repeated here")
        self._members: Mapping[str, Any] = msgspec.json.decode(encoded)

    def credentials(self) -> Credentials:
        """Return the object, and every text in it as a secret."""
        return Credentials(hello=MappingProxyType(self._members), secrets=tuple(_texts(self._members)))


class BothAuths(Auth):
    """Two at once: a token for the server's door, and an object for its HAI."""

    def __init__(self, first: Auth, second: Auth) -> None:
        self._first = first
        self._second = second

    def credentials(self) -> Credentials:
        """Return what goes where, of both."""
        one, other = self._first.credentials(), self._second.credentials()
        return Credentials(
            query=one.query + other.query,
            headers=one.headers + other.headers,
            subprotocols=one.subprotocols + other.subprotocols,
            hello=one.hello if other.hello is None else other.hello,
            secrets=one.secrets + other.secrets,
        )


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a JSON value; what is short would be struck out of every other word, and is none."""
    if isinstance(value, str) and len(value) >= SHORTEST_SECRET:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _check_text(what: str, value: object, form: str = "", allowed: str = "") -> None:
    """Raise `ConfigError`, which does not repeat `value`, unless it is a text that is not empty and of this form."""
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a string, not {type(value).__name__}")
    if not value:
        raise ConfigError(f"{what} must not be empty; to send none leave it out")
    if any("\ud800" <= character <= "\udfff" for character in value):  # what an argument of bytes that are no UTF-8 is made of
        raise ConfigError(f"{what} holds half of a surrogate pair, which UTF-8 cannot carry")
    if form and not re.fullmatch(form, value):
        raise ConfigError(f"{what} must be made of {allowed}")
