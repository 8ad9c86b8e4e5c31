"""Programs to watch: a stand-in for a client, a service of one's own, a real script in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

import haip_sync
from haip_sync import ConnectionState, Event, Explanation, FlowControlMetrics, SendReceipt, Strategy
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.observe import list_programs
from haip_sync.observe.offer import Offer
from haip_sync.observe.peers import PeerOf, peer_of
from haip_sync.observe.service import Service
from haip_sync.state import Fate
from support.states import make_channel, make_connection
from support.turnstiles import PATIENCE_S, until

_ROOT: Final = Path(haip_sync.__file__).parents[1]
IDLE: Final = make_channel(
    credits=10,
    byte_credits=1_000,
    max_credit_bytes=10_000,
    receive_window_bytes=1_000,
    peak_credits=10,
    peak_byte_credits=1_000,
    granted=10,
    granted_bytes=1_000,
)
CONNECTED: Final = make_connection(session_id="s", round_trip=None, channels={"USER": IDLE, "AGENT": IDLE}, phase="open")


class Listening:
    """A subscription of a `StandIn`."""

    def __init__(self, all_of_them: list[Listening], listener: Callable[[Any], object], kinds: tuple[type[Event], ...]) -> None:
        self._all, self.listener, self.kinds = all_of_them, listener, kinds
        self._all.append(self)

    def close(self) -> None:
        if self in self._all:
            self._all.remove(self)


class StandIn:
    """A client as a monitor sees it, whose state and events the test makes; it writes down what it is told to do."""

    def __init__(self, name: str = "client") -> None:
        self.name = name
        self.address = "ws://nowhere:1"
        self.state = CONNECTED
        self.listening: list[Listening] = []
        self.told: list[tuple[Any, ...]] = []
        self.counts = MetricsRecorder()
        self.gate = threading.Event()
        self.gate.set()

    def connection_state(self) -> ConnectionState:
        return self.state

    def change(self, channel: str, **fields: Any) -> None:
        """Change fields of one channel."""
        changed = msgspec.structs.replace(self.state.channels[channel], **fields)
        self.state = msgspec.structs.replace(self.state, channels={**self.state.channels, channel: changed})

    def metrics(self) -> FlowControlMetrics:
        return self.counts.snapshot()

    def explain(self, channel: str) -> Explanation:
        return Explanation(
            channel=channel,
            text=f"{channel} it is",
            cause=None,
            likely_cause=None,
            missing=0,
            waiting=0,
            oldest_wait=0.0,
            last_grant_age=None,
        )

    def subscribe(self, listener: Callable[[Any], object], *kinds: type[Event]) -> Listening:
        return Listening(self.listening, listener, kinds)

    def emit(self, *events: Event) -> None:
        """Have events happen."""
        for each in list(self.listening):
            for event in events:
                if not each.kinds or isinstance(event, each.kinds):
                    each.listener(event)

    def _do(self, *what: Any) -> None:
        assert self.gate.wait(PATIENCE_S)
        self.told.append(what)

    def pause_channel(self, channel: str, *, reason: str | None = None) -> None:
        self._do("pause", channel, reason)

    def resume_channel(self, channel: str) -> None:
        self._do("resume", channel)

    def request_credits(self, channel: str, *, messages: int = 0, byte_credits: int = 0) -> None:
        self._do("request", channel, messages, byte_credits)

    def clear_queue(self, channel: str) -> int:
        self._do("clear", channel)
        return 3

    def set_strategy(self, strategy: Strategy | None) -> None:
        self._do("strategy", strategy)

    def send_text_message(self, channel: str, text: str, *, timeout: float) -> SendReceipt:
        self._do("send", channel, text)
        return SendReceipt("m1", 1, Fate(channel, "m1"))


@contextmanager
def meeting_place() -> Iterator[Path]:
    """Yield a directory of the test's own where programs and monitors meet; its path is short, as sockets want it."""
    directory = Path(tempfile.mkdtemp(prefix="haip-"))
    before = os.environ.get("HAIP_SYNC_RUNTIME_DIR")
    os.environ["HAIP_SYNC_RUNTIME_DIR"] = str(directory)
    try:
        yield directory
    finally:
        del os.environ["HAIP_SYNC_RUNTIME_DIR"]
        if before is not None:
            os.environ["HAIP_SYNC_RUNTIME_DIR"] = before
        shutil.rmtree(directory, ignore_errors=True)


class Served:
    """A service in this process, with stand-ins for its clients."""

    def __init__(self, place: Path, peer_of: PeerOf) -> None:
        self._may_end = threading.Event()
        self.service = Service([place], retire=self._retire, peer_of=peer_of)
        self.offers: list[Offer] = []
        self.clients: list[StandIn] = []
        self.service.start()
        until(lambda: self.service.path)

    def _retire(self, service: Service) -> bool:
        return self._may_end.is_set() and not service.has_calls()

    @property
    def path(self) -> Path:
        assert self.service.path is not None
        return self.service.path

    def offer(self, client: StandIn, *, may_steer: bool = False) -> Offer:
        """Offer a client, and wait until monitors can see it."""
        offer = Offer(client, may_steer=may_steer)
        self.offers.append(offer)
        self.clients.append(client)  # an offer holds it weakly
        self.service.add(offer)
        until(lambda: offer.state)
        return offer

    def close(self) -> None:
        self._may_end.set()
        for offer in self.offers:
            self.service.withdraw(offer)
        self.service.call_soon(lambda: None)


@contextmanager
def served(place: Path, *, peer_of: PeerOf = peer_of) -> Iterator[Served]:
    """Yield a service that listens in `place`."""
    running = Served(place, peer_of)
    try:
        yield running
    finally:
        running.close()


class Script:
    """A real script in a process of its own; `lines` are what it prints, one step of the script each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def errors(self) -> str:
        """Wait for its end, and return what it logged."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return errors

    def path(self, state: str = "") -> Path:
        """Wait until monitors can see it, connected or in `state`, and return its socket."""

        def found() -> list[Path]:
            wanted = {state} if state else {"running", "blocked"}
            return [info.path for info in list_programs() if info.pid == self.pid and info.state in wanted]

        until(found)
        return found()[0]


@contextmanager
def script(code: str, *arguments: str, mode: str = "1") -> Iterator[Script]:
    """Run `code` with these arguments in a Python of its own, offered to monitors as `mode` says; it is killed at the end."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-u", "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(_ROOT), "HAIP_SYNC_MONITOR": mode},
    )
    with process:
        try:
            yield Script(process)
        finally:
            process.kill()
