"""What the log says of those who watch: who comes, falls silent, is heard again, goes. For the service's thread only."""

from __future__ import annotations

import logging
from typing import Final

from haip_sync.observe.visitor import Visitor

logger = logging.getLogger("haip_sync.observe")

QUIET_S: Final = 0.7
"""After so long without a word a monitor counts as silent: it beats every 0.3 s when there is nothing else to say."""


def note_coming(visitor: Visitor, client: str) -> None:
    """Tell that a monitor watches a client from now on."""
    logger.info("client %r is watched by %s", client, _who(visitor))


def note_silence(visitor: Visitor, now_s: float) -> None:
    """Tell once that a monitor has said nothing for too long, and once that it is heard again."""
    is_quiet = now_s - visitor.heard_s > QUIET_S
    if is_quiet != visitor.is_quiet and visitor.monitor:
        visitor.is_quiet = is_quiet
        what = f"has said nothing for {now_s - visitor.heard_s:.1f} s: is it stopped?" if is_quiet else "is heard again"
        logger.log(_level(visitor), "%s, which watches %s, %s", _who(visitor), _watched(visitor), what)


def note_going(visitor: Visitor, why: str) -> None:
    """Tell that a monitor is gone, and why."""
    logger.log(_level(visitor), "%s, which watched %s, is gone: %s", _who(visitor), _watched(visitor), why)


def _level(visitor: Visitor) -> int:
    """Return how loud to be: one that watches nothing may be a list that comes every second."""
    return logging.INFO if visitor.attachments else logging.DEBUG


def _who(visitor: Visitor) -> str:
    name = f" ({visitor.monitor!r:.60})" if visitor.monitor else ""
    return f"process {visitor.peer.pid}{name}"


def _watched(visitor: Visitor) -> str:
    return ", ".join(map(repr, visitor.attachments)) or "nothing"
