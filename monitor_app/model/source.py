"""The source contract: what the window reads, whatever stands behind it.

A source is an object with a snapshot, a stream of events and the commands. The first is a client in this process
(`client_source.ClientSource`); an attached program and a recording are to follow. Nothing in the views knows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from haip_sync import ConnectionState, Event
from monitor_app.model.remedies import NO_OFFER, Offer


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What has arrived since the last drain."""

    events: Sequence[Event]
    """In the order in which they happened; gauges are not among them (the snapshot has their values).

    `SendBlocked` makes short waits visible: without it a starvation between two snapshots is not seen.
    """
    dropped: int
    """Events that the bounded buffer lost since the last drain. State changes are never lost: the snapshot has them."""
    oldest_s: float | None
    """When the oldest of `events` happened, on the monotonic clock; None when there are none."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """The result of a command, for the log: what the operator did and what came of it."""

    time_s: float
    """On the monotonic clock."""
    channel: str | None
    action: str
    """pause, resume, request, strategy, clear queue, test message, connect, script or program."""
    result: str
    """One sentence."""
    ok: bool
    is_ours: bool = False
    """Whether nothing came of it because the operator wanted it so."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no connection, for a person who wants one."""

    title: str
    """What happened, in a few words."""
    text: str
    """What is known about it and how to go on, in a few sentences. Never a token."""
    is_ours: bool = False
    """Whether the operator wanted it so: then nothing went wrong."""
    advice: str = ""
    """What comes next, or what to do, in a sentence; empty where `text` says it."""
    wants_another: bool = False
    """Whether the same address and token cannot do: to try them again would end in the same way."""
    offer: Offer = NO_OFFER
    """The useful button beside the sentence on top; none where another place has the buttons, or nothing helps."""


@dataclass(frozen=True)
class QueuedMessage:
    """What is known of a message that waits in the queue: not its content, which belongs to whoever queued it."""

    message_id: str
    message_bytes: int
    """What it counts in the queue."""
    since_s: float
    """When it was queued, on the monotonic clock."""


class Source(Protocol):
    """What a window shows and steers. Every method may be called from the GUI thread and returns at once.

    Each command is answered by one notice; those of one action on one channel in the order in which they were given.
    """

    @property
    def name(self) -> str:
        """What the window is called."""

    @property
    def address(self) -> str:
        """Scheme, host and port; never a token. Empty while there is none."""

    @property
    def connecting(self) -> bool:
        """Whether an attempt to connect is under way."""

    @property
    def failure(self) -> Failure | None:
        """Why there is no connection; None while there is one, one is being tried, or none was asked for."""

    @property
    def silent_s(self) -> float | None:
        """For how many seconds nothing has been heard of the source, which may go on; None: it is heard, or over for good."""

    @property
    def can_detach(self) -> bool:
        """Whether `detach` can be offered: the source is a program elsewhere, attached to and there."""

    @property
    def can_attach_again(self) -> bool:
        """Whether `attach_again` can be offered: the program was detached from."""

    @property
    def can_reconnect(self) -> bool:
        """Whether `connect_to` and `reconnect` can be offered: true where the monitor opens its clients itself."""

    @property
    def steering_refused(self) -> str | None:
        """Why this source takes no commands, in one sentence; None where it takes them."""

    def snapshot(self) -> ConnectionState | None:
        """Return the client at this moment; None while there is no client."""

    def take_past(self) -> Sequence[tuple[float, ConnectionState]]:
        """Take what was before this source was looked at, where that is remembered: monotonic times, the oldest first. Once."""

    def drain(self, limit: int) -> Drained:
        """Take at most `limit` events out of the buffer."""

    def take_notices(self) -> Sequence[Notice]:
        """Take the results of commands that have ended since the last call."""

    def connect_to(self, url: str, token: str | None) -> None:
        """Leave what there is and connect to `url`; the result shows in `connecting`, `failure`, `snapshot` and a notice."""

    def reconnect(self) -> None:
        """Try the last address again, in the same way."""

    def cancel_connect(self) -> None:
        """End the attempt to connect that is under way; it is answered at once, by the notice that it was cancelled."""

    def detach(self) -> None:
        """Leave the program alone; the last values stay. The result shows in `failure` and `silent_s`."""

    def attach_again(self) -> None:
        """Look at the program again."""

    def pause(self, channel: str, reason: str | None) -> None:
        """Pause `channel`; the result comes as a notice."""

    def resume(self, channel: str) -> None:
        """Resume `channel`; the result comes as a notice."""

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Ask the peer for credit; the result, a refused argument included, comes as a notice."""

    def send_test_message(self, channel: str, text: str) -> None:
        """Send `text`, waiting in line like anybody; the result comes as a notice."""

    def clear_queue(self, channel: str, reason: str | None) -> None:
        """Take back what is queued in `channel` and not admitted; how much that was comes as a notice."""

    def use_strategy(self, strategy: str, settings: Mapping[str, int | float], reason: str | None) -> None:
        """Let a strategy of the library's ask for credit from now on, on every channel, with its settings by their names there.

        The result comes as a notice with channel None.
        """

    def queued(self, channel: str) -> Sequence[QueuedMessage]:
        """Return what is known of the messages in the queue of `channel`, oldest first.

        May be fewer than the snapshot counts: what was queued before this source began to listen is not known.
        """

    def watch_messages(self, *, wanted: bool) -> bool:
        """Have `Message` and `SendAdmitted` among the drained events, or no longer; return whether they are now.

        Off at first: every one costs something.
        """

    def close(self) -> None:
        """Stop listening and end everything that this source started. Idempotent, bounded, the last call to a source."""
