"""Policies for tests that break lines."""

from __future__ import annotations

from haip_sync import ReconnectPolicy

ONE_LINE = ReconnectPolicy(enabled=False)
"""The first line is the last: for tests of how a client ends."""

AT_ONCE = ReconnectPolicy(initial_delay=0.01, max_delay=0.05)
"""Another line as soon as may be."""
