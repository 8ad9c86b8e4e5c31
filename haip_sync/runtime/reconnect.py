"""The reader thread's life: one line after another, until there is to be none (WIRE.md, "Reconnecting").

It alone takes a connection from one line to the next. Whoever else finds that a line is lost (a sender whose write failed, the
heartbeat) notes why and shuts it, which ends the reading here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol

from haip_sync.errors import AuthError, ConfigError, ConnectionClosedError, HAIPError, VersionError
from haip_sync.flow.explain import Offline
from haip_sync.runtime.backoff import Backoff
from haip_sync.runtime.line import Line
from haip_sync.runtime.link import LineEnd, Link
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.settings import Settings

log = logging.getLogger("haip_sync.connection")

_MOST_REFUSALS: Final = 2
"""How often in a row a server may refuse what a function for `auth` returns: the first may have been out of date."""


class Host(Protocol):
    """What is asked of the connection. Without the lock."""

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""

    def new_link(self) -> Link:
        """Return the place of the next line."""

    def begin_line(self, link: Link, line: Line, timeout_s: float) -> bool:
        """Greet the peer on a new line; return False, nothing done, where the connection is over."""

    def break_off(self, how: LineEnd) -> None:
        """Take the connection offline after a line that stood."""

    def leave_line(self, link: Link) -> bool:
        """Let nobody write to a lost line any more, and give it back; return False where the connection is over."""

    def wait_offline(self, offline: Offline, delay_s: float) -> bool:
        """Tell of the next attempt and wait until it is due; return False at once where the connection is over."""

    def trying(self) -> bool:
        """Note that the attempt is under way; return False where the connection is over."""

    def end(self, failure: HAIPError | None, *, code: int | None = None) -> None:
        """Be over, for this reason."""


class Lines:
    """Reads one line after another. `run` is the reader thread's; nothing here is anybody else's."""

    def __init__(
        self,
        host: Host,
        reception: Reception,
        settings: Settings,
        clock: Callable[[], float],
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._host = host
        self._reception = reception
        self._settings = settings
        self._clock = clock
        self._chance: Callable[[], float] = chance or import_module("random").random

    def run(self, link: Link, line: Line, timeout_s: float) -> None:
        """Read `line`, and those that follow it, to the last one's end. `timeout_s`: what each attempt to connect may take."""
        try:
            how = link.read(line, self._reception)
            # Who connects waits until the peer lets us in, and is told why it does not.
            goes_on = link.is_admitted and self._goes_on(link, how)
            while goes_on:
                self._host.break_off(how)
                if not self._host.leave_line(link):
                    break  # closed meanwhile: `close` waits to hear that this line is over
                found = self._connect_again(how, timeout_s)
                if found is None:
                    break  # closed meanwhile, or at its end: to say so twice is to say it once
                link, how = found
                goes_on = self._goes_on(link, how)
        except BaseException as exc:  # SystemExit too, from a function for `auth`: nobody else would tell of the end
            log.exception("the reader failed")
            how = LineEnd(ConnectionClosedError(f"the connection was ended by an error in haip_sync: {exc!r}"))
        self._end(how.failure, how.code)

    def _goes_on(self, link: Link, how: LineEnd) -> bool:
        return self._settings.reconnect.enabled and link.is_greeted and how.may_mend and not self._host.is_closing

    def _connect_again(self, lost: LineEnd, timeout_s: float) -> tuple[Link, LineEnd] | None:
        """Try until a line stands; return it once it has ended, and how. None: the connection is over."""
        backoff, since_s = Backoff(self._settings.reconnect, self._chance), self._clock()
        last, refusals = lost, 0
        while (delay_s := backoff.next_delay_s()) is not None:
            failed = "" if last is lost else _in_short(last.failure)
            due_s = self._clock() + delay_s
            if not self._host.wait_offline(Offline(since_s, str(lost.failure), backoff.attempts, due_s, failed), delay_s):
                return None
            link = self._host.new_link()
            last = self._try(link, timeout_s)
            if link.is_greeted and not isinstance(last.failure, AuthError):
                return link, last
            if link.is_greeted and not self._leave_refused(link, last):
                return None
            refusals = refusals + 1 if isinstance(last.failure, AuthError) else 0
            if not last.may_mend or (refusals and not self._may_ask_again(refusals)):
                break
        self._end(_given_up(lost.failure, last.failure, backoff.attempts))
        return None

    def _leave_refused(self, link: Link, how: LineEnd) -> bool:
        """Be offline again where the peer refused us behind its HAI; return False where the connection is over."""
        self._host.break_off(how)
        return self._host.leave_line(link)

    def _end(self, failure: HAIPError, code: int | None = None) -> None:
        """Have the connection end; what was held for want of what will not come any more is handed out before."""
        try:
            self._reception.let_out()
        finally:
            self._host.end(failure, code=code)

    def _may_ask_again(self, refusals: int) -> bool:
        return callable(self._settings.route.auth) and refusals < _MOST_REFUSALS

    def _try(self, link: Link, timeout_s: float) -> LineEnd:
        """Make one attempt; return how it failed or, where the line came to stand, how that ended."""
        if not self._host.trying():
            return LineEnd(ConnectionClosedError("the client was closed"), may_mend=False)
        try:
            line = link.open(timeout_s)
        except HAIPError as exc:
            return LineEnd(exc, may_mend=not isinstance(exc, (ConfigError, VersionError)))
        if not self._host.begin_line(link, line, timeout_s):
            line.shut()
            line.release()
            return LineEnd(ConnectionClosedError("the client was closed"), may_mend=False)
        how = link.read(line, self._reception)
        if not link.is_greeted:
            self._host.leave_line(link)
        return how


def _in_short(failure: HAIPError) -> str:
    """Return why an attempt failed, to stand within a sentence: that nothing was sent goes without saying there."""
    text = str(failure).removesuffix("Nothing was sent").rstrip(". ")
    return text.rpartition(". ")[0] if text.endswith("?") else text  # a question to the reader comes at a sentence's end only


def _given_up(lost: HAIPError, last: HAIPError, attempts: int) -> HAIPError:
    """Return what everybody is told: why the line broke, and how the attempts went."""
    if not attempts:
        return lost
    tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    failure = ConnectionClosedError(f"{lost}; {tried} to connect again failed, the last one so: {_in_short(last)}")
    failure.__cause__ = lost
    return failure
