"""Processes of their own: the server that is measured against shares no GIL with its client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import haip_sync

_ROOT: Final = str(Path(haip_sync.__file__).parents[1])
_TESTS: Final = str(Path(__file__).parents[2])
_INHERITED: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed is compiled: so may be what is measured against it."""
ENVIRONMENT: Final = _INHERITED | {"PYTHONPATH": os.pathsep.join((_ROOT, _TESTS))}
"""With which a process finds haip_sync and `support`."""
_PATIENCE_S: Final = 20.0


@contextmanager
def lean_server(*, certificate: Path | None = None) -> Iterator[str]:
    """Run a lean server (see there), over TLS with a certificate; yield its URL but for the path."""
    arguments = [] if certificate is None else [str(certificate)]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "support.benches.lean_server", *arguments], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    with process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, f"the server did not start: {process.poll()}"
            yield f"{'ws' if certificate is None else 'wss'}://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            finally:
                process.kill()  # does nothing to one that has ended


def run_python(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    return _printed_by("-c", code)


def run_module(name: str, *arguments: str) -> str:
    """Run a module in a fresh interpreter and return what it prints."""
    return _printed_by("-m", name, *arguments)


def _printed_by(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, check=True, timeout=_PATIENCE_S * 6
    )
    return done.stdout
