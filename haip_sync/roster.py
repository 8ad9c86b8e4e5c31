"""The clients of this process, for what looks at all of them. They are held weakly: to be listed keeps no client alive."""

from __future__ import annotations

import itertools
from typing import Any, Final
from weakref import WeakValueDictionary

# By a number of their own, in the order of their making. Each step on it is one of the interpreter's: it takes no lock, so that a
# client may be made by a signal handler, or be collected, in the middle of any of them.
_known: Final[WeakValueDictionary[int, Any]] = WeakValueDictionary()
_numbers: Final = itertools.count()


def enter(client: object) -> None:
    """List a client, for as long as somebody holds it."""
    _known[next(_numbers)] = client


def clients() -> list[Any]:
    """Return the clients that are there now, the oldest first. Any thread."""
    return [client for ref in _known.valuerefs() if (client := ref()) is not None]
