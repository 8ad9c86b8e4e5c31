"""An error that nobody caught, in words and in full. No values of variables: they could hold secrets."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from types import TracebackType

from monitor_app.model.diagnostics import versions


@dataclass(frozen=True)
class Crash:
    """One error."""

    headline: str
    """Kind and words of the error, on one line."""
    place: str
    """Where it happened; two errors of one kind and place are the same to a person."""
    text: str
    """The full report."""


def crash_of(error: BaseException, trace: TracebackType | None, thread: str) -> Crash:
    """Return the report of an error on the thread of that name."""
    first_line = next(iter(str(error).splitlines()), "")
    headline = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    frames = traceback.extract_tb(trace)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    known = ", ".join(f"{name} {version}" for name, version in versions().items())
    body = "".join(traceback.format_exception(type(error), error, trace))
    return Crash(headline, f"{type(error).__name__} at {place}", f"On thread {thread}\n{known}\n\n{body}")
