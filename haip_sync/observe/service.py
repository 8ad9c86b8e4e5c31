"""The thread that offers a process's clients to monitors: one loop over non-blocking sockets, for all clients and all monitors.

Nothing that a monitor does or leaves undone holds up the script or another monitor: every buffer, every number of connections
and every wait for a monitor has a bound. While nobody is attached the loop wakes once a second, for the ring's samples.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from haip_sync.observe import rendezvous
from haip_sync.observe.carried import encoded_snapshot
from haip_sync.observe.guests import Guests
from haip_sync.observe.messages import VERSION, ClientSummary, Roster, Welcome, encoded
from haip_sync.observe.offer import Offer
from haip_sync.observe.peers import PeerOf, peer_of
from haip_sync.observe.program import this_program
from haip_sync.observe.visitor import event_frames

logger = logging.getLogger("haip_sync.observe")

ROUND_S: Final = 0.05
"""How often those who are attached hear of what happened."""
LONGEST_ROUND_S: Final = 0.1
"""How often where a round is dear: a busy script, whose caches the round finds cold, or many monitors."""
_ROUND_SHARE: Final = 0.0025
"""The share of the time that rounds may take before they come less often."""
SAMPLE_S: Final = 1.0
"""How often every client is looked at, whether somebody is attached or not."""
_SAMPLE_SHARE: Final = 0.01
"""The share of the time that this may take at most: a thousand clients are looked at less often."""
_LAST_WORDS_S: Final = 0.2
"""How long those who are attached may take to read that the last client is closed."""


def round_for(cost_s: float) -> float:
    """Return how long to wait for the next round where the last has taken this much of the thread's time."""
    return min(LONGEST_ROUND_S, max(ROUND_S, cost_s / _ROUND_SHARE))


