"""Which frames belong to a live handle: they go there, and not to the inbox.

A caller who waits in `ToolCall.result()` need not call `receive()`: what a tool call or a run is told counts as taken when it
arrives, so that no window runs full of what nobody empties. A text's frames are taken by whoever reads the text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from haip_sync.errors import HAIPError, ProtocolError
from haip_sync.events import Message
from haip_sync.protocol.dialects import DIALECTS
from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.names import RUN_CANCEL, RUN_ERROR, RUN_FINISHED, TOOL_DONE, TOOL_UPDATE
from haip_sync.protocol.payloads import PeerError
from haip_sync.protocol.unread import text_member

MOST_OPEN: Final = 10_000
"""Tool calls, runs and pings of one connection that may be open together: a peer that never answers costs bounded memory."""

_TEXT_TYPES: Final = tuple(name for dialect in DIALECTS for name in (dialect.start, dialect.part, dialect.end))


_LAST_WORDS: Final = frozenset({TOOL_DONE, RUN_FINISHED, RUN_ERROR})


class Route(Protocol):
    """Where a frame goes. Every method requires the lock."""

    takes_at_once: bool
    """Whether a frame counts as taken when it arrives."""

    def arrive(self, message: Message) -> None:
        """Take a frame in. Never blocks."""


class Handle(Route, Protocol):
    """What somebody holds of something that is under way. Every method requires the lock."""

    frame_id: str
    """The id of the frame that begins it."""

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody holds it any more, so that it gives up its place to the next that needs one."""

    @property
    def key(self) -> str:
        """Its kind, a space, and what the peer's frames name it by."""

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about the frame that began it; `for_credit`: it was refused for want of credit."""

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""


@runtime_checkable
class Pinger(Protocol):
    """A handle that waits for a PONG."""

    def answered(self, now_s: float) -> float:
        """Note the PONG; return the round trip in seconds."""


@runtime_checkable
class Ending(Protocol):
    """A handle that waits for the frame that ends it."""

    def unreadable(self, error: ProtocolError) -> None:
        """Note that it came, and that nobody can read how it ended."""


@runtime_checkable
class Doubter(Protocol):
    """A handle that may be waited for in vain, and says to whoever has waited why that may be."""

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost, perhaps some of its own."""


