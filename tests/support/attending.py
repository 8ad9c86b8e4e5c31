"""A monitor that tests speak for."""

from __future__ import annotations

from haip_sync.events import WarningRaised


def warning(number: int) -> WarningRaised:
    """Return an event that may be dropped, of a kilobyte."""
    return WarningRaised(time_s=float(number), text=f"{number} " + "x" * 1_000)
