"""The transactions of one server, which several sessions may share, and what was said in each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haip_sync.testing.outgoing import Draft

if TYPE_CHECKING:
    from haip_sync.testing.transactions import TransactionDesk

MAX_TRANSACTIONS: Final = 1000
"""Open transactions of one server; of more, the oldest one without a member is ended."""
WINDOW_MESSAGES: Final = 1000
"""How many messages of each are kept for who joins later."""


class Said(NamedTuple):
    """One frame in a transaction, as it is sent to whoever takes part."""

    channel: str
    draft: Draft


class Opened(NamedTuple):
    """What somebody who takes part needs to know of a transaction."""

    tool: str
    params: Mapping[str, Any]
    window: tuple[Said, ...]


@dataclass
class _Shared:
    tool: str
    params: Mapping[str, Any]
    members: dict[TransactionDesk, None] = field(default_factory=dict)
    window: deque[Said] = field(default_factory=lambda: deque(maxlen=WINDOW_MESSAGES))


class TransactionBook:
    """The open transactions of one server. Thread-safe; it calls nobody, so a session may use it under its lock."""

    def __init__(self) -> None:
        # Guards everything below. Innermost: no other lock is taken under it.
        self._lock = threading.Lock()
        self._open: dict[str, _Shared] = {}

    def start(self, name: str, tool: str, params: Mapping[str, Any], member: TransactionDesk) -> bool:
        """Open a transaction with its first member; False where there are too many and all have members."""
        with self._lock:
            if len(self._open) >= MAX_TRANSACTIONS:
                idle = next((known for known, shared in self._open.items() if not shared.members), None)
                if idle is None:
                    return False
                del self._open[idle]
            self._open[name] = _Shared(tool, params, {member: None})
            return True

    def join(self, name: str, member: TransactionDesk) -> Opened | None:
        """Take part in a transaction; None where there is none of this name. What is said from here on concerns `member`."""
        with self._lock:
            shared = self._open.get(name)
            if shared is None:
                return None
            shared.members[member] = None
            return Opened(shared.tool, shared.params, tuple(shared.window))

    def say(self, name: str, said: Said, *, keep: bool) -> tuple[TransactionDesk, ...]:
        """Note what was said, kept for who joins later or not, and return who takes part."""
        with self._lock:
            shared = self._open.get(name)
            if shared is None:
                return ()
            if keep:
                shared.window.append(said)
            return tuple(shared.members)

    def end(self, name: str) -> tuple[TransactionDesk, ...]:
        """End a transaction and return who took part."""
        with self._lock:
            shared = self._open.pop(name, None)
            return () if shared is None else tuple(shared.members)

    def leave(self, member: TransactionDesk) -> None:
        """Forget a member whose session is over. Its transactions stay open, for it may come back and join them."""
        with self._lock:
            for shared in self._open.values():
                shared.members.pop(member, None)
