"""How long to wait before each attempt to connect again. Pure: chance is passed in, and it reads no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from haip_sync.config import ReconnectPolicy

_MOST_DOUBLINGS: Final = 60
"""Beyond it every delay has long reached any cap, and a float would overflow in the end."""


class Backoff:
    """The attempts of one outage. `chance` returns a number from 0 up to 1.

    The first waits about `initial_delay`, each further one twice as long, none longer than `max_delay`; each is longer or shorter
    by chance, by at most the part `jitter` of it.

    Attributes:
        attempts: How many were granted so far.
    """

    def __init__(self, policy: ReconnectPolicy, chance: Callable[[], float]) -> None:
        self._policy = policy
        self._chance = chance
        self.attempts = 0

    def next_delay_s(self) -> float | None:
        """Return how long to wait before the next attempt, and count it; None: there is to be none."""
        policy = self._policy
        if not policy.enabled or (policy.max_attempts is not None and self.attempts >= policy.max_attempts):
            return None
        doubled_s = policy.initial_delay * 2.0 ** min(self.attempts, _MOST_DOUBLINGS)
        self.attempts += 1
        around_s = min(doubled_s, policy.max_delay)
        return min(around_s * (1 + policy.jitter * (2 * self._chance() - 1)), policy.max_delay)
