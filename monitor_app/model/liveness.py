"""Which moment the plots show, in words: whether they follow, stand still, look back, or nothing new can come, and why."""

from __future__ import annotations

from haip_sync import ConnectionState
from monitor_app.model.clock import Clock
from monitor_app.model.outage import outage_of
from monitor_app.model.source import Source
from monitor_app.model.status import Status
from monitor_app.model.units import MINUS, format_duration
from monitor_app.model.viewport import Mode


def is_connected(connection: ConnectionState | None) -> bool:
    """Return whether new values can come."""
    return connection is not None and connection.connected


def away_of(source: Source) -> Status:
    """Return as what channels count of which nothing new comes: DETACHED where we left, SILENT, or else OFFLINE."""
    if source.silent_s is None:
        return Status.OFFLINE
    return Status.DETACHED if source.can_attach_again else Status.SILENT


def title_of_plots(mode: Mode, right_s: float, clock: Clock, connection: ConnectionState | None, away: Status) -> str:
    """Return what the title of the plots says of their right edge, which shows `right_s`.

    `away`: why nothing new comes while there is no connection, see `away_of`.
    """
    behind = format_duration(max(0.0, clock.now_s() - right_s))
    if mode is Mode.FROZEN:
        return f"VIEW FROZEN at {clock.time_of_day(right_s)}, {behind} behind"
    if mode is Mode.BACK:
        return f"LOOKING BACK, {behind} behind"
    if is_connected(connection):
        return f"LIVE, {clock.time_of_day(right_s)}"
    outage = outage_of(connection, clock.now_s())
    return f"{away.value}, last known values" if outage is None else f"{away.value}. {outage.short}"


def values_of(mode: Mode, cursor_s: float | None, connection: ConnectionState | None) -> str:
    """Return which moment the values beside the plots are of; `cursor_s` is the crosshair's, before the right edge."""
    if cursor_s is not None:
        return f"values at {MINUS}{abs(cursor_s):.1f} s" if mode is Mode.LIVE else "values at crosshair"
    if mode is Mode.LIVE:
        return "values now" if is_connected(connection) else "last known values"
    return "values as frozen" if mode is Mode.FROZEN else "values at right edge"
