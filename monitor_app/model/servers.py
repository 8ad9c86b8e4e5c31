"""Servers that are worth remembering: name and address. Never a token, nor a part of an address that could be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from monitor_app.model.addresses import problem_of, without_secrets

MAX_SERVERS: Final = 20
_MAX_LENGTH: Final = 500


@dataclass(frozen=True)
class Server:
    """One server."""

    name: str
    """As the operator calls it; empty for none."""
    address: str

    @property
    def title(self) -> str:
        """What stands in lists."""
        return f"{self.name} ({self.address})" if self.name else self.address


def with_server(servers: Sequence[Server], address: str, name: str = "") -> tuple[Server, ...]:
    """Return `servers` with this one in front, without its secrets; it keeps its name when it is given none."""
    plain = without_secrets(address)
    known = next((server.name for server in servers if server.address == plain), "")
    return (Server(name or known, plain), *without_server(servers, plain))[:MAX_SERVERS]


def without_server(servers: Sequence[Server], address: str) -> tuple[Server, ...]:
    """Return `servers` without the one at `address`."""
    return tuple(server for server in servers if server.address != address)


def to_text(servers: Sequence[Server]) -> str:
    """Return `servers` as one line for a settings file. What could be a secret is taken out here once more."""
    return msgspec.json.encode([[server.name, without_secrets(server.address)] for server in servers]).decode()


def from_text(text: object) -> tuple[Server, ...]:
    """Return the servers in a line of a settings file; whatever is not one is passed over."""
    try:
        entries: Any = msgspec.json.decode(text) if isinstance(text, str) else []
    except msgspec.DecodeError:
        return ()
    found = [_server(entry) for entry in entries] if isinstance(entries, list) else []
    return tuple(server for server in found if server is not None)[:MAX_SERVERS]


def _server(entry: Any) -> Server | None:
    match entry:
        case [str(name), str(address)] if max(len(name), len(address)) <= _MAX_LENGTH and not problem_of(address):
            return Server(name, without_secrets(address))
        case _:
            return None
