"""Subscriptions to the peer's texts, which take their frames instead of the inbox, and the desk that knows whose a frame is.

Texts of one channel may be interleaved: each is known by its message id.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import msgspec

from haip_sync.config import check_timeout
from haip_sync.errors import ConfigError, ConnectionClosedError, HAIPError, HAIPTimeout, ProtocolError
from haip_sync.events import Message, WarningRaised
from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.unread import text_member
from haip_sync.runtime.conversation.incoming_text import ENDS, STARTS, IncomingText
from haip_sync.runtime.conversation.routes import Route
from haip_sync.runtime.conversation.waiting import Bench
from haip_sync.runtime.rooms import Rooms

MOST_OPEN_TEXTS: Final = 1_000
"""Texts of one connection that may be begun and not ended: a peer that ends none costs bounded memory."""

_Key = tuple[str, str]


class _Ending(msgspec.Struct, frozen=True):
    """How the connection ended."""

    failure: HAIPError
    in_good_order: bool


class IncomingTexts:
    """A subscription to the peer's texts, for a `with` block. Thread-safe; each text goes to one reader.

    While it is open, texts that *begin* on its channels come here and not to `receive()`; listeners see the frames all the same.
    The rest of a text that began earlier goes where its beginning went. Of several subscriptions to a channel the first one
    opened takes all. Leaving the block discards what was not read, and what will still come of it.

    ```python
    with client.texts("AGENT") as texts:
        client.send_text_message("USER", "What is a credit?")
        for text in texts:
            for part in text:
                print(part, end="", flush=True)
    ```

    Attributes:
        channels: Those that it takes texts of; empty: all.
    """

    def __init__(self, bench: Bench, desk: TextDesk, channels: frozenset[str]) -> None:
        self.channels = channels
        self._bench = bench
        self._desk = desk
        # Guarded by the connection's lock.
        self._new: deque[IncomingText] = deque()
        # Those of which something is left to read, or to come.
        self._unread: dict[int, IncomingText] = {}
        self._is_entered = False
        self._is_over = False
        # Nobody will read any more of it: a store of whoever leaves it, who may be interrupted before the rest is done.
        self.is_left = False
        self._ending: _Ending | None = None
        # Waits for a text, or for the end.
        self._arrived = bench.new_condition()

    def __enter__(self) -> Self:
        """Begin to take texts; before or after the client connects."""
        self._bench.check()
        try:
            with self._bench.lock:
                self._bench.mend()
                if not self._is_over:
                    self._desk.open(self)
                self._is_entered = True
        except BaseException:
            # Nobody will leave a block that was not entered: texts would come here for ever, and nobody read them.
            self.is_left = True
            self._bench.poke()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take no more texts. In a forked child it does nothing: the block is the parent's."""
        self.is_left = True
        if not self._bench.home.is_left:
            self.close()

    def close(self) -> None:
        """Take no more texts, discard what was not read, and end every iteration. Idempotent, from any thread."""
        self._bench.check()
        self.is_left = True
        self._bench.poke()  # interrupted from here on, the service thread does the rest
        with self._bench.lock:
            self._bench.mend()
            self.finish()

    def __iter__(self) -> Iterator[IncomingText]:
        """Yield texts as they begin. Ends when closed in good order, raises `ConnectionClosedError` otherwise."""
        while (text := self._next(None)) is not None:
            yield text
        if self._ending is not None and not self._ending.in_good_order:
            raise ConnectionClosedError(str(self._ending.failure)) from self._ending.failure

    def receive(self, timeout: float | None = None) -> IncomingText:
        """Return the next text, whose beginning has come.

        Raises `HAIPTimeout`, `ConnectionClosedError` once no more will come, `DeadlockError` on the dispatch thread unless
        `timeout` is 0, `ConfigError` before the `with` block is entered.
        """
        text = self._next(check_timeout("timeout", timeout))
        if text is None:
            why = "the subscription was closed" if self._ending is None else str(self._ending.failure)
            raise ConnectionClosedError(f"no more texts will come: {why}")
        return text

    def _next(self, timeout_s: float | None) -> IncomingText | None:
        """Return the next text; None: no more will come."""
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            if not self._is_entered and not self._is_over:
                raise ConfigError("nothing takes these texts yet: use the subscription in a with block, and read it there")
            if not self._bench.wait_until(lambda: bool(self._new) or self._is_over, self._arrived, timeout_s, "a text"):
                raise HAIPTimeout(f"no text began within {timeout_s:g} s")
            if not self._new:
                return None
            text = self._new[0]
            text.yielded()
            self._new.popleft()
            return text

    # ---- For the desk: all require the lock ------------------------------------------------------------------------------------

    def wants(self, channel: str) -> bool:
        """Return whether a text that begins on `channel` is for it."""
        return not self.is_left and (not self.channels or channel in self.channels)

    def finish(self) -> None:
        """Be over, and discard what was not read. Interrupted anywhere, it is done again."""
        self._is_over = True
        self._new.clear()
        for text in tuple(self._unread.values()):
            text.give_up()
        self._arrived.notify_all()
        self._desk.close(self)

    def begin(self, start: Message, message_id: str) -> IncomingText:
        """Take in a text that has begun."""
        text = IncomingText(self._bench, start, message_id, self._forget)
        self._unread[id(text)] = text
        self._new.append(text)
        self._arrived.notify_all()
        return text

    def _forget(self, text: IncomingText) -> None:
        self._unread.pop(id(text), None)

    def end(self, ending: _Ending) -> None:
        """Note that no more will come. What has begun can still be read."""
        if not self._is_over:
            self._is_over, self._ending = True, ending
        self._arrived.notify_all()


