"""The process's one service: begun with the first client that is offered, ended with the last; another one in a forked child."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Final

from haip_sync.flow.forking import Home
from haip_sync.observe import rendezvous
from haip_sync.observe.offer import Offer
from haip_sync.observe.service import Service
from haip_sync.observe.subject import Subject

logger = logging.getLogger("haip_sync.observe")


class Offering:
    """That monitors of this user see `client`, and may steer it if `may_steer`: from `begin` to `close`. Thread-safe.

    Never waits, and raises nothing: whatever goes wrong is logged, and is not the script's trouble. In a forked child the
    parent's clients are not offered.
    """

    def __init__(self, client: Subject, *, may_steer: bool) -> None:
        self._offer = Offer(client, may_steer=may_steer)
        self._service: Service | None = None
        self._home = Home()

    def begin(self) -> None:
        """Offer the client. Idempotent; an interrupt in the middle is made good by the next call."""
        if self._home.is_left:
            return
        not_here = rendezvous.why_not_here()
        if not_here is not None:
            _place.complain(not_here)
            return
        try:
            with _place.lock:
                self._service = _place.current()
                self._service.add(self._offer)
        except (OSError, RuntimeError) as exc:  # no more files, no more threads
            logger.warning("no monitor can attach to this process: %s", exc)

    def close(self) -> None:
        """Offer the client no longer. Idempotent; monitors hear of it, and of what came before."""
        if self._service is not None:
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

    def complain(self, not_here: str) -> None:
        """Say once that this system has not what it takes."""
        with self.lock:
            had_complained, self.has_complained = self.has_complained, True
        if not had_complained:
            logger.warning("%s", not_here)

    def retire(self, service: Service) -> bool:
        """Let a service end, unless a client was offered meanwhile."""
        with self.lock:
            if service.has_calls():
                return False
            if self.service is service:
                self.service = None
            return True


_place: Final = _Place()


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
