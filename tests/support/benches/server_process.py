"""The development server in a process of its own, so that it shares no GIL with the client that is measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import haip_sync

_ROOT: Final = str(Path(haip_sync.__file__).parents[1])
_PATIENCE_S: Final = 20.0


@contextmanager
def dev_server(*, window: int, window_bytes: int) -> Iterator[str]:
    """Run a silent server with this window, half of which it renews at a time; yield its URL."""
    arguments = ["--port", "0", "--no-agent", "--initial-credits", str(window), "--initial-bytes", str(window_bytes)]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "haip_sync.testing.dev_server_cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": _ROOT},
    )
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r"ws://\S+", process.stdout.readline())
            assert found is not None, f"the server did not start: {process.poll()}"
            yield found.group()
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            finally:
                process.kill()  # does nothing to one that has ended
