"""The process's one service: begun with the first client that is offered, ended with the last; another one in a forked child."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Final

from haip_sync.observe import rendezvous
from haip_sync.observe.offer import Offer
from haip_sync.observe.service import Service
from haip_sync.observe.subject import Subject

logger = logging.getLogger("haip_sync.observe")


class Offering:
    """That a client can be seen by monitors, until it is closed."""

    def __init__(self, service: Service, offer: Offer) -> None:
        self._service = service
        self._offer = offer

    def close(self) -> None:
        """Offer the client no longer. Idempotent, any thread, never waits; monitors hear of it, and of what came before."""
        self._service.withdraw(self._offer)


class _Place:
    """The service that runs, if one does."""

    def __init__(self) -> None:
        # Guards `service`: a client is offered by one thread while the service's own thread decides to end. Re-entrant because a
        # signal handler may make a client in the middle of it.
        self.lock = threading.RLock()
        self.service: Service | None = None
        self.has_complained = False

    def current(self) -> Service:
        """Return the service, begun if it was not. Requires the lock."""
        if self.service is None or self.service.has_ended:
            self.service = Service(rendezvous.directories(), retire=self.retire)
        self.service.start()
        return self.service

    def retire(self, service: Service) -> bool:
        """Let a service end, unless a client was offered meanwhile."""
        with self.lock:
            if service.has_calls():
                return False
            if self.service is service:
                self.service = None
            return True


_place: Final = _Place()


def offer(client: Subject, *, may_steer: bool) -> Offering | None:
    """Let monitors of this user see `client`, and steer it if `may_steer`. None where the system cannot, which the log says once.

    Never waits: whatever goes wrong later is logged, and is not the script's trouble.
    """
    if not rendezvous.has_unix_sockets():
        with _place.lock:
            had_complained, _place.has_complained = _place.has_complained, True
        if not had_complained:
            logger.warning("not yet on this system: a monitor attaches through Unix-domain sockets, which Python has not here")
        return None
    made = Offer(client, may_steer=may_steer)
    try:
        with _place.lock:
            service = _place.current()
            service.add(made)
    except (OSError, RuntimeError) as exc:  # no more files, no more threads
        logger.warning("no monitor can attach to this process: %s", exc)
        return None
    return Offering(service, made)


def _begin_anew_in_child() -> None:
    """Forget the parent's service: its thread does not run here, and its sockets are the parent's to answer on."""
    parents, _place.service, _place.lock = _place.service, None, threading.RLock()
    if parents is not None:
        parents.abandon()


def _remove_path() -> None:
    service = _place.service
    if service is not None:
        service.remove_path()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
atexit.register(_remove_path)
