"""Scripts that send and let themselves be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from haip_sync.observe import ProgramLink
from haip_sync.testing import DevServer, Generous, Paced
from support.observed import Script, script
from support.turnstiles import until

SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print(number)
"""

BUSY = """
import logging, sys
from haip_sync import HAIPClient
logging.basicConfig(format="%(message)s")
logging.getLogger("haip_sync.observe").setLevel(sys.argv[2])
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    client.pause_channel("SYSTEM")
    while True:  # at the pace of the credit: a server that drowns in pauses grants none for seconds
        client.pause_channel("AGENT")
        client.resume_channel("AGENT")
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
"""


@contextmanager
def busy_script(*, floods: bool = False, level: str = "WARNING") -> Iterator[Script]:
    """Run a script that sends 200 messages a second, or as many as it can, and with each pauses and resumes another channel.

    It logs each monitor that lists it at `level` DEBUG: whoever does not read that holds it up once the pipe is full.
    """
    policy = Generous() if floods else Paced(200)
    with (
        DevServer(agent=False, policy=policy, initial_credits=20) as server,
        script(BUSY, server.url, level, mode="steer") as running,
    ):
        yield running


def progress_of(link: ProgramLink) -> Callable[[], bool]:
    """Return what tells whether the script has sent more than when this was called."""
    until(lambda: link.snapshot("sender"))

    def sent() -> int:
        state = link.snapshot("sender")
        return 0 if state is None else state.channels["USER"].sent_messages

    before = sent()
    return lambda: sent() > before
