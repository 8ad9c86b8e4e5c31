"""Where the frames of a tool call go: to its handle, and to nobody once that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import ref

from haip_sync.errors import HAIPError, ProtocolError
from haip_sync.events import Message
from haip_sync.protocol.names import TOOL_DONE
from haip_sync.protocol.payloads import PeerError


class Call(Protocol):
    """A tool call's handle, as its route sees it. Every method requires the connection's lock."""

    def arrive(self, message: Message) -> None:
        """Take TOOL_UPDATE or TOOL_DONE in."""

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about TOOL_CALL."""

    def unreadable(self, error: ProtocolError) -> None:
        """Note that TOOL_DONE came, and that nobody can read how the call ended."""

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost, perhaps some of its own."""

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""


class CallRoute:
    """Stands among the live handles for a call, and does not keep it alive. Guarded by the connection's lock.

    A peer that never answers would fill every place with calls that nobody waits for. What still comes for an abandoned call is
    taken and dropped, as long as its place is not needed: else it would fill a window that nobody empties.

    Attributes:
        key: What the peer's frames name it by.
        frame_id: The id of its TOOL_CALL frame.
        kept: The call, while it must outlive its holder: callbacks wait for its end.
    """

    takes_at_once = True

    def __init__(self, call: Call, forget: Callable[[CallRoute], None], *, key: str, frame_id: str) -> None:
        self.key = key
        self.frame_id = frame_id
        self.kept: Call | None = None
        self._call = ref(call)
        self._forget = forget

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody holds the call any more."""
        return self._call() is None

    def arrive(self, message: Message) -> None:
        """Take TOOL_UPDATE or TOOL_DONE in."""
        call = self._call()
        if call is not None:
            call.arrive(message)
        elif message.type == TOOL_DONE:
            self._forget(self)

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about TOOL_CALL."""
        call = self._call()
        if call is not None:
            call.refused(error, for_credit=for_credit)
        else:
            self._forget(self)

    def unreadable(self, error: ProtocolError) -> None:
        """Note that TOOL_DONE came, and that nobody can read how the call ended."""
        call = self._call()
        if call is not None:
            call.unreadable(error)
        else:
            self._forget(self)

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost, perhaps some of its own."""
        call = self._call()
        if call is not None:
            call.missed(what)

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""
        call = self._call()
        if call is not None:
            call.lost(failure)
