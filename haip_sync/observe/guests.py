"""All monitors of a program: who is let in, what each asks, who has to go. For the service's thread only."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from haip_sync.observe.attendance import note_coming, note_going, note_silence
from haip_sync.observe.carried import encoded_answer
from haip_sync.observe.errands import Errands
from haip_sync.observe.messages import (
    VERSION,
    Answer,
    Ask,
    Attach,
    Beat,
    Detach,
    FromMonitor,
    Greeting,
    MalformedError,
    Past,
    Refusal,
    Welcome,
    encoded,
    from_monitor,
)
from haip_sync.observe.offer import Offer
from haip_sync.observe.peers import PeerOf, stranger
from haip_sync.observe.visitor import MOST_MESSAGES_A_SECOND, Attachment, Visitor
from haip_sync.one_line import on_one_line

logger = logging.getLogger("haip_sync.observe")

MOST_VISITORS: Final = 32
GREETING_S: Final = 2.0
"""How long a connection may say nothing at first."""
SILENT_S: Final = 60.0
"""How long a monitor may say nothing later: it beats several times a second, but may be stopped for a while."""
BEAT_S: Final = 0.3
LEAVING_S: Final = 0.5
"""How long a connection that is to end may take to read why."""
_KEEP_S: Final = 0.15
"""Often enough to say within a second that a monitor has fallen silent."""
_STOPPED_S: Final = 1.5
"""Longer than any pause between two calls of `keep`."""
_MOST_ACCEPTED_A_ROUND: Final = 8
"""Few: before the next are let in these may speak, or be seen to have left again."""
_LEFT: Final = "it has ended, or left"


class Guests:
    """The connections, by the selector that watches them.

    `offers`: the clients by name. `welcome`: what a monitor is told first. `later`: has a call made on this thread, from any.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        offers: dict[str, Offer],
        *,
        welcome: Callable[[], Welcome],
        later: Callable[[Callable[[], None]], None],
        peer_of: PeerOf,
    ) -> None:
        self._selector = selector
        self._offers = offers
        self._welcome = welcome
        self._peer_of = peer_of
        self._errands = Errands(later=later, done=self._answer)
        self._visitors: list[Visitor] = []
        self._kept_s = 0.0

    def greeted(self) -> list[Visitor]:
        """Return those who have said who they are, and are not about to go."""
        return [visitor for visitor in self._visitors if visitor.monitor and visitor.leaving_s is None]

    def attached(self, client: str) -> list[tuple[Visitor, Attachment]]:
        """Return who watches a client."""
        return [(visitor, visitor.attachments[client]) for visitor in self.greeted() if client in visitor.attachments]

    # ---- Coming ---------------------------------------------------------------------------------------------------------------

    def accept(self, listener: socket.socket, now_s: float) -> None:
        """Let in who stands before the door. Raises `OSError` where this process can open no more files."""
        for _ in range(_MOST_ACCEPTED_A_ROUND):
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            sock.settimeout(0.0)
            self._let_in(sock, now_s)

    def _let_in(self, sock: socket.socket, now_s: float) -> None:
        try:
            peer = self._peer_of(sock)
        except OSError:
            sock.close()
            return
        visitor = Visitor(sock, peer, now_s)
        self._visitors.append(visitor)
        self._selector.register(sock, selectors.EVENT_READ, partial(self._serve, visitor))
        visitor.interest = selectors.EVENT_READ
        why = stranger(peer)
        if why is not None:
            logger.warning("a monitor was turned away: %s", why)
            self._refuse(visitor, f"this script lets no stranger in: {why}", now_s)
        elif len(self._visitors) > MOST_VISITORS:
            self._make_room(visitor, now_s)

    def _make_room(self, newcomer: Visitor, now_s: float) -> None:
        """Send away who has stood longest without a word; where all have spoken, the newcomer."""
        silent = next((visitor for visitor in self._visitors if not visitor.monitor and visitor is not newcomer), None)
        if silent is not None:
            self._drop(silent, "it said nothing, and others want to come in")
        else:
            self._refuse(newcomer, f"{MOST_VISITORS} monitors are attached already: close one", now_s)

    # ---- Listening ------------------------------------------------------------------------------------------------------------

    def _serve(self, visitor: Visitor, mask: int, now_s: float) -> None:
        """Read and write what can be, and do what is asked. A connection that breaks, or talks nonsense, harms no other."""
        if visitor not in self._visitors:  # sent away a moment ago, in the same round
            return
        try:
            if mask & selectors.EVENT_WRITE:
                visitor.write()
            if mask & selectors.EVENT_READ and visitor.leaving_s is None and not visitor.read(now_s):
                self._drop(visitor, _LEFT)
                return
            self._hear(visitor, now_s)
        except OSError as exc:
            self._drop(visitor, _broken(exc))
        except MalformedError as exc:
            logger.info("process %s said %s", visitor.peer.pid, on_one_line(str(exc)))
            self._refuse(visitor, f"it cannot be understood: {exc}", now_s)
        except Exception:  # a fault of ours: it must cost this monitor, not all of them
            logger.exception("a monitor could not be served")
            self._drop(visitor, "it could not be served")
        else:
            self.flush(visitor)

    def _hear(self, visitor: Visitor, now_s: float) -> None:
        while visitor.leaving_s is None and not visitor.is_full and (body := visitor.next_body()) is not None:
            if visitor.counts_too_many(now_s):
                self._refuse(visitor, f"it says more than {MOST_MESSAGES_A_SECOND} things in a second", now_s)
            else:
                self._do(visitor, from_monitor(body), now_s)

    def _do(self, visitor: Visitor, message: FromMonitor, now_s: float) -> None:
        if isinstance(message, Greeting):
            self._greet(visitor, message, now_s)
        elif not visitor.monitor:
            self._refuse(visitor, f"a monitor begins with a Greeting, not with {type(message).__name__}", now_s)
        else:
            match message:
                case Attach():
                    self._attach(visitor, message, now_s)
                case Detach(client=client):
                    visitor.attachments.pop(client, None)
                    self.follow(client)
                case Ask():
                    self._ask(visitor, message, now_s)
                case Beat():
                    pass

    def _greet(self, visitor: Visitor, greeting: Greeting, now_s: float) -> None:
        if greeting.version != VERSION:
            text = f"it speaks version {greeting.version} of this language, and this script version {VERSION}"
            self._refuse(visitor, f"{text}: use a monitor of the same haip-sync", now_s)
        elif not visitor.monitor:
            visitor.monitor = greeting.monitor or "a monitor"
            visitor.say(encoded(self._welcome()), now_s)

    def _attach(self, visitor: Visitor, wish: Attach, now_s: float) -> None:
        offer = self._offers.get(wish.client)
        known = visitor.attachments.get(wish.client)
        if offer is None or (known is not None and known.every_event == wish.every_event):
            return
        note_coming(visitor, wish.client)
        visitor.attachments[wish.client] = Attachment(wish.client, every_event=wish.every_event)
        if known is None:
            visitor.say(encoded(Past(client=offer.name, now_s=now_s, samples=offer.ring.samples())), now_s)
        self.follow(wish.client)

    def follow(self, name: str) -> None:
        """Have the client listened to for as long, and as closely, as somebody watches it."""
        offer = self._offers.get(name)
        client = None if offer is None else offer.client
        if offer is None or client is None:
            return
        attachments = [attachment for _, attachment in self.attached(name)]
        if attachments:
            offer.feed.follow(client, every_event=any(attachment.every_event for attachment in attachments))
        else:
            offer.feed.leave()

    def _ask(self, visitor: Visitor, ask: Ask, now_s: float) -> None:
        refused = self._errands.take(visitor, ask, self._offers.get(ask.client))
        if refused is not None:
            visitor.say(encoded_answer(refused), now_s)

    def _answer(self, visitor: Visitor, answer: Answer) -> None:
        if visitor in self._visitors:
            visitor.say(encoded_answer(answer), time.monotonic())
            self.flush(visitor)

    # ---- Saying and going -----------------------------------------------------------------------------------------------------

    def say_to_all(self, body: bytes, now_s: float) -> None:
        """Tell everybody who reads."""
        for visitor in self.greeted():
            if not visitor.is_full:
                visitor.say(body, now_s)
                self.flush(visitor)

    def keep(self, now_s: float) -> None:
        """Beat, and see who has been silent for too long."""
        if now_s - self._kept_s > _STOPPED_S:  # this process itself stood still: what they said meanwhile is not read yet
            for visitor in self._visitors:
                visitor.since_s = visitor.heard_s = now_s
        self._kept_s = now_s
        for visitor in list(self._visitors):
            note_silence(visitor, now_s)
            if visitor.leaving_s is not None:
                if now_s >= visitor.leaving_s:
                    self._drop(visitor, visitor.parting)
            elif not visitor.monitor and now_s - visitor.since_s > GREETING_S:
                self._refuse(visitor, f"it said nothing for {GREETING_S:g} s", now_s)
            elif now_s - visitor.heard_s > SILENT_S:
                self._refuse(visitor, f"it said nothing for {SILENT_S:g} s", now_s)
            elif visitor.monitor and not visitor.has_unsent and now_s - visitor.said_s >= BEAT_S:
                visitor.say(encoded(Beat()), now_s)
                self.flush(visitor)

    def pause_s(self) -> float | None:
        """Return how long `keep` may wait; None: as long as nobody comes."""
        return _KEEP_S if self._visitors else None

    def flush(self, visitor: Visitor) -> None:
        """Write what can be written, and have the selector tell when more can."""
        if visitor not in self._visitors:
            return
        try:
            visitor.write()
        except OSError as exc:
            self._drop(visitor, _broken(exc))
            return
        if visitor.leaving_s is not None and not visitor.has_unsent:
            self._drop(visitor, visitor.parting)
            return
        wanted = selectors.EVENT_WRITE if visitor.has_unsent else 0
        if visitor.leaving_s is None and not visitor.is_full:
            wanted |= selectors.EVENT_READ
        if wanted != visitor.interest:
            key = self._selector.get_key(visitor.sock)
            self._selector.modify(visitor.sock, wanted, key.data)
            visitor.interest = wanted

    def _refuse(self, visitor: Visitor, text: str, now_s: float) -> None:
        visitor.leaving_s, visitor.parting = now_s + LEAVING_S, text
        visitor.say(encoded(Refusal(text=text)), now_s)
        self.flush(visitor)

    def _drop(self, visitor: Visitor, why: str) -> None:
        if visitor not in self._visitors:
            return
        note_going(visitor, on_one_line(why))
        self._visitors.remove(visitor)
        self._selector.unregister(visitor.sock)
        visitor.sock.close()
        for client in visitor.attachments:
            self.follow(client)

    def dismiss(self) -> None:
        """Close every connection, and have the worker end."""
        for visitor in list(self._visitors):
            self._drop(visitor, "this process offers no client any more")
        self._errands.finish()

    def abandon(self) -> None:
        """Close every connection in a forked child, without a word and without the selector."""
        for visitor in self._visitors:
            visitor.sock.close()


def _broken(error: OSError) -> str:
    """Return what it means that nothing can be read from a monitor or written to it."""
    return _LEFT if isinstance(error, ConnectionError) else f"its connection broke: {error.strerror or error}"
