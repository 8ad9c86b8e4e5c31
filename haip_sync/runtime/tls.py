"""TLS between a socket and those who read and write it, for two threads at once.

Two threads must not share an `ssl.SSLSocket`: one that reads while the other writes sees ends of file that are none, and now
and then a broken record. Here an `ssl.SSLObject` works on memory, under one lock that is held for arithmetic only; the socket
stays outside, so that the thread that reads never waits behind one that is stuck in sending.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final

from haip_sync.runtime.ciphertext import Answer, Flow
from haip_sync.runtime.stream import CAN_TRY_TO_SEND, Stream

_MOST_PLAIN_BYTES: Final = 64 << 10
"""Encrypted at a time."""
_MOST_ANSWER_BYTES: Final = 64 << 10
"""A peer that has TLS answer ever more and reads none of it is given up."""
_RENEGOTIATION_POLL_S: Final = 0.01
_RECORD_BYTES: Final = 16 << 10
"""The most that TLS decrypts at a time."""


class TlsError(OSError):
    """TLS broke off: `reason` is OpenSSL's name for why, such as `BAD_RECORD_MAC`."""

    def __init__(self, cause: ssl.SSLError) -> None:
        self.reason = cause.reason or ""
        super().__init__(f"TLS failed: {self.reason.replace('_', ' ').lower() or cause}")


