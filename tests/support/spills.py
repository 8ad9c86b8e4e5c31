"""Everything that somebody may read of a client: logs, events, texts, errors with all that they carry along."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import websocket

from haip_sync import HAIPClient
from haip_sync.events import Event


class Spills:
    """What came out of a client, as text."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._said = io.StringIO()

    def note(self, text: str) -> None:
        """Note a text."""
        self._said.write(f"{text}\n")

    def of_error(self, error: BaseException, *, data: tuple[str, ...] = ()) -> None:
        """Note an error and all that it carries along, the local variables of every frame included.

        `data`: attributes that hold what is the application's.
        """
        seen: set[int] = set()
        todo: list[BaseException | None] = [error]
        while todo:
            exc = todo.pop()
            if exc is None or id(exc) in seen:
                continue
            seen.add(id(exc))
            attributes = {name: value for name, value in vars(exc).items() if name not in data}
            self._said.write(f"{exc} {exc!r} {exc.args!r} {attributes!r} {getattr(exc, '__notes__', ())}\n")
            self._said.writelines(traceback.TracebackException.from_exception(exc, capture_locals=True).format())
            todo += [exc.__cause__, exc.__context__]

    def of_client(self, client: HAIPClient) -> None:
        """Note what a client shows of itself."""
        self._said.write(f"{client!r} {client.name} {client.address} {client.connection_state()!r} {client._settings!r}\n")
        if (last := client.connection_state().last_error) is not None:
            if isinstance(last, BaseException):
                self.of_error(last)
            self._said.write(f"{last}\n")

    def text(self) -> str:
        """Return all of it."""
        return f"{self._said.getvalue()}\n{self.events!r}"


@contextmanager
def spilled(*, traces: bool = True) -> Iterator[Spills]:
    """Collect every log record of the process, with websocket-client's tracing of every frame switched on."""
    spills = Spills()
    handler = logging.StreamHandler(spills._said)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    websocket.enableTrace(traces, handler, "DEBUG")
    try:
        yield spills
    finally:
        websocket.enableTrace(False)
        root.setLevel(before)
        root.removeHandler(handler)
