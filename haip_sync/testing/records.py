"""What a session has seen, as frozen records, and the bounded store that keeps them.

The records are public; the store is arithmetic without lock or thread, owned by one session.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Final

import msgspec

_MAX_OPEN_TEXTS: Final = 10_000


class ReceivedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of the client's that was accepted, control frames included. Do not change its payload."""

    type: str
    channel: str
    payload: Any
    """An object; for MESSAGE anything but null."""
    id: str
    session: str
    seq: str
    ack: str | None
    run_id: str | None
    thread_id: str | None
    transaction: str | None
    frame_bytes: int
    """The UTF-8 length of the whole text frame."""
    cost_bytes: int
    """What it cost of our grant; 0 for a control frame, unless the server counts those: then what SYSTEM was debited."""
    binary: bytes | None
    """The binary frame that belongs to it, where there is one."""


class ReceivedText(msgspec.Struct, frozen=True, kw_only=True):
    """One whole text: its START, every PART and its END arrived, or a MESSAGE that is a text."""

    message_id: str
    channel: str
    author: str | None
    text: str
    run_id: str | None = None
    """The run and the thread that its START named."""
    thread_id: str | None = None
    transaction: str | None = None
    """The transaction in which it came, as one MESSAGE; its `message_id` is the frame's id then."""


class ReceivedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool, at one moment. Do not change its parameters or its result."""

    call_id: str
    tool: str
    params: Any
    channel: str
    run_id: str | None
    transaction: str | None
    """The transaction whose MESSAGE it is; None for a TOOL_CALL."""
    status: str
    """QUEUED, RUNNING or CANCELLING; once it is over, OK, CANCELLED or ERROR."""
    result: Any
    """What it came to; None while it runs."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, at one moment."""

    run_id: str
    by: str
    """Who began it: `"client"` or `"server"`."""
    thread_id: str | None = None
    metadata: dict[str, Any] | None = None
    status: str = "ACTIVE"
    """ACTIVE; once it is over, OK, CANCELLED or ERROR."""
    summary: str | None = None
    """What was said of it at its end."""
    code: str | None = None
    """The code of its RUN_ERROR."""

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.status == "ACTIVE"


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction that a session takes part in, or has, at one moment. Do not change its parameters."""

    id: str
    reference: str | None
    """The temporary id that the client began it with; None where it joined."""
    tool: str
    params: dict[str, Any]
    open: bool = True
    """Whether it has not ended. A session that breaks off ends none."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A data frame that came without credit for it. It was not delivered and debited nothing."""

    channel: str
    type: str
    id: str
    seq: str
    cost_bytes: int
    """What it would have cost in bytes."""
    balance: int
    """Messages that the client had left."""
    balance_bytes: int
    """Bytes that the client had left."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that never became a session. Never carries a token."""

    reason: str
    """One sentence."""
    close_code: int | None
    """The WebSocket close code that we sent; None when the client left first."""


class Archive:
    """What one session received: at most `keep` frames, texts, breaches and chunks each, the oldest forgotten first."""

    def __init__(self, keep: int) -> None:
        self.frames: deque[ReceivedFrame] = deque(maxlen=keep)
        self.frame_count = 0
        self.texts: deque[ReceivedText] = deque(maxlen=keep)
        self.text_count = 0
        self.breaches: deque[Breach] = deque(maxlen=keep)
        # By channel: the message id and the sound of each chunk.
        self.audio: dict[str, deque[tuple[str, bytes]]] = {}
        self._keep = keep
        # Texts whose END is still to come, by channel and message id, the oldest first; bounded, for a client that never ends.
        self._open: OrderedDict[tuple[str, str], tuple[ReceivedText, list[str]]] = OrderedDict()

    def go_on(self, earlier: Archive) -> None:
        """Take over the texts that an earlier connection of the same client began."""
        self._open, earlier._open = earlier._open, OrderedDict()

    def add_frame(self, frame: ReceivedFrame) -> None:
        """Keep one frame."""
        self.frames.append(frame)
        self.frame_count += 1

    def begin_text(self, start: ReceivedText) -> None:
        """Take a START, with what text it has; a text that was still open under this id is forgotten."""
        self._open[start.channel, start.message_id] = (start, [start.text])
        if len(self._open) > _MAX_OPEN_TEXTS:
            self._open.popitem(last=False)

    def continue_text(self, channel: str, message_id: str, text: str) -> None:
        """Take a PART; without its START it is no part of any text."""
        if (begun := self._open.get((channel, message_id))) is not None:
            begun[1].append(text)

    def end_text(self, channel: str, message_id: str, text: str) -> ReceivedText | None:
        """Take an END and return the whole text; None when its START never came or a frame of it was refused."""
        begun = self._open.pop((channel, message_id), None)
        if begun is None:
            return None
        start, parts = begun
        done = msgspec.structs.replace(start, text="".join((*parts, text)))
        self.add_text(done)
        return done

    def add_text(self, text: ReceivedText) -> None:
        """Keep one whole text."""
        self.texts.append(text)
        self.text_count += 1

    def add_audio(self, channel: str, message_id: str, sound: bytes) -> None:
        """Keep one chunk of audio."""
        self.audio.setdefault(channel, deque(maxlen=self._keep)).append((message_id, sound))

    def add_breach(self, breach: Breach, message_id: object) -> None:
        """Keep one breach; the text that the refused frame belonged to has a hole and will never be whole."""
        self.breaches.append(breach)
        if isinstance(message_id, str):
            self._open.pop((breach.channel, message_id), None)
