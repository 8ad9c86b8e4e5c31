"""The sign of the connection: the same one on top, in the centre and in the status bar."""

from __future__ import annotations

from monitor_app.colours import Colours
from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import away_of, is_connected
from monitor_app.model.outage import outage_of
from monitor_app.model.status import Status
from monitor_app.views import signs


def connection_sign(ingest: Ingest, colours: Colours) -> tuple[signs.Sign, str]:
    """Return how the connection stands as a sign and its colour; the words beside it are those of who shows it."""
    source = ingest.source
    if source.connecting:
        return signs.BUSY, colours.low
    if outage_of(ingest.connection, ingest.clock.now_s()) is not None:
        return signs.TURN, colours.low
    if is_connected(ingest.connection):
        return signs.CHECK, colours.good
    if source.silent_s is not None:
        is_ours = away_of(source) is Status.DETACHED
        return (signs.DETACHED, colours.muted) if is_ours else (signs.SILENT, colours.low)
    if source.failure is not None and not source.failure.is_ours:
        return signs.TROUBLE, colours.starved
    return signs.OFFLINE, colours.muted
