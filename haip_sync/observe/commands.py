"""Carries out what monitors ask for, with the script's own client, on threads beside the service's.

A command may have to wait (for the client's lock, for a log handler), and nobody else may be held up by that. What is done for a
monitor is logged with who asked for it: the log is the script's own record of who steered it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

from haip_sync.config import check_choice
from haip_sync.errors import ConfigError, HAIPError
from haip_sync.flow.strategies import (
    AdaptiveStrategy,
    AggressiveStrategy,
    ConservativeStrategy,
    ManualStrategy,
    Strategy,
    ThresholdStrategy,
)
from haip_sync.observe.carried import LONGEST_TEXT, printable
from haip_sync.observe.command_messages import (
    ClearQueue,
    Command,
    ExplainChannel,
    PauseChannel,
    ReadMetrics,
    RequestCredits,
    ResumeChannel,
    SendTestMessage,
    UseStrategy,
)
from haip_sync.observe.messages import (
    Answer,
    Ask,
)
from haip_sync.observe.peers import Peer
from haip_sync.observe.subject import Subject
from haip_sync.one_line import on_one_line

if sys.platform != "win32":
    import pwd

logger = logging.getLogger("haip_sync.observe")

MOST_WAITING: Final = 64
"""Commands that may wait for their turn; more are refused."""
TEST_MESSAGE_TIMEOUT_S: Final = 1.0
_STRATEGIES: Final[Mapping[str, Callable[..., Strategy]]] = {
    kind.name: kind for kind in (ManualStrategy, ThresholdStrategy, ConservativeStrategy, AggressiveStrategy, AdaptiveStrategy)
}


class Job(NamedTuple):
    """One command, for one client, of one monitor."""

    ask: Ask
    client: Subject | None
    peer: Peer
    monitor: str
    answer: Callable[[Answer], None]
    """Called on the worker's thread; must not wait."""


class Worker:
    """A thread that carries commands out, one after another; it begins with the first. `submit` and `finish` never wait."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"haip-observe-{name}", daemon=True)

    def submit(self, job: Job) -> bool:
        """Take a command; False: too many wait. Called by one thread, the service's."""
        if self._jobs.qsize() >= MOST_WAITING:
            return False
        if self._thread.ident is None:
            self._thread.start()
        self._jobs.put(job)
        return True

    def finish(self) -> None:
        """Have the thread end once what waits is done."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.answer(carry_out(job))


def carry_out(job: Job) -> Answer:
    """Do what is asked, log who asked for it, and return what came of it. Raises nothing."""
    number, command = job.ask.number, job.ask.command
    if isinstance(command, (ExplainChannel, ReadMetrics)):
        return _safely(number, lambda: _told(job, number, command))
    answer = _safely(number, lambda: _did(job, number, command))
    _log(job, answer)
    return answer


def _safely(number: int, call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except HAIPError as exc:
        return Answer(number=number, ok=False, text=printable(str(exc)[:LONGEST_TEXT]))
    except Exception as exc:
        logger.exception("a monitor's command failed")
        return Answer(
            number=number, ok=False, text=f"it failed in the script with {type(exc).__name__}; its log has the traceback"
        )


def _client_of(job: Job) -> Subject:
    if job.client is None:
        raise ConfigError(f"the script has no client {job.ask.client!r} any more. Nothing was done")
    return job.client


def _told(job: Job, number: int, command: ExplainChannel | ReadMetrics) -> Answer:
    client = _client_of(job)
    if isinstance(command, ReadMetrics):
        return Answer(number=number, ok=True, text="read", metrics=client.metrics())
    explanation = client.explain(command.channel)
    return Answer(number=number, ok=True, text=printable(explanation.text), explanation=explanation)


def _did(job: Job, number: int, command: Command) -> Answer:
    client = _client_of(job)
    match command:
        case PauseChannel(channel=channel, reason=reason):
            client.pause_channel(channel, reason=reason)
            text = f"{channel} is paused"
        case ResumeChannel(channel=channel):
            client.resume_channel(channel)
            text = f"{channel} is resumed"
        case RequestCredits(channel=channel, messages=messages, byte_credits=byte_credits):
            client.request_credits(channel, messages=messages, byte_credits=byte_credits)
            text = f"{messages} messages and {byte_credits} bytes of credit were asked for on {channel}"
        case ClearQueue(channel=channel):
            text = f"{client.clear_queue(channel)} queued messages of {channel} were taken back"
        case UseStrategy(strategy=name, settings=settings):
            client.set_strategy(strategy_of(name, settings))
            text = f"the strategy is {name} now"
        case SendTestMessage(channel=channel, text=message):
            receipt = client.send_text_message(channel, message, timeout=TEST_MESSAGE_TIMEOUT_S)
            text = f"sent as {receipt.message_id}"
        case _:
            raise ConfigError(f"{type(command).__name__} is no command")
    return Answer(number=number, ok=True, text=text)


def strategy_of(name: str, settings: Mapping[str, Any]) -> Strategy:
    """Return one of the library's strategies with these settings. Raises `ConfigError` naming what is wrong."""
    make = _STRATEGIES[check_choice("strategy", name, tuple(_STRATEGIES))]
    try:
        return make(**settings)
    except TypeError as exc:
        raise ConfigError(f"the {name} strategy cannot be made with {', '.join(settings)}: {exc}. Nothing was changed") from exc


def _log(job: Job, answer: Answer) -> None:
    """Write down who did what. The monitor's own words are quoted or kept on one line: they cannot look like lines of ours."""
    command = job.ask.command
    reason = getattr(command, "reason", None)
    logger.warning(
        "%s of %s on client %r by %s: %s%s",
        type(command).__name__,
        on_one_line(getattr(command, "channel", "every channel")),
        job.ask.client,
        who(job.peer, job.monitor),
        on_one_line(answer.text if answer.ok else f"failed: {answer.text}"),
        f" (reason: {reason!r:.200})" if reason else "",
    )


def who(peer: Peer, monitor: str) -> str:
    """Return who is at the other end: name, uid, pid and what it calls itself."""
    if peer.uid is None:
        return f"a monitor of the same user ({monitor!r:.60})"
    try:
        name = pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        name = "a user without a name"
    return f"{name} (uid {peer.uid}, pid {peer.pid}, {monitor!r:.60})"
