"""What a monitor has heard of one running program: who it is, how it stands, and what was told of each client. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import msgspec

from haip_sync.errors import AttachError
from haip_sync.observe import rendezvous
from haip_sync.observe.listing import ProgramInfo, info_of, welcome_of
from haip_sync.observe.messages import Attach, ClientSummary, FromProgram, Happened, Past, Sample, Snapshot
from haip_sync.observe.watched import Offset, Taken, Watched
from haip_sync.state import ConnectionState

SILENT_S: Final = 0.7
"""After so long without a word the program counts as silent: it beats every 0.3 s when there is nothing else to say, and who
watches should hear of it within a second."""
_NOTHING: Final = Taken((), 0)


class Heard:
    """Written by the link's thread, read by any."""

    def __init__(self, info: ProgramInfo) -> None:
        # Guards everything here; held for bookkeeping only.
        self._lock = threading.Lock()
        self._info = info
        self._trouble: str | None = None
        self._silent_s: float | None = None
        self._has_ended = False
        self._is_welcome = False
        self._at_the_door: int | None = None
        self._offset = Offset()
        self._watched: dict[str, Watched] = {}

    # ---- The program ----------------------------------------------------------------------------------------------------------

    @property
    def program(self) -> ProgramInfo:
        """The program as it was last heard of, its trouble included."""
        with self._lock:
            return msgspec.structs.replace(self._info, trouble=self._trouble)

    @property
    def silent_s(self) -> float | None:
        """For how long the program has said nothing, where that is too long; None: it speaks, or has ended."""
        with self._lock:
            return self._silent_s

    @property
    def is_forwarded(self) -> bool:
        """Whether another process than the program itself holds the other end of our socket: SSH's, for instance."""
        with self._lock:
            return self._is_forwarded()

    def _is_forwarded(self) -> bool:
        return self._info.since_s is not None and self._at_the_door not in {None, self._info.pid}

    def note_who_opened(self, pid: int | None) -> None:
        """Take in which process holds the other end of our socket; None: the system does not tell."""
        with self._lock:
            self._at_the_door = pid

    @property
    def is_welcome(self) -> bool:
        """Whether the program has answered the greeting."""
        with self._lock:
            return self._is_welcome

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        with self._lock:
            return self._has_ended

    def welcome(self, said: FromProgram, now_s: float) -> None:
        """Take in the program's first message. Raises `AttachError` where that is no welcome."""
        welcome = welcome_of(said)
        with self._lock:
            self._offset.learn(welcome.now_s, now_s)
            self._info = info_of(self._info.path, welcome)
            self._is_welcome = True

    def meet(self, clients: tuple[ClientSummary, ...]) -> None:
        """Take in what clients there are."""
        with self._lock:
            self._info = msgspec.structs.replace(self._info, clients=clients)

    def listen_for_silence(self, silent_s: float) -> None:
        """Note for how long nothing was heard, and that the program goes on where that is not long."""
        with self._lock:
            self._trouble = self._silent_s = None
            if silent_s > SILENT_S:
                self._silent_s = silent_s
                self._trouble = f"{self._name()} has not answered for {silent_s:.1f} s: is it stopped?"

    def farewell(self) -> str:
        """Return what it means that the program has closed the connection without a word.

        One that has answered before, to a list or to an earlier link, is named even where it has not answered this time.
        """
        with self._lock:
            if self._info.since_s is None:
                return "the script has ended"
            name = self._name()
            if self._is_forwarded():
                return (
                    f"the connection to {name} has ended: the script has, or what forwards its socket (pid {self._at_the_door})"
                )
            return f"{name} {'has ended' if self._info.clients else 'has closed its last client'}"

    def unreached(self, error: AttachError) -> str:
        """Return what it means that the program could not be greeted.

        Where it has answered before, and the socket is its own, that is said in the words of `farewell`: whether the socket of a
        dead program is still there depends on who has listed programs meanwhile.
        """
        with self._lock:
            name, pid, cause = self._name(), self._info.pid, error.__cause__
            is_known = self._info.since_s is not None and pid is not None and rendezvous.pid_of(self._info.path) == pid
        if is_known and isinstance(cause, ConnectionRefusedError):
            return self.farewell()
        if is_known and isinstance(cause, FileNotFoundError):
            return f"{name} offers no client any more" if rendezvous.lives(pid) else self.farewell()
        return str(error)

    def _name(self) -> str:
        """Return what to call the program. Requires the lock."""
        return f"{self._info.name} (pid {self._info.pid})"

    def end(self, why: str) -> bool:
        """Note that nothing more will come; False: that was known."""
        with self._lock:
            if self._has_ended:
                return False
            self._has_ended, self._trouble, self._silent_s = True, why, None
            return True

    # ---- Clients --------------------------------------------------------------------------------------------------------------

    def watch(self, client: str, *, every_event: bool) -> bool:
        """Keep what is told of a client; False: that is done already."""
        with self._lock:
            known = self._watched.get(client)
            if known is None:
                self._watched[client] = Watched(every_event=every_event)
                return True
            changes, known.every_event = known.every_event != every_event, every_event
            return changes

    def unwatch(self, client: str) -> bool:
        """Forget a client; False: it was not kept."""
        with self._lock:
            return self._watched.pop(client, None) is not None

    def wishes(self) -> list[Attach]:
        """Return what to ask the program for."""
        with self._lock:
            return [Attach(client=client, every_event=watched.every_event) for client, watched in self._watched.items()]

    def take_in(self, said: Snapshot | Happened | Past, now_s: float) -> None:
        """Keep what the program tells of a client, if it was asked for."""
        with self._lock:
            if not isinstance(said, Happened):
                self._offset.learn(said.now_s, now_s)
            watched = self._watched.get(said.client)
            if watched is not None:
                watched.take_in(said, self._offset)

    def state(self, client: str) -> tuple[ConnectionState | None, float | None]:
        """Return the last snapshot of a client, and when it was taken."""
        with self._lock:
            watched = self._watched.get(client)
            return (None, None) if watched is None else (watched.state, watched.state_s)

    def drain(self, client: str, limit: int) -> Taken:
        """Take at most `limit` events of a client."""
        with self._lock:
            watched = self._watched.get(client)
            return _NOTHING if watched is None else watched.drain(limit)

    def take_past(self, client: str) -> Sequence[Sample]:
        """Take what the program remembered of a client."""
        with self._lock:
            watched = self._watched.get(client)
            return () if watched is None else watched.take_past()
