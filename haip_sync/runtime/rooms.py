"""The rooms of one connection, put together: what every part of the runtime is given."""

from __future__ import annotations

import msgspec

from haip_sync.events import Event
from haip_sync.flow.audit import audit_windows
from haip_sync.flow.parking import Parking
from haip_sync.flow.turnstile import Turnstile
from haip_sync.protocol.session import Session
from haip_sync.runtime.conversation.routes import Routes
from haip_sync.runtime.dispatch import Dispatcher
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.inbox import Inbox
from haip_sync.runtime.outgoing import Outgoing


class Rooms(msgspec.Struct, frozen=True, eq=False):
    """Session, credit, inbox, live handles, write order, listeners; all but the dispatcher is guarded by `parking.lock`."""

    parking: Parking
    session: Session
    outgoing: Outgoing
    turnstile: Turnstile[Entry]
    inbox: Inbox
    dispatcher: Dispatcher
    is_audited: bool
    routes: Routes

    def audit(self) -> None:
        """Check what we grant the peer, where the environment asks for it. Requires the lock. Raises `AssertionError`."""
        if self.is_audited:
            audit_windows(self.inbox.windows())

    def put(self, event: Event) -> None:
        """Hand an event to the listeners, if there are any for it."""
        if self.dispatcher.wants(type(event)):
            self.dispatcher.put(event)