class TlsStream:
    """TLS over another stream, with the same contract: a client's end, or a server's.

    A piece of plaintext is encrypted once, whatever interrupts that: its length is noted first (the flow's claim), and
    ciphertext that is found afterwards shows that it was done. It counts as sent when its ciphertext has left.
    """

    def __init__(
        self, inner: Stream, context: ssl.SSLContext, *, server_name: str | None = None, is_server: bool = False
    ) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server, server_hostname=server_name)
        # Guards the TLS object, the memory on both sides of it, and `_flow` with its chunks. Re-entrant only because a signal
        # handler may shut what is just being shut.
        self._lock = threading.RLock()
        self._flow = Flow()
        # Plain stores of the thread that receives: the peer has ended, or TLS has failed.
        self._is_over = False
        self._failure: TlsError | None = None
        # A plain store of whoever shuts.
        self._is_shut = False
        # The sender's own: nothing can be encrypted before the peer has said something.
        self._awaits_peer = False
        self._nudge: Callable[[], None] = self._send_flow

    @property
    def version(self) -> str:
        """TLS version and cipher, for logs."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}"

    def handshake(self) -> None:
        """Agree on keys: once, before anything else. Raises `OSError`, that is `ssl.SSLError` where TLS itself fails."""
        arrived = b""
        while not self._shake_hands(arrived):
            arrived = self._inner.recv()
            if not arrived:
                raise ConnectionResetError("the peer ended the connection in the TLS handshake")

    def _shake_hands(self, arrived: bytes) -> bool:
        """Take the handshake as far as it goes; return whether it is done."""
        try:
            return self._step(arrived)
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._send_flow()  # the alert that tells the peer why
            raise

    def _step(self, arrived: bytes) -> bool:
        with self._lock:
            self._incoming.write(arrived)
            try:
                self._tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                is_done = False
            finally:
                self._take_ciphertext()
        self._send_flow()
        return is_done

    # ---- Receiving -------------------------------------------------------------------------------------------------------------

    def recv(self) -> bytes:
        """Return what comes next; see `Stream.recv`. An end without TLS's own goodbye (close_notify) is an end all the same."""
        arrived = b""
        while True:
            plain = self._decrypt(arrived)
            if plain or self._is_over:
                return plain
            if self._failure is not None:
                raise self._failure
            arrived = self._inner.recv()
            self._is_over = self._is_over or not arrived

    def _decrypt(self, arrived: bytes) -> bytes:
        """Return the plaintext that `arrived` completes; have sent what TLS answers to the rest (a key update, for instance)."""
        pieces: list[bytes] = []
        with self._lock:
            self._take_ciphertext()
            self._incoming.write(arrived)
            try:
                self._read_into(pieces)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self._is_over = True
            except ssl.SSLError as exc:
                self._failure = TlsError(exc)
            has_answer = self._take_answer()
        if has_answer:
            self._nudge()
        return b"".join(pieces)

    def _read_into(self, pieces: list[bytes]) -> None:
        """Decrypt all that is there. Requires the lock."""
        while self._incoming.pending or self._tls.pending():
            piece = self._tls.read(_RECORD_BYTES)
            if not piece:
                self._is_over = True
                return
            pieces.append(piece)

    def _take_answer(self) -> bool:
        """Put what reading made TLS say into the flow; return whether it is to be sent. Requires the lock; never interrupted."""
        answer = self._outgoing.read()
        if not answer or self._failure is not None:
            return False
        self._flow.chunks.append(Answer(answer))
        if self._flow.answer_bytes() > _MOST_ANSWER_BYTES:
            raise ConnectionAbortedError("the peer has TLS answer ever more, and reads none of it")
        return True

    # ---- Sending ---------------------------------------------------------------------------------------------------------------

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        """Send; see `Stream.send_some`.

        What `sent` does not count yet may be on its way as ciphertext already: `piece` is then only gone on with.
        """
        while not self._encrypt(piece):
            self._send_flow(blocking=blocking)
            self._wait_for_peer(blocking=blocking)
        self._send_flow(blocking=blocking)
        # Both in C: a claim that is counted is gone, and none is counted twice.
        sent.extend(map(self._flow.claim.pop, (0,)))

    def _encrypt(self, piece: memoryview) -> bool:
        """Claim the beginning of `piece` and encrypt it, or what was claimed before; return False where TLS must hear more first.

        `SSLObject.write` may raise what a signal handler raises when it has encrypted, so what it returns is no proof.
        """
        with self._lock:
            self._take_ciphertext()
            if not self._flow.claim:
                self._flow = self._flow.begun(min(len(piece), _MOST_PLAIN_BYTES))
            self._awaits_peer = False
            if self._flow.is_encrypted():
                return True
            try:
                self._tls.write(piece[: self._flow.claim[0]])
            except ssl.SSLWantReadError:
                self._awaits_peer = True
            except ssl.SSLError as exc:
                raise TlsError(exc) from exc
            self._take_ciphertext()
            return not self._awaits_peer

    def _take_ciphertext(self) -> None:
        """Put what was encrypted into the flow, in C as well. Requires the lock, and comes first under it."""
        if self._outgoing.pending:
            self._flow.chunks.extend(map(self._outgoing.read, (-1,)))

    def _send_flow(self, *, blocking: bool = True) -> None:
        """Send all ciphertext that there is. The sender only."""
        while True:
            with self._lock:
                flow, rest = self._flow, self._flow.rest()
            if rest is None:
                return
            self._inner.send_some(rest, flow.sent, blocking=blocking)
            if flow.is_over:
                return  # what the receiving thread adds from here on, it has sent itself (`_nudge`)

    def _wait_for_peer(self, *, blocking: bool) -> None:
        """Wait a moment for what the receiving thread brings: TLS 1.2 may agree on keys anew, and sends no data meanwhile."""
        if not blocking:
            raise BlockingIOError
        if self._is_over or self._is_shut or self._failure is not None:
            raise ConnectionAbortedError("the connection ended while TLS agreed on new keys")
        time.sleep(_RENEGOTIATION_POLL_S)

    def wait_until_writable(self, timeout_s: float) -> None:
        """Wait; see `Stream.wait_until_writable`."""
        if self._awaits_peer:
            time.sleep(min(max(0.0, timeout_s), _RENEGOTIATION_POLL_S))
        else:
            self._inner.wait_until_writable(timeout_s)

    # ---- The end ---------------------------------------------------------------------------------------------------------------

    def run(self, nudge: Callable[[], None]) -> None:
        """Forget the deadline; see `Stream.run`."""
        self._nudge = nudge
        self._inner.run(nudge)

    def shut(self) -> None:
        """Say goodbye if that can be done at once, and end both directions; see `Stream.shut`."""
        try:
            self.say_goodbye()
        finally:
            self._inner.shut()

    def say_goodbye(self) -> None:
        """Tell the peer that no more comes (close_notify), if that can be done at once: one that does not read is not told."""
        with contextlib.suppress(OSError):
            goodbye = self._goodbye()
            if goodbye:
                self._inner.send_some(memoryview(goodbye), [], blocking=False)

    def _goodbye(self) -> bytes:
        """Return TLS's close_notify; nothing where a sender is in the middle of something, or after the first time."""
        with self._lock:
            is_first, self._is_shut = not self._is_shut, True
            is_idle = not self._flow.claim and self._flow.rest() is None and not self._outgoing.pending
            if not (is_first and is_idle and CAN_TRY_TO_SEND):
                return b""
            with contextlib.suppress(ssl.SSLError):  # it wants the peer's own, which is not waited for
                self._tls.unwrap()
            return self._outgoing.read()

    def close(self) -> None:
        """Close what is below; see `Stream.close`."""
        self._inner.close()
