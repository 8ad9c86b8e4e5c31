"""Ciphertext between TLS and the socket: what it stands for, and how much of it has left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_RECORD_HEADER_BYTES: Final = 5
_APPLICATION_DATA: Final = 23


class Answer(bytes):
    """Ciphertext that TLS says of itself: it stands for no plaintext of ours."""

    __slots__ = ()


class Flow:
    """Ciphertext on its way, and the plaintext that it stands for. An interrupt may come between any two steps, so each is one.

    Attributes:
        claim: How much plaintext is being encrypted or on its way, as its only member; empty once all of that has left.
        chunks: Ciphertext in the order in which it was encrypted.
        sent: How much of it has left, by system call.
    """

    __slots__ = ("chunks", "claim", "sent")

    def __init__(self, claim: Sequence[int] = (), chunks: Sequence[bytes] = (), sent: int = 0) -> None:
        self.claim = list(claim)
        self.chunks = list(chunks)
        self.sent = [sent]

    def begun(self, claim: int) -> Flow:
        """Return what follows this one, whose own claim has left: a new claim behind the answers that still stand here."""
        if self.is_over:
            return Flow((claim,))
        chunks, done = self.chunks.copy(), sum(self.sent)
        while chunks and done >= len(chunks[0]):
            done -= len(chunks.pop(0))
        return Flow((claim,), chunks, done)

    @property
    def is_over(self) -> bool:
        """Whether all of it has left."""
        return sum(self.sent) >= sum(map(len, self.chunks))

    def rest(self) -> memoryview | None:
        """Return what is to be sent next; None: all has left."""
        done = sum(self.sent)
        for chunk in self.chunks:
            if done < len(chunk):
                return memoryview(chunk)[done:]
            done -= len(chunk)
        return None

    def is_encrypted(self) -> bool:
        """Return whether the claim's ciphertext is here."""
        return bool(self.chunks) and any(not isinstance(chunk, Answer) and carries_data(chunk) for chunk in self.chunks)

    def answer_bytes(self) -> int:
        """Return how much TLS has said of itself since the claim began."""
        return sum(len(chunk) for chunk in self.chunks if isinstance(chunk, Answer))


def carries_data(records: bytes) -> bool:
    """Return whether there is a record among these TLS records that carries data (in TLS 1.3 every encrypted one says so)."""
    at = 0
    while at + _RECORD_HEADER_BYTES <= len(records):
        if records[at] == _APPLICATION_DATA:
            return True
        at += _RECORD_HEADER_BYTES + int.from_bytes(records[at + 3 : at + _RECORD_HEADER_BYTES], "big")
    return False
