"""The source that stands for one client of a script that runs in another process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from haip_sync import AttachError, ConnectionState, Disconnected
from haip_sync.observe import (
    Answer,
    ClearQueue,
    ClientSummary,
    Command,
    PauseChannel,
    ProgramInfo,
    ProgramLink,
    RequestCredits,
    ResumeChannel,
    SendTestMessage,
    UseStrategy,
    on_one_line,
)
from monitor_app.model.absence import DETACHED, absence_of, refusal_of, sentence, told_of
from monitor_app.model.failures import NOT_CONNECTED_YET, failure_of_loss
from monitor_app.model.remembered import states_of
from monitor_app.model.source import Drained, Failure, Notice, QueuedMessage

MONITOR: Final = "haip-monitor"
"""What the script's log calls us."""
_TIME: Final = attrgetter("time_s")
LinkFactory = Callable[[ProgramInfo | Path], ProgramLink]


def open_link(target: ProgramInfo | Path) -> ProgramLink:
    """Return a link of the monitor's, not yet started."""
    return ProgramLink(target, monitor=MONITOR)


class AttachedSource:
    """Shows one client of a running program over a link of its own, so that several may be shown at once.

    Everything is called by the GUI thread and returns at once, but `_on_answer`, which runs on the link's thread and hands over
    by appending to `_notices`. A program that ends leaves its last known values, shown as offline, or as silent
    where it has only stopped answering.
    """

    def __init__(self, target: ProgramInfo | Path, client: str, *, factory: LinkFactory = open_link) -> None:
        self._client = client
        self._notices: deque[Notice] = deque()
        self._goodbye: Disconnected | None = None
        self._line: ClientSummary | None = None
        self._closed = False
        self._told = ""
        self._detached_s: float | None = None
        self._factory = factory
        self._link = self._opened(target)

    def _opened(self, target: ProgramInfo | Path) -> ProgramLink:
        link = self._factory(target)
        link.attach(self._client)
        link.start()
        return link

    # ---- What is shown --------------------------------------------------------------------------------------------------------

    @property
    def program(self) -> ProgramInfo:
        """The program as it was last heard of."""
        return self._link.program

    @property
    def steering_refused(self) -> str | None:
        """Why commands are refused, in one sentence; None where the script lets a monitor steer this client."""
        absence = self._absence()
        if absence is not None:
            return refusal_of(absence)
        if self.may_steer:
            return None
        name = on_one_line(self._link.program.name)
        return f'{name} lets monitors look only; HAIP_SYNC_MONITOR=steer, or monitor="steer" in its code, would let them steer.'

    @property
    def may_steer(self) -> bool:
        """Whether the script lets a monitor steer this client; commands are refused otherwise."""
        line = self._summary()
        return line is not None and line.may_steer

    @property
    def name(self) -> str:
        """What the window is called."""
        program = self._link.program
        return on_one_line(f"{self._client} in {program.name} ({program.pid})")

    @property
    def address(self) -> str:
        """Scheme, host and port of the client's server; never a token."""
        line = self._summary()
        return "" if line is None else on_one_line(line.address)

    @property
    def connecting(self) -> bool:
        """Whether the program has yet to answer, or its client to connect for the first time."""
        if self._link.trouble is not None:
            return False
        state = self._link.snapshot(self._client)
        return not self._is_withdrawn() if state is None else state.phase == "connecting"

    @property
    def failure(self) -> Failure | None:
        """Why nothing new is seen, or the script has no connection; None while all is well, or an attempt is under way."""
        absence = self._absence()
        if absence is None:
            return self._failure_of(self._link.snapshot(self._client))
        words = [absence.text, absence.advice, "What is shown are the last known values."]
        return replace(absence, text=" ".join(word for word in words if word), advice="")

    @property
    def silent_s(self) -> float | None:
        """For how many seconds nothing was heard, the program being stopped or detached from; None: it answers, or has ended."""
        return self._link.silent_s if self._detached_s is None else time.monotonic() - self._detached_s

    @property
    def can_detach(self) -> bool:
        """Whether the program is attached to, and there."""
        return not self._link.has_ended

    @property
    def can_attach_again(self) -> bool:
        """Whether the program was detached from."""
        return self._detached_s is not None and not self._closed

    @property
    def can_reconnect(self) -> bool:
        """Whether the monitor opens its clients itself: the script does."""
        return False

    def snapshot(self) -> ConnectionState | None:
        """Return the client as the program last told it, not connected while nothing is heard; None before it told anything."""
        state = self._link.snapshot(self._client)
        if state is not None and state.connected and (self._link.trouble is not None or self._is_withdrawn()):
            return msgspec.structs.replace(state, connected=False)
        return state

    def drain(self, limit: int) -> Drained:
        """Take at most `limit` events. A script's threads hand theirs over in turn: by a millisecond some are out of order."""
        taken = self._link.drain(self._client, limit)
        events = sorted(taken.events, key=_TIME)
        for event in events:
            if isinstance(event, Disconnected):
                self._goodbye = event
        return Drained(events=events, dropped=taken.dropped, oldest_s=events[0].time_s if events else None)

    def take_past(self) -> Sequence[tuple[float, ConnectionState]]:
        """Take what the program remembered as we attached: a moment a second, oldest first, in seconds on our monotonic clock.

        Once; nothing before the first snapshot. What it does not remember (caps, peaks, what came from the peer) is as it is now.
        """
        state = self._link.snapshot(self._client)
        if state is None:
            return ()
        return states_of(self._link.take_past(self._client), state)

    def take_notices(self) -> Sequence[Notice]:
        """Take the results of commands that have ended since the last call, and what became of the program."""
        self._note_absence()
        taken: list[Notice] = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    # ---- What is done ---------------------------------------------------------------------------------------------------------

    def connect_to(self, url: str, token: str | None) -> None:
        """Refuse: the script's client has its address from the script."""
        del url, token
        self.reconnect()

    def reconnect(self) -> None:
        """Refuse: the script connects its client itself."""
        self._note(None, "connect", "The script opens this connection itself.", ok=False)

    def cancel_connect(self) -> None:
        """Do nothing: the script connects its client, and `detach` leaves it."""

    def detach(self) -> None:
        """Leave the program alone, and go on showing what was seen last. Bounded."""
        if self.can_detach:
            self._detached_s = time.monotonic()
            self._link.close()

    def attach_again(self) -> None:
        """Look at the program again, after it was detached from."""
        if self.can_attach_again:
            self._detached_s = None
            self._link = self._opened(msgspec.structs.replace(self._link.program, trouble=None))

    def pause(self, channel: str, reason: str | None) -> None:
        """Have the script pause `channel`."""
        self._command("pause", channel, PauseChannel(channel=channel, reason=reason))

    def resume(self, channel: str) -> None:
        """Have the script resume `channel`."""
        self._command("resume", channel, ResumeChannel(channel=channel))

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Have the script ask its peer for credit."""
        self._command("request", channel, RequestCredits(channel=channel, messages=messages, byte_credits=byte_credits))

    def send_test_message(self, channel: str, text: str) -> None:
        """Have the script send `text`, waiting in line for a second at most."""
        self._command("test message", channel, SendTestMessage(channel=channel, text=text))

    def clear_queue(self, channel: str, reason: str | None = None) -> None:
        """Have the script take back what is queued on `channel`."""
        self._command("clear queue", channel, ClearQueue(channel=channel, reason=reason))

    def use_strategy(self, strategy: str, settings: Mapping[str, int | float | str | None], reason: str | None = None) -> None:
        """Have the script ask for credit by one of the library's strategies, with these settings."""
        self._command("strategy", None, UseStrategy(strategy=strategy, settings=dict(settings), reason=reason))

    def queued(self, channel: str) -> Sequence[QueuedMessage]:
        """Return none: a script tells how much it has queued, and not which messages."""
        del channel
        return ()

    def watch_messages(self, *, wanted: bool) -> bool:
        """Refuse: what messages hold never leaves the script."""
        if wanted:
            self._note(None, "messages", "What messages hold never leaves the script.", ok=False)
        return False

    def close(self) -> None:
        """Leave the program alone. Idempotent, bounded."""
        if not self._closed:
            self._closed = True
            self._link.close()

    # ---- How ------------------------------------------------------------------------------------------------------------------

    def _summary(self) -> ClientSummary | None:
        """Return the client's line in the program's list; the last one that there was."""
        self._line = next((line for line in self._link.clients() if line.name == self._client), self._line)
        return self._line

    def _absence(self) -> Failure | None:
        """Return why nothing is heard of the client; None while something is."""
        is_detached = self._detached_s is not None
        return absence_of(self._link, self._client, is_detached=is_detached, is_withdrawn=self._is_withdrawn())

    def _note_absence(self) -> None:
        """Note for the log that the program fell silent, ended, was left, or is heard again."""
        absence = self._absence()
        title = "" if absence is None else absence.title
        if absence is None and self._told == DETACHED and self._link.snapshot(self._client) is None:
            return  # whether it answers again is not known yet: it may have ended meanwhile
        if title != self._told:
            before, self._told = self._told, title
            ok = absence is None or title == DETACHED
            self._note(None, "script", told_of(absence, before, on_one_line(self._link.program.name)), ok=ok)

    def _failure_of(self, state: ConnectionState | None) -> Failure | None:
        if state is None or state.phase in {"connecting", "open", "offline"}:  # whoever is offline means to come back
            return None
        if state.phase == "new":
            return NOT_CONNECTED_YET
        return failure_of_loss(self.address, state.last_error, self._goodbye, of_script=True)

    def _is_withdrawn(self) -> bool:
        program = self._link.program
        answered = program.since_s is not None and program.trouble is None
        return answered and all(line.name != self._client for line in program.clients)

    def _command(self, action: str, channel: str | None, command: Command) -> None:
        try:
            future = self._link.ask(command, self._client)
        except AttachError as error:
            self._note(channel, action, str(error), ok=False)
            return
        future.add_done_callback(partial(self._on_answer, channel, action))

    def _on_answer(self, channel: str | None, action: str, future: Future[Answer]) -> None:
        """Note what came of a command. Runs on the link's thread, or at once where the program is gone."""
        error = future.exception()
        if error is not None:
            self._note(channel, action, on_one_line(sentence(str(error))), ok=False)
        else:
            self._note(channel, action, on_one_line(sentence(future.result().text)), ok=future.result().ok)

    def _note(self, channel: str | None, action: str, result: str, *, ok: bool) -> None:
        self._notices.append(Notice(time_s=time.monotonic(), channel=channel, action=action, result=result, ok=ok))
