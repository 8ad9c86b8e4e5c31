"""Who may come in: the token check. The token itself is never logged, shown or compared in a way that leaks it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from haip_sync.errors import ConfigError

CLOSE_POLICY_VIOLATION = 1008
_BEARER = "Bearer "


class Gate:
    """Compares what a client shows with the token. Immutable.

    It may be shown as `?token=...`, as `Authorization: Bearer ...`, or as an entry of `Sec-WebSocket-Protocol`.
    """

    def __init__(self, token: str | None) -> None:
        if token is not None and (not isinstance(token, str) or not token):
            raise ConfigError("token must be a text that is not empty, or None for no check")
        try:
            self._token = None if token is None else token.encode()
        except UnicodeEncodeError:
            self._token = None
        if token is not None and self._token is None:  # not raised up there: that error, carried along, repeats the token
            raise ConfigError("token holds half of a surrogate pair, which UTF-8 cannot carry")

    def admits(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a request may come in; everybody may where there is no token."""
        if self._token is None:
            return True
        shown = parse_qs(urlsplit(path).query).get("token", [])
        authorization = headers.get("Authorization", "")
        if authorization.startswith(_BEARER):
            shown.append(authorization.removeprefix(_BEARER))
        shown += [entry.strip() for entry in headers.get("Sec-WebSocket-Protocol", "").split(",")]
        return any(self._is_token(candidate) for candidate in shown)

    def subprotocol(self, offered: Sequence[str]) -> str | None:
        """Return which of the subprotocols that a client offers is answered: the first that is not the token (RFC 6455)."""
        harmless = [entry for entry in offered if not self._is_token(entry)]
        return next(iter(harmless or offered), None)

    def _is_token(self, candidate: str) -> bool:
        return self._token is not None and hmac.compare_digest(candidate.encode(), self._token)
