"""A script in a process of its own whose client dispatches synthetic events without end while another thread burns a core."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import haip_sync
from haip_sync import HAIPClient
from support.benches.flood import Flood

CLIENT: Final = "flooded"
_PATIENCE_S: Final = 30.0
_ROOT: Final = str(Path(haip_sync.__file__).parents[1])
_TESTS: Final = str(Path(__file__).parents[2])


@contextmanager
def flooded_script(url: str, per_second: int) -> Iterator[subprocess.Popen[str]]:
    """Run the script, offered to monitors."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "support.benches.flooded_script", url, str(per_second)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((_ROOT, _TESTS)), "HAIP_SYNC_MONITOR": "1"},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "flooding"
            yield process
        finally:
            process.kill()


def rate_of(script: subprocess.Popen[str]) -> float:
    """Have the script end, and return how many events a second it dispatched."""
    out, _ = script.communicate("end\n", timeout=_PATIENCE_S)
    return float(out)


def _burn() -> None:
    number = 0
    while True:
        number += 1


def _run(url: str, per_second: int) -> None:
    with HAIPClient(url, inbox="listeners", name=CLIENT) as client:
        flood = Flood(client._connection.rooms.dispatcher, per_second)
        threading.Thread(target=_burn, daemon=True).start()
        flood.start()
        begin_s = time.perf_counter()
        sys.stdout.write("flooding\n")
        sys.stdout.flush()
        sys.stdin.readline()
        took_s = time.perf_counter() - begin_s
        flood.stop()
        sys.stdout.write(f"{flood.sent / took_s}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]))
