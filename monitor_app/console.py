"""What the monitor says beside its windows: on standard output and standard error, where there are any."""

from __future__ import annotations

import sys
from contextlib import suppress


def prepare_output() -> None:
    """Have characters that the terminal's encoding lacks written as a question mark: a table is no reason to end."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def say(text: str) -> None:
    """Say something on standard error; a program without a console has none, and one that is full is nobody's to read."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def tell(text: str) -> str | None:
    """Write to standard output; return why that failed, empty where nobody reads it, or any more. None: it did not fail."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (BrokenPipeError, ValueError, AttributeError):  # a pipe that ended, a closed stream, none at all
        _forget_output()
        return ""
    except OSError as error:
        _forget_output()
        return error.strerror or str(error)
    return None


def _forget_output() -> None:
    """Have Python not try again, at its end, to write what is left."""
    sys.stdout = None
