"""What a test sees of one session of the development server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from haip_sync.config import check_channel, check_function, check_timeout
from haip_sync.errors import HAIPTimeout
from haip_sync.testing.books import Books
from haip_sync.testing.numbering import Missing
from haip_sync.testing.records import Breach, ReceivedCall, ReceivedFrame, ReceivedText, Run, Transaction

if TYPE_CHECKING:
    from haip_sync.testing.server_session import ServerSession


class Session:
    """One client's connection, as `DevServer.sessions` lists it; stays readable after its end.

    Every method may be called by any thread. What it returns is of one moment and never changes afterwards. A client that
    reconnects opens another session under the same `id`.
    """

    def __init__(self, core: ServerSession) -> None:
        self._core = core

    def __repr__(self) -> str:
        state = "live" if self.connected else f"ended with {self.close_code}"
        counts = f"{self.received_count} frames, {self.text_count} texts, {len(self.breaches)} breaches"
        return f"<Session {self.id}: {state}, {counts}>"

    @property
    def id(self) -> str:
        """The session id that the client names: the same over its reconnects."""
        return self._core.read(lambda conversation: conversation.peer_id) or ""

    @property
    def server_id(self) -> str:
        """The session id that our frames carry: another one for each connection."""
        return self._core.read(lambda conversation: conversation.id)

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._core.live

    @property
    def close_code(self) -> int | None:
        """The WebSocket close code (1006: none came); None while the connection stands."""
        return self._core.close_code

    @property
    def received(self) -> tuple[ReceivedFrame, ...]:
        """The frames that were accepted, control frames included, in order; at most the last `keep_received`."""
        return self._core.read(lambda conversation: tuple(conversation.archive.frames))

    @property
    def received_count(self) -> int:
        """How many frames were accepted in all."""
        return self._core.read(lambda conversation: conversation.archive.frame_count)

    @property
    def received_dropped(self) -> int:
        """How many of them `received` no longer lists."""
        return self._core.read(lambda conversation: conversation.archive.frame_count - len(conversation.archive.frames))

    def texts(self, channel: str | None = None) -> tuple[ReceivedText, ...]:
        """Return the whole texts, of one channel or of all, in the order of their ENDs; at most the last `keep_received`."""
        texts = self._core.read(lambda conversation: tuple(conversation.archive.texts))
        return texts if channel is None else tuple(text for text in texts if text.channel == check_channel(channel))

    def audio(self, channel: str, message_id: str | None = None) -> bytes:
        """Return the sound that arrived on a channel, of one message or of all, at most of the last `keep_received` chunks."""
        name = check_channel(channel)
        chunks = self._core.read(lambda conversation: tuple(conversation.archive.audio.get(name, ())))
        return b"".join(sound for known, sound in chunks if message_id in (None, known))

    @property
    def text_count(self) -> int:
        """How many whole texts arrived in all."""
        return self._core.read(lambda conversation: conversation.archive.text_count)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """The frames that came without credit, in order; at most the last `keep_received`."""
        return self._core.read(lambda conversation: tuple(conversation.archive.breaches))

    @property
    def out_of_order(self) -> int:
        """How many frames had a `seq` that was not the next, nor one that we asked for or that a client which resumes owed.

        0 for a correct client.
        """
        return self._core.read(lambda conversation: conversation.sequence.out_of_order)

    @property
    def resumed(self) -> bool:
        """Whether it goes on where an earlier connection of the client stopped."""
        return self._core.read(lambda conversation: conversation.resumed)

    @property
    def duplicates(self) -> int:
        """How many frames came twice, same `seq` and same `id`: dropped, and debited once. Counted over resumed connections."""
        return self._core.read(lambda conversation: conversation.sequence.duplicates)

    @property
    def lost(self) -> tuple[Missing, ...]:
        """The numbers of the client's that never came, though we asked for them. Counted over resumed connections."""
        return self._core.read(lambda conversation: tuple(conversation.sequence.lost))

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that were used so far, by either side."""
        return self._core.read(lambda conversation: conversation.desk.channels())

    def books(self, channel: str) -> Books:
        """Return the books of one channel; of an unused one, what its first credit is. Raises `ConfigError` for no name."""
        name = check_channel(channel)
        return self._core.read(lambda conversation: conversation.desk.known(name).books())

    def pending_texts(self, channel: str) -> int:
        """Return how many texts and frames of ours wait for credit or a resume, the text under way included."""
        name = check_channel(channel)
        return self._core.read(lambda conversation: conversation.voice.speech.pending(name))

    @property
    def calls(self) -> tuple[ReceivedCall, ...]:
        """The calls of tools that were accepted, in order; at most the last `keep_received`."""
        return self._core.read(lambda conversation: conversation.calls.records())

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, the client's and ours, in order of their beginning; the oldest of more than `keep_received` are forgotten."""
        return self._core.read(lambda conversation: conversation.runs.records())

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """The transactions that it began or joined, in this order; above `keep_received`, ended ones are forgotten."""
        return self._core.read(lambda conversation: conversation.transactions.records())

    @property
    def texts_dropped(self) -> int:
        """Texts and frames of ours that were never sent: over 1,000 waiting, or nothing that the client accepts."""
        return self._core.read(lambda conversation: conversation.voice.speech.dropped)

    def wait_for(self, predicate: Callable[[Session], object], timeout: float | None = 5.0, *, what: str = "a condition") -> None:
        """Wait until `predicate(session)` is true; it runs in the calling thread, under no lock, after each change.

        Raises `HAIPTimeout`, which is a `TimeoutError`, after `timeout` seconds (None: never) or once the session has ended
        and it is still false; the text names `what` was waited for and how far the session came.
        """
        check_function("predicate", predicate)
        limit = check_timeout("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            seen = self._core.version
            if predicate(self):
                return
            if not self._core.wait_for_change(seen, deadline):
                raise HAIPTimeout(f"waited for {what} in vain ({timeout} s, or the session's end): {self!r}")
