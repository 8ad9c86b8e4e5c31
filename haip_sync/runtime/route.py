"""How to get to a server: its address, the way there, and who we say we are. Checked before anything is opened."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from haip_sync.auth import Auth, AuthCall, BothAuths, Credentials, HelloAuth, QueryToken
from haip_sync.errors import ConfigError, ConnectError
from haip_sync.runtime.address import Address
from haip_sync.runtime.proxy import Proxy, check_proxy, proxy_for
from haip_sync.runtime.request import Request, check_headers

if TYPE_CHECKING:
    from ssl import SSLContext

logger = logging.getLogger("haip_sync.connection")


class Route(msgspec.Struct, frozen=True, eq=False):
    """Immutable. Its repr shows no secret.

    Attributes:
        address: Where to.
        auth: Who we are, or a function that says so for each connection; None: nobody asks.
        context: Whom TLS trusts; None: whom the system trusts.
        proxy: The way: a proxy, "" for none, None for what the environment says.
        headers: More for the HTTP request. Their values may be secrets too.
    """

    address: Address
    auth: Auth | AuthCall | None
    context: SSLContext | None
    proxy: Proxy | str | None
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Route({self.address.text})"

    def credentials(self) -> Credentials:
        """Return who we are, asked afresh. Raises `ConnectError` where that fails, `ConfigError` where the answer does not do."""
        if self.auth is None:
            return Credentials()
        answer = self.auth if isinstance(self.auth, Auth) else _asked(self.auth)
        if isinstance(answer, ConnectError):
            raise answer
        if isinstance(answer, str):
            answer = QueryToken(answer)
        if isinstance(answer, Mapping):
            answer = HelloAuth(answer)
        if not isinstance(answer, Auth):
            raise ConfigError(
                f"auth() must return an Auth such as BearerToken, a mapping, or a string, not {type(answer).__name__}"
            )
        return answer.credentials()

    def secrets_on_the_way(self) -> tuple[str, ...]:
        """Return what a proxy is told in confidence. Raises `ConfigError` where the environment's cannot be used."""
        proxy = proxy_for(self.address, self.proxy)
        return () if proxy is None else proxy.secrets

    def request(self, credentials: Credentials) -> Request:
        """Return what to ask the server. Raises `ConfigError` where the parts contradict each other."""
        return Request(self.address, self.headers, credentials)


def make_route(url: object, *, token: object, auth: object, context: object, proxy: object, headers: object) -> Route:
    """Return the route that these arguments of `HAIPClient` describe. Raises `ConfigError` naming the wrong one."""
    address = Address(url)
    if address.has_login:
        logger.warning(
            "the user or password before the URL's host is not sent, as a WebSocket has no place for it: leave it out, and "
            "use auth for a token or headers={'Authorization': 'Basic ...'} for HTTP's own"
        )
    route = Route(
        address=address,
        auth=_check_auth(token, auth),
        context=_check_context(context, is_secure=address.is_secure),
        proxy=check_proxy(proxy),
        headers=MappingProxyType(check_headers(headers)),
    )
    if route.auth is None or isinstance(route.auth, Auth):
        route.request(route.credentials())
    return route


def _check_context(value: object, *, is_secure: bool) -> SSLContext | None:
    """Return `value` if it is None or a client's context for a wss:// address, else raise `ConfigError`."""
    if value is None:
        return None
    # Imported here: who speaks ws:// only does without it until the line opens, and who has a context has imported it.
    ssl = import_module("ssl")
    if not isinstance(value, ssl.SSLContext):
        raise ConfigError(
            "ssl must be an ssl.SSLContext, or None for what the system trusts, not "
            f"{type(value).__name__}; for an authority of your own: ssl.create_default_context(cafile='authority.pem')"
        )
    if value.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ConfigError("ssl is a context for servers; a client's comes from ssl.create_default_context()")
    if not is_secure:
        raise ConfigError("ssl is given, but a ws:// address has no TLS: use wss://, or leave ssl out")
    checked: SSLContext = value
    return checked


def _check_auth(token: object, auth: object) -> Auth | AuthCall | None:
    if isinstance(auth, Mapping):
        auth = HelloAuth(auth)
    if token is not None and isinstance(auth, HelloAuth):
        return BothAuths(_query_token(token), auth)
    if token is not None and auth is not None:
        raise ConfigError("token and auth are both given: token='...' is short for auth=QueryToken('...'), leave one of them out")
    if token is not None:
        return _query_token(token)
    if auth is None or isinstance(auth, Auth) or callable(auth):
        return auth
    kinds = "an Auth such as BearerToken('...'), a mapping, a function that returns one, or None"
    raise ConfigError(f"auth must be {kinds}, not {type(auth).__name__}")


def _query_token(token: object) -> QueryToken:
    if not isinstance(token, str):
        raise ConfigError(f"token must be a string or None, not {type(token).__name__}")
    return QueryToken(token)


def _asked(auth: Callable[[], object]) -> object:
    """Return what `auth` returns, or the error that says that it raised.

    Returned and not raised, and without its cause: what it raised may carry the secret in its text or its frames.
    """
    try:
        return auth()
    except Exception as exc:  # noqa: BLE001 - the function is the user's own; a log would show what it raised
        place = traceback.extract_tb(exc.__traceback__)[-1]
        return ConnectError(
            f"auth, the function that was to say who we are, raised {type(exc).__name__} in {place.name} "
            f"({place.filename}:{place.lineno}). Nothing was sent. Its words are not repeated: they might carry the secret"
        )