class TextRoutes(Protocol):
    """Who takes the frames of texts, if anybody does. Requires the lock."""

    def find(self, envelope: Envelope) -> Route | None:
        """Return where a frame of a text goes; None: to the inbox."""

    def break_off(self, failure: HAIPError) -> None:
        """Note that nothing more comes of the texts that are open; others may begin."""

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost, perhaps some of the texts that are open."""

    def unreadable(self, envelope: Envelope, error: ProtocolError) -> None:
        """Note that PART or END of a text came, and that its reader will not have it."""

    def sweep(self) -> None:
        """Finish the subscriptions whose holders have left them."""

    def lost(self, failure: HAIPError, *, in_good_order: bool) -> None:
        """Note that the connection is over."""


class Routes:
    """The live handles of one connection. Every method requires the lock.

    Attributes:
        texts: Who takes the frames of texts.
    """

    def __init__(self) -> None:
        self.texts: TextRoutes | None = None
        self._handles: dict[str, Handle] = {}
        # By the id of the frame that began it: what an ERROR names.
        self._begun_by: dict[str, Handle] = {}
        # By key: whether the frame that begins it has its place in the write order.
        self._has_begun: dict[str, Callable[[], bool]] = {}
        # Those that somebody waits for who may not have begun; once for each who waits.
        self._awaited: list[Handle] = []

    def add(self, handle: Handle, has_begun: Callable[[], bool]) -> None:
        """Send it the frames that name its key, and the ERROR about its first frame. Raises `ProtocolError` for one too many.

        `has_begun`: whether that frame has its place in the write order; until then no broken line can concern it.
        """
        if len(self._handles) >= MOST_OPEN and not self._make_room():
            text = f"{MOST_OPEN} tool calls, runs and pings are open on this connection already. Nothing was sent"
            raise ProtocolError(text, blame="local")
        self._has_begun[handle.key] = has_begun
        self._handles[handle.key] = handle
        self._begun_by[handle.frame_id] = handle

    def _make_room(self) -> bool:
        """Forget the oldest handle that nobody holds any more; return whether there was one."""
        for handle in self._handles.values():
            if handle.is_abandoned:
                self.forget(handle)
                return True
        return False

    def await_end(self, handle: Handle) -> None:
        """Tell it of the end though it may not have begun, until `await_no_more`."""
        self._awaited.append(handle)

    def await_no_more(self, handle: Handle) -> None:
        """Undo one `await_end`."""
        if handle in self._awaited:
            self._awaited.remove(handle)

    def sweep(self) -> None:
        """Finish what its holders have left."""
        if self.texts is not None:
            self.texts.sweep()

    def forget(self, handle: Handle) -> None:
        """Send it nothing any more. Idempotent."""
        self._handles.pop(handle.key, None)
        self._has_begun.pop(handle.key, None)
        self._begun_by.pop(handle.frame_id, None)

    def count(self, kind: type[Any]) -> int:
        """Return how many handles of this kind are live."""
        return sum(isinstance(handle, kind) for handle in self._handles.values())

    def find(self, envelope: Envelope, *, is_echo: bool) -> Route | None:
        """Return where a data frame goes; None: to the inbox.

        `is_echo`: it is one of our own that came back. The peer says nothing of a run with it; a text it may mean as its answer.
        """
        finder = self._FINDERS.get(envelope.type)
        if finder is None or (is_echo and envelope.type not in _TEXT_TYPES):
            return None
        return finder(self, envelope)

    def answered(self, nonce: object, now_s: float) -> float | None:
        """Hand a PONG to the ping that it answers; return the round trip in seconds, None where nobody waits for it."""
        ping = self._handles.get(f"ping {nonce}")
        return ping.answered(now_s) if isinstance(ping, Pinger) else None

    def _find_call(self, envelope: Envelope) -> Route | None:
        return self._handles.get(f"call {text_member(envelope.payload, 'call_id')}")

    def _find_run(self, envelope: Envelope) -> Route | None:
        return self._handles.get(f"run {text_member(envelope.payload, 'run_id') or envelope.run_id}")

    def _find_text(self, envelope: Envelope) -> Route | None:
        return None if self.texts is None else self.texts.find(envelope)

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Hand an ERROR of the peer's to the handle whose first frame it names, if there is one."""
        handle = self._begun_by.get(error.related_id) if error.related_id is not None else None
        if handle is not None:
            handle.refused(error, for_credit=for_credit)

    def unreadable(self, envelope: Envelope, error: ProtocolError) -> None:
        """Tell whoever waits for a frame that it came and cannot be read, or was dropped: he would wait for ever."""
        if envelope.type in _TEXT_TYPES:
            if self.texts is not None:
                self.texts.unreadable(envelope, error)
        elif envelope.type in _LAST_WORDS:
            handle: object = self._FINDERS[envelope.type](self, envelope)
            if isinstance(handle, Ending):
                handle.unreadable(error)

    def missed(self, what: str) -> None:
        """Tell the texts and calls that are open that frames of the peer's were lost: `what`, in words."""
        for key, handle in self._handles.items():
            if isinstance(handle, Doubter) and self._has_begun[key]():
                handle.missed(what)
        if self.texts is not None:
            self.texts.missed(what)

    def break_off(self, failure: HAIPError) -> None:
        """Tell what waits for a PONG that the line is lost: a PING is never sent again."""
        for handle in tuple(self._handles.values()):
            if isinstance(handle, Pinger):
                handle.lost(failure)
                self.forget(handle)

    def lose(self, failure: HAIPError, anew: Collection[str] = ()) -> None:
        """Tell every handle that has begun that the peer says nothing more of it: the session does not go on.

        `anew`: ids of frames that only the new peer is sent; what begins with one of them begins there.
        """
        for key, handle in tuple(self._handles.items()):
            if self._has_begun[key]() and handle.frame_id not in anew:
                handle.lost(failure)
                self.forget(handle)
        if self.texts is not None:
            self.texts.break_off(failure)

    def end(self, failure: HAIPError, *, in_good_order: bool) -> None:
        """Tell every handle that the connection is over. Twice is once."""
        for handle in (*self._handles.values(), *self._awaited):
            handle.lost(failure)
        self._handles.clear()
        self._has_begun.clear()
        self._begun_by.clear()
        if self.texts is not None:
            self.texts.lost(failure, in_good_order=in_good_order)

    _FINDERS: ClassVar[dict[str, Callable[[Routes, Envelope], Route | None]]] = {
        TOOL_UPDATE: _find_call,
        TOOL_DONE: _find_call,
        RUN_FINISHED: _find_run,
        RUN_CANCEL: _find_run,
        RUN_ERROR: _find_run,
        **dict.fromkeys(_TEXT_TYPES, _find_text),
    }
