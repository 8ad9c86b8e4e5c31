"""`haip-monitor --demo`: a development server in this process, and script threads that send to it the lines of a real text.

The only module here that knows a server. The window is given the client and nothing else: what it shows is what any client
would know. The choreography lets every state but OFFLINE be seen within half a minute, and then goes on.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

from haip_sync import FlowControlConfig, HAIPClient, HAIPError, HeartbeatPolicy, testing

CYCLE_S: Final = 40.0
_WINDOW_MESSAGES: Final = 60
_WINDOW_BYTES: Final = 64 * 1024
_BLOCKS: Final = 20
_CAPS: Final = FlowControlConfig(max_credits=100, max_credit_bytes=96 * 1024)
_CLOSE_TIMEOUT_S: Final = 2.0
_LOW_CREDITS: Final = 9
_FRAMES_OF_A_TEXT: Final = 3
_BLOCK_CHARACTERS: Final = 5_000


@dataclass(frozen=True)
class Step:
    """Something that happens at a time of every cycle."""

    at_s: float
    act: Callable[[], object]


class Demo:
    """A server, a client of it, and the threads that use the client as scripts would.

    Threads: one per script and one conductor. All end at `stop`: the event ends their naps, closing the client their sends.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lines = read_lines(path)
        self._server = testing.DevServer(
            policy=testing.RenewAtHalf(idle=30.0),
            initial_credits=_WINDOW_MESSAGES,
            initial_credit_bytes=_WINDOW_BYTES,
            agent=False,
            name="demo-server",
        )
        self._client: HAIPClient | None = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> HAIPClient:
        """Start everything; return the client, connected."""
        self._server.start()
        client = HAIPClient(
            self._server.url,
            inbox="listeners",
            flow_control=_CAPS,
            heartbeat=HeartbeatPolicy(interval=5.0),
            name="demo",
        )
        self._client = client
        client.connect()
        self._server.wait_for_session()
        self._server.set_policy(testing.Paced(2), "AGENT")
        self._run(self._steady, client, "USER", 0.18)
        self._run(self._scarce, client, "AGENT")
        self._run(self._rare, client, "SYSTEM")
        for _ in range(3):
            self._run(self._heavy, client, "AUDIO_IN", 0.35)
        for _ in range(2):
            self._run(self._steady, client, "AUDIO_OUT", 0.4)
        self._run(self._conduct, client)
        return client

    def stop(self) -> None:
        """End everything. Idempotent, back within a few seconds."""
        self._stopping.set()
        if self._client is not None:
            self._client.close(timeout=_CLOSE_TIMEOUT_S)
        self._server.stop()
        for thread in self._threads:
            thread.join(_CLOSE_TIMEOUT_S)

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=_until_closed, args=(target, *arguments), name=f"demo{target.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    # The scripts

    def _steady(self, client: HAIPClient, channel: str, every_s: float) -> None:
        """Send a line every so often."""
        for line in itertools.cycle(self._lines):
            client.send_text_message(channel, line, timeout=None)
            if self._stopping.wait(every_s):
                return

    def _heavy(self, client: HAIPClient, channel: str, every_s: float) -> None:
        """Send many lines at once, so that bytes run out before messages do."""
        for block in itertools.cycle(_blocks(self._lines)):
            client.send_text_message(channel, block, timeout=None)
            if self._stopping.wait(every_s):
                return

    def _scarce(self, client: HAIPClient, channel: str) -> None:
        """Live from hand to mouth: send quickly at first, and then only what the last credit allows."""
        lines = itertools.cycle(self._lines)
        while not self._stopping.wait(0.15):
            left = client.connection_state().channels[channel].credits
            if left > _LOW_CREDITS or (left > _FRAMES_OF_A_TEXT and not self._stopping.wait(1.2)):
                client.send_text_message(channel, next(lines), timeout=None)

    def _rare(self, client: HAIPClient, channel: str) -> None:
        """Send a line now and then."""
        for line in itertools.cycle(self._lines):
            client.send_text_message(channel, line, timeout=None)
            if self._stopping.wait(20.0):
                return

    # The choreography

    def _conduct(self, client: HAIPClient) -> None:
        """Let the scene change, for as long as the demo runs."""
        steps = sorted(self._steps(client), key=lambda step: step.at_s)
        while True:
            at_s = 0.0
            for step in (*steps, Step(CYCLE_S, client.connection_state)):
                if self._stopping.wait(step.at_s - at_s):
                    return
                at_s = step.at_s
                step.act()

    def _steps(self, client: HAIPClient) -> Iterator[Step]:
        server = self._server
        starve = partial(server.set_policy, testing.OnRequest(), "AUDIO_IN")  # so that who asks is helped
        for at_s, policy in ((11.0, testing.Generous()), (24.0, testing.RenewAtHalf()), (37.0, testing.Paced(40))):
            yield Step(at_s, partial(server.set_policy, policy, "AUDIO_IN"))
        for at_s in (3.0, 14.0, 27.0):
            yield Step(at_s, starve)
        for from_s, to_s, reason in (
            (6.0, 12.0, "codec restart"),
            (17.0, 26.0, "new voice"),
            (29.0, 38.0, "rerouting"),
        ):
            yield Step(from_s, partial(client.pause_channel, "AUDIO_OUT", reason=reason))
            yield Step(to_s, partial(client.resume_channel, "AUDIO_OUT"))
        yield Step(8.0, partial(server.pause, "USER"))
        yield Step(13.0, partial(server.resume, "USER"))
        yield Step(20.0, partial(client.request_credits, "AUDIO_IN", messages=3, byte_credits=8 * 1024))


def _until_closed(target: Callable[..., None], *arguments: object) -> None:
    """Run a script to its end or to the client's; what it meets then is no news to anybody."""
    try:
        target(*arguments)
    except HAIPError:
        return


def _blocks(lines: list[str]) -> list[str]:
    """Return `lines` in blocks that cost so much that a window of bytes ends before one of messages."""
    endless = itertools.cycle(lines)
    blocks: list[str] = []
    for _ in range(_BLOCKS):
        block = ""
        while len(block) < _BLOCK_CHARACTERS:
            block += f"{next(endless)}\n"
        blocks.append(block)
    return blocks


def read_lines(path: Path | None) -> list[str]:
    """Return the lines of a text file that are not empty; without a path, those of this project's README."""
    text = path.read_text(encoding="utf-8", errors="replace") if path is not None else _readme()
    return [line for line in text.splitlines() if line.strip()] or ["(the file has no text)"]


def _readme() -> str:
    """Return the README, from beside the packages in a checkout and from the metadata where it is installed."""
    beside = Path(__file__).resolve().parent.parent / "README.md"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        return str(metadata.metadata("haip-sync").json.get("description", ""))
    except metadata.PackageNotFoundError:
        return ""
