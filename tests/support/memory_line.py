"""A line in memory, and a server without sockets, threads or clock at its other end: for cutting after any byte."""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from websocket import ABNF

from haip_sync.testing import RenewAtHalf
from haip_sync.testing.conversation import Conversation
from haip_sync.testing.fault_frames import Frame, FrameBounds
from haip_sync.testing.fault_rules import Direction, FrameAction
from haip_sync.testing.invocation import run_tool
from haip_sync.testing.resumption import Lasting
from haip_sync.testing.settings import ServerSettings


class NothingYetError(BaseException):
    """The reader has read all that came. No `Exception`: it is not how a line ends."""


class Cut(NamedTuple):
    """A line is cut once exactly so many bytes have passed in one direction."""

    n_bytes: int
    direction: Direction
    resets: bool = False
    """Whether it ends as with RST: what came and was not read is lost too, and who writes is told."""


Tamper = Callable[[Direction, bytes], bytes]
"""What happens on the way to bytes that are whole frames."""


def _as_it_is(_direction: Direction, data: bytes) -> bytes:
    return data


class Tampering:
    """Does something to the nth frames of each direction, as `FaultProxy` does; counted over all lines from where it `begins`.

    Attributes:
        done: What was done to frames that anybody looks at: behind a broken header nobody does, that line is over.
        tore: Something was done to a half of a pair, the announcement of a binary frame or that frame: no number belongs to it.
    """

    def __init__(self, plan: Mapping[tuple[Direction, int], FrameAction], seed: int) -> None:
        self.begins = False
        self.done: list[tuple[Direction, FrameAction]] = []
        self.tore = False
        self._over: set[Direction] = set()
        self._plan = plan
        self._random = Random(seed)  # noqa: S311 - no secret is made of it
        self._numbers: Counter[Direction] = Counter()
        self._held: dict[Direction, bytes] = {}

    def __call__(self, direction: Direction, data: bytes) -> bytes:
        at, pieces = 0, []
        for end in FrameBounds().ends(data):
            pieces.append(self._pass(direction, data[at:end]))
            at = end
        return b"".join(pieces)

    def begin_line(self) -> None:
        """Begin a new line: what the earlier one still held back has ended with it."""
        self._over.clear()
        self._held.clear()

    def take_held(self) -> dict[Direction, bytes]:
        """Return what waits for the next frame of its direction, and wait no longer."""
        held, self._held = self._held, {}
        return held

    def _pass(self, direction: Direction, data: bytes) -> bytes:
        held = self._held.pop(direction, b"")
        if not self.begins:
            return data
        self._numbers[direction] += 1
        action = self._plan.get((direction, self._numbers[direction]))
        if action is None:
            return data + held
        frame = Frame(data)
        if direction not in self._over:
            self.done.append((direction, action))
            self.tore |= b'"bin_len"' in frame.payload or data[0] & 0x0F == ABNF.OPCODE_BINARY
        if action == "garble_header":
            self._over.add(direction)
        if action == "swap":
            self._held[direction] = data + held
            return b""
        changed = {
            "drop": lambda: b"",
            "duplicate": lambda: data + data,
            "garble": lambda: frame.garbled(self._random),
            "shorten": frame.shortened,
            "garble_header": frame.garbled_header,
            "garble_encoding": lambda: frame.garbled_encoding(self._random),
        }
        return changed[action]() + held


