"""The head of an HTTP answer: what a proxy and a WebSocket server say first."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from haip_sync.runtime.stream import Stream

_MOST_HEAD_BYTES: Final = 64 << 10
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r?$)")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_TLS_ALERT: Final = b"\x15\x03"


class NotHttpError(Exception):
    """What answers does not speak HTTP, or never comes to an end."""

    def __init__(self, first: bytes) -> None:
        super().__init__("not HTTP")
        self.is_tls = first.startswith(_TLS_ALERT)


class Head(NamedTuple):
    """An answer's head.

    Attributes:
        status: The code.
        headers: By name in small letters; several of one name are joined with commas.
        rest: What came behind the head.
    """

    status: int
    headers: dict[str, str]
    rest: bytes

    def has(self, name: str, word: str) -> bool:
        """Return whether the header `name` lists `word`, in whatever case."""
        return word in (entry.strip().lower() for entry in self.headers.get(name, "").split(","))


def read_head(stream: Stream) -> Head:
    """Read the head of an answer. Raises `NotHttpError`, `ConnectionResetError` at an early end, and as `Stream.recv`."""
    data = b""
    while (end := _HEAD_END.search(data)) is None:
        if len(data) > _MOST_HEAD_BYTES or not _may_become_http(data):
            raise NotHttpError(data)
        piece = stream.recv()
        if not piece:
            raise ConnectionResetError("the peer ended the connection before it had answered")
        data += piece
    return _parsed(data[: end.start()], data[end.end() :])


def _may_become_http(data: bytes) -> bool:
    return data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)


def _parsed(head: bytes, rest: bytes) -> Head:
    first, *lines = re.split(rb"\r?\n", head)
    status = _STATUS_LINE.match(first)
    if status is None:
        raise NotHttpError(first)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise NotHttpError(first)
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(int(status[1]), headers, rest)