class _Beginning:
    """The route of a START: it makes the text. Used at once, under the lock."""

    takes_at_once = False

    def __init__(self, desk: TextDesk, texts: IncomingTexts, key: _Key) -> None:
        self._desk = desk
        self._texts = texts
        self._key = key

    def arrive(self, message: Message) -> None:
        """Take START in."""
        self._desk.begin(self._texts, self._key, message)


class TextDesk:
    """Knows which subscription takes which text. Every method requires the lock."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._subscriptions: list[IncomingTexts] = []
        # Texts that are begun and not ended, by channel and message id.
        self._open: dict[_Key, IncomingText] = {}
        self._is_overrun_told = False
        self._ending: _Ending | None = None

    def open(self, texts: IncomingTexts) -> None:
        """Hand texts that begin from now on to this subscription."""
        if self._ending is not None:
            texts.end(self._ending)
        elif texts not in self._subscriptions:
            self._subscriptions.append(texts)

    def close(self, texts: IncomingTexts) -> None:
        """Hand it none any more. What still comes of its texts goes to them: they are discarded, but their ends are awaited."""
        if texts in self._subscriptions:
            self._subscriptions.remove(texts)

    def sweep(self) -> None:
        """Finish the subscriptions that were left."""
        for texts in tuple(self._subscriptions):
            if texts.is_left:
                texts.finish()

    def find(self, envelope: Envelope) -> Route | None:
        """Return where a frame of a text goes; None: to the inbox, as where it began before anybody asked for texts."""
        if self._ending is not None or not (self._subscriptions or self._open):
            return None  # what is still read after the end would make a text that nobody ever tells of the end
        message_id = text_member(envelope.payload, "message_id")
        if message_id is None:
            return None
        key = (envelope.channel, message_id)
        if envelope.type in STARTS:
            return self._find_beginning(key)
        return self._open.pop(key, None) if envelope.type in ENDS else self._open.get(key)

    def _find_beginning(self, key: _Key) -> Route | None:
        texts = next((texts for texts in self._subscriptions if texts.wants(key[0])), None)
        again = self._open.pop(key, None)
        if again is not None:
            again.cut_off("was begun anew by the peer before its END")
        if texts is None:
            return None
        if len(self._open) >= MOST_OPEN_TEXTS:
            self._tell_overrun(key[0])
            return None
        return _Beginning(self, texts, key)

    def begin(self, texts: IncomingTexts, key: _Key, start: Message) -> None:
        """Make a text and hand it to the subscription."""
        self._open[key] = texts.begin(start, key[1])

    def break_off(self, failure: HAIPError) -> None:
        """Note that nothing more comes of the texts that are open; others may begin."""
        for text in self._open.values():
            text.cut_off(f"has no END: {failure}")
        self._open.clear()

    def unreadable(self, envelope: Envelope, error: ProtocolError) -> None:
        """Note that PART or END of a text came, and that its reader will not have it."""
        key = (envelope.channel, text_member(envelope.payload, "message_id") or "")
        text = None if envelope.type in STARTS else self._open.get(key)
        if text is not None:
            text.cut_off(f"will not be whole: {error}")
            if envelope.type in ENDS:
                del self._open[key]

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost: perhaps some of the texts that are open."""
        now_s = time.monotonic()
        for text in self._open.values():
            text.missed(what, now_s)

    def lost(self, failure: HAIPError, *, in_good_order: bool) -> None:
        """Note that the connection is over."""
        self._ending = _Ending(failure, in_good_order)
        self.break_off(failure)
        for texts in self._subscriptions:
            texts.end(self._ending)

    def _tell_overrun(self, channel: str) -> None:
        if not self._is_overrun_told:
            self._is_overrun_told = True
            text = f"{MOST_OPEN_TEXTS} texts of the peer's have no END yet: further ones go to receive(), frame by frame"
            self._rooms.put(WarningRaised(time_s=self._rooms.turnstile.now_s(), text=text, channel=channel))