class MemoryStream:
    """Bytes both ways, as `haip_sync.runtime.stream.Stream`. What is written stays here until it is carried over."""

    def __init__(self, cut: Cut | None, tamper: Tamper = _as_it_is) -> None:
        self.is_cut = False
        self.passed: dict[Direction, int] = {"to_server": 0, "to_client": 0}
        self._cut = cut
        self._tamper = tamper
        self._written = bytearray()
        self._freed = b""
        self._came = bytearray()

    @property
    def _is_reset(self) -> bool:
        return self.is_cut and self._cut is not None and self._cut.resets

    def carry(self, direction: Direction, data: bytes) -> bytes:
        """Return what of `data` passes before the cut."""
        if self.is_cut:
            return b""
        if self._cut is not None and self._cut.direction == direction:
            left = self._cut.n_bytes - self.passed[direction]
            self.is_cut = len(data) >= left
            data = data[:left]
            if self.is_cut and self._cut.resets:
                self._came.clear()
        self.passed[direction] += len(data)
        return data

    def take_written(self) -> bytes:
        """Return what passes to the server of what was written since; the rest is lost."""
        written = self._freed + self._tamper("to_server", bytes(self._written))
        self._freed = b""
        self._written.clear()
        return self.carry("to_server", written)

    def release(self) -> bool:
        """Let through what waits for a frame behind which it was to come; return whether there was any."""
        held = self._tamper.take_held() if isinstance(self._tamper, Tampering) else {}
        self._came += self.carry("to_client", held.get("to_client", b""))
        self._freed += held.get("to_server", b"")
        return bool(held)

    def bring(self, data: bytes) -> None:
        """Let `data` come to the client."""
        self._came += self.carry("to_client", self._tamper("to_client", data))

    # ---- What the client's runtime asks of a stream ----------------------------------------------------------------------------

    def recv(self) -> bytes:
        came = bytes(self._came)
        self._came.clear()
        if not came and not self.is_cut:
            raise NothingYetError
        if not came and self._is_reset:
            raise ConnectionResetError(errno.ECONNRESET, "connection reset by peer")
        return came

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        del blocking
        if self._is_reset:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")
        self._written += piece
        sent.append(len(piece))

    def wait_until_writable(self, timeout_s: float) -> None:
        raise AssertionError("memory is always writable")

    def run(self, nudge: Callable[[], None]) -> None:
        del nudge

    def shut(self) -> None:
        self.is_cut = True

    def close(self) -> None:
        self.is_cut = True


class MemoryServer:
    """The development server's conversations, one line after another."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        self.conversations: list[Conversation] = []
        self._settings = settings
        self._clock = clock
        self._stream: MemoryStream | None = None
        self._bounds = FrameBounds()
        self._half = b""
        self._holder: Conversation | None = None

    @property
    def conversation(self) -> Conversation:
        """The one that goes on now."""
        return self.conversations[-1]

    def accept(self, stream: MemoryStream) -> None:
        """Begin a new line."""
        self._stream, self._bounds, self._half = stream, FrameBounds(), b""
        may_resume = self._settings.resumes and self._holder is not None
        self.conversations.append(Conversation(self._settings, RenewAtHalf(), {}, claim=self._claim, may_resume=may_resume))
        self.conversation.begin(self._clock())

    def _claim(self, session_id: str, *, wants: bool) -> Lasting | None:
        del session_id  # there is one client
        previous, self._holder = self._holder, self.conversation
        return previous.lasting() if wants and previous is not None else None

    def perform(self, step: Callable[[Conversation, float], None]) -> None:
        """Take one step, as `ServerSession` does."""
        step(self.conversation, self._clock())

    def turn(self) -> bool:
        """Take in what came and say what there is to say; return whether anything moved."""
        stream = self._stream
        if stream is None:
            return False
        came = stream.take_written()
        self._hear(came)
        due = self.conversation.due()
        if due is not None and due <= self._clock() and not stream.is_cut:
            self.perform(lambda conversation, now: conversation.tick(now))
        for call in self.conversation.calls.take_ready():
            run_tool(self, call)  # type: ignore[arg-type]  # it asks for no more than `perform`
        said = b"".join(map(_framed, self.conversation.voice.take_outgoing()))
        stream.bring(said)
        return bool(came or said)

    def _hear(self, data: bytes) -> None:
        at = 0
        for end in self._bounds.ends(data):
            frame = Frame(self._half + data[at:end])
            self._half, at = b"", end
            opcode = frame.data[0] & 0x0F
            if opcode == ABNF.OPCODE_TEXT:
                self.conversation.receive(frame.payload.decode(), self._clock())
            elif opcode == ABNF.OPCODE_BINARY:
                self.conversation.receive(frame.payload, self._clock())
        self._half += data[at:]

    def frames(self) -> list[Any]:
        """Return every frame that was accepted, over all lines, each archive once."""
        archives = {id(conversation.archive): conversation.archive for conversation in self.conversations}
        return [frame for archive in archives.values() for frame in archive.frames]


def _framed(message: str | bytes) -> bytes:
    """Return a message as servers send it."""
    opcode = ABNF.OPCODE_BINARY if isinstance(message, bytes) else ABNF.OPCODE_TEXT
    payload = message if isinstance(message, bytes) else message.encode()
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + payload


def shown(frame: Any) -> str:
    """Return a received frame in short, for messages."""
    return f"{frame.seq} {frame.type} {json.dumps(frame.payload)[:60]}"