class Service:
    """Runs from the first client that is offered to the last that is withdrawn.

    `retire` is asked, on the service's thread, whether it may end now that no client is left.
    """

    def __init__(self, places: list[Path], *, retire: Callable[[Service], bool], peer_of: PeerOf = peer_of) -> None:
        self._places = places
        self._retire = retire
        self._program = this_program()
        self._offers: dict[str, Offer] = {}
        # Calls to make on this thread, from any thread: appending and popping are single steps of the interpreter.
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._ear, self._mouth = socket.socketpair()
        self._listener: socket.socket | None = None
        self.path: Path | None = None
        """The socket; None before the thread runs, and once it has ended."""
        for end in (self._ear, self._mouth):
            end.settimeout(0.0)
        self._selector.register(self._ear, selectors.EVENT_READ, self._on_wake)
        self._guests = Guests(self._selector, self._offers, welcome=self._welcome, later=self.call_soon, peer_of=peer_of)
        self._next_sample_s = self._next_round_s = 0.0
        self._round_s = ROUND_S
        self.has_ended = False
        self._thread = threading.Thread(target=self._run, name="haip-observe", daemon=True)

    # ---- From any thread ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Idempotent: an interrupt may have come between its making and its start."""
        if self._thread.ident is None:
            self._thread.start()

    def add(self, offer: Offer) -> None:
        """Offer a client. Never waits."""
        self.call_soon(partial(self._add, offer))

    def withdraw(self, offer: Offer) -> None:
        """Offer it no longer. Never waits; idempotent."""
        self.call_soon(partial(self._withdraw, offer))

    def call_soon(self, call: Callable[[], None]) -> None:
        """Have `call` made on the service's thread. Never waits."""
        self._calls.append(call)
        try:
            self._mouth.send(b"\0")
        except OSError:  # full: the thread is being woken; closed: it has ended
            return

    def has_calls(self) -> bool:
        """Return whether a call waits."""
        return bool(self._calls)

    def abandon(self) -> None:
        """Close all of its files in a forked child, where the thread does not run, and which shares them with the parent."""
        # Unregistering would change what the parent's selector watches: the two are one.
        self._selector.close()
        self._guests.abandon()
        for sock in (self._ear, self._mouth, self._listener):
            if sock is not None:
                sock.close()

    def remove_path(self) -> None:
        """Remove the socket, as this process ends."""
        if self.path is not None:
            rendezvous.remove(self.path)

    # ---- The thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._listener, self.path = rendezvous.listen(self._places)
            self._selector.register(self._listener, selectors.EVENT_READ, self._on_knock)
        except rendezvous.NoRendezvousError as exc:
            logger.warning("no monitor can attach to this process: %s", exc)
        try:
            while self._offers or self.has_calls() or not self._retire(self):
                self._round()
            self._say_goodbye()
        except Exception:  # whatever it is, it must not be the script's trouble
            logger.exception("no monitor can attach to this process any more")
        finally:
            self.has_ended = True
            self._close()

    def _round(self) -> None:
        now_s = time.monotonic()
        for key, mask in self._selector.select(self._pause_s(now_s)):
            key.data(mask, time.monotonic())
        while self._calls:
            self._calls.popleft()()
        now_s = time.monotonic()
        if now_s >= self._next_sample_s:
            begin_s = time.thread_time()
            self._sample(now_s)
            self._next_sample_s = now_s + max(SAMPLE_S, (time.thread_time() - begin_s) / _SAMPLE_SHARE)
        if now_s >= self._next_round_s:
            begin_s = time.thread_time()
            for offer in self._offers.values():
                self._report(offer, now_s)
            self._round_s = round_for(time.thread_time() - begin_s)
            self._next_round_s = now_s + self._round_s
        self._guests.keep(now_s)

    def _pause_s(self, now_s: float) -> float:
        pauses = [self._next_sample_s - now_s]
        if any(visitor.attachments for visitor in self._guests.greeted()):
            pauses.append(self._next_round_s - now_s)
        if (beat_s := self._guests.pause_s()) is not None:
            pauses.append(beat_s)
        return max(0.0, min(pauses))

    def _on_wake(self, mask: int, now_s: float) -> None:
        del mask, now_s
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            return

    def _on_knock(self, mask: int, now_s: float) -> None:
        del mask
        if self._listener is None:
            return
        try:
            self._guests.accept(self._listener, now_s)
        except OSError as exc:  # no more files: until the next sample nobody is let in, rather than asking without a pause
            logger.warning("a monitor could not be let in: %s", exc)
            self._selector.unregister(self._listener)

    # ---- Clients --------------------------------------------------------------------------------------------------------------

    def _add(self, offer: Offer) -> None:
        if offer in self._offers.values():
            return
        name, number = offer.name, 1
        while offer.name in self._offers:
            number += 1
            offer.name = f"{name} ({number})"
        self._offers[offer.name] = offer
        self._next_sample_s = 0.0

    def _withdraw(self, offer: Offer) -> None:
        if self._offers.get(offer.name) is not offer:
            return
        self._report(offer, time.monotonic(), last=True)
        offer.feed.leave()
        del self._offers[offer.name]
        for visitor, _ in self._guests.attached(offer.name):
            del visitor.attachments[offer.name]
        self._guests.say_to_all(encoded(Roster(clients=self._summaries())), time.monotonic())

    def _sample(self, now_s: float) -> None:
        for offer in list(self._offers.values()):
            if offer.client is None:  # let go of without having been closed
                self._withdraw(offer)
            elif offer.look(now_s) is not None and offer.state is not None:
                offer.ring.add(now_s, offer.state)
        if self._guests.greeted():
            self._guests.say_to_all(encoded(Roster(clients=self._summaries())), now_s)
        if self._listener is not None and self._listener not in self._selector.get_map():
            self._selector.register(self._listener, selectors.EVENT_READ, self._on_knock)

    def _summaries(self) -> tuple[ClientSummary, ...]:
        return tuple(offer.summary() for offer in self._offers.values())

    def _welcome(self) -> Welcome:
        return Welcome(
            version=VERSION,
            pid=self._program.pid,
            name=self._program.name,
            script=self._program.script,
            since_s=self._program.since_s,
            now_s=time.monotonic(),
            clients=self._summaries(),
        )

    # ---- Reports --------------------------------------------------------------------------------------------------------------

    def _report(self, offer: Offer, now_s: float, *, last: bool = False) -> None:
        """Tell those who watch a client what has happened; each message is encoded once for all of them."""
        watching = self._guests.attached(offer.name)
        if not watching:
            return
        batch = offer.feed.take(self._round_s / ROUND_S)
        client = offer.client
        if client is not None and not last:
            offer.feed.spare(client, batch, now_s)
        state = offer.look(now_s, at_any_cost=last)
        snapshot = None if state is None else encoded_snapshot(offer.name, now_s, state)
        frames: dict[bool, list[bytes]] = {}
        for visitor, attachment in watching:
            if visitor.is_full and not last:  # whose last words it will read, or nobody will
                attachment.hold(batch)
                continue
            every = attachment.every_event
            if every not in frames:
                frames[every] = event_frames(offer.name, batch, every_event=every)
            held = attachment.held()
            for body in (held, *frames[every], snapshot):
                if body is not None:
                    visitor.say(body, now_s)
            self._guests.flush(visitor)

    # ---- The end --------------------------------------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        """Let those who are attached read the last words, for a moment."""
        if self._listener is not None:
            self._selector.unregister(self._listener)
        deadline_s = time.monotonic() + _LAST_WORDS_S
        while any(visitor.has_unsent for visitor in self._guests.greeted()) and (now_s := time.monotonic()) < deadline_s:
            for key, mask in self._selector.select(deadline_s - now_s):
                key.data(mask, time.monotonic())

    def _close(self) -> None:
        self.remove_path()
        self.path = None
        self._guests.dismiss()
        self._selector.close()
        for sock in (self._ear, self._mouth, self._listener):
            if sock is not None:
                sock.close()
