"""`ProgramLink`: an attachment to one running program, on the monitor's side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Self

from haip_sync.config import check_seconds
from haip_sync.errors import AttachError, CommandError, HAIPTimeout
from haip_sync.observe.command_messages import Command
from haip_sync.observe.heard import Heard
from haip_sync.observe.listing import ProgramInfo, check_path
from haip_sync.observe.messages import Answer, Attach, ClientSummary, Detach, Sample, understood
from haip_sync.observe.peers import PeerOf, peer_of
from haip_sync.observe.talk import Talk
from haip_sync.observe.watched import Taken
from haip_sync.state import ConnectionState


class ProgramLink:
    """An attachment to one running program. Thread-safe; every method but `connect`, `call` and `close` returns at once.

    `target` is an entry of `list_programs()`, or the path of a socket (one that SSH forwards, for instance). `monitor` is what
    the script's log calls us. Raises `ConfigError` for what is neither.

    ```python
    with ProgramLink(list_programs()[0]) as link:
        name = link.clients()[0].name
        link.attach(name)
        print(link.call(ExplainChannel(channel="USER"), name).text)
    ```
    """

    def __init__(
        self, target: ProgramInfo | str | os.PathLike[str], *, monitor: str = "a script", peer_of: PeerOf = peer_of
    ) -> None:
        self._path = target.path if isinstance(target, ProgramInfo) else check_path("target", target)
        self._heard = Heard(target if isinstance(target, ProgramInfo) else ProgramInfo(path=self._path, pid=None))
        self._talk = Talk(self._path, self._heard, monitor, peer_of)

    # ---- Beginning and end ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Attach without waiting for it: `trouble` and `has_ended` tell what comes of it. Idempotent."""
        self._talk.start()

    def connect(self, timeout_s: float = 2.0) -> None:
        """Attach, and wait until the program has answered. Raises `AttachError`, which says why it has not; `ConfigError`."""
        timeout_s = check_seconds("timeout_s", timeout_s)
        self.start()
        self._talk.wait_until_settled(timeout_s)
        if not self._heard.is_welcome:
            silence = f"{self._path}: the script has not answered within {timeout_s:g} s: is it stopped?"
            raise AttachError(self.trouble or silence)

    def close(self) -> None:
        """Leave the program alone. Idempotent; commands that are under way end with `AttachError`."""
        self._talk.close()

    def __enter__(self) -> Self:
        """Attach."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave."""
        self.close()

    # ---- The program ----------------------------------------------------------------------------------------------------------

    @property
    def program(self) -> ProgramInfo:
        """The program as it was last heard of, its `trouble` included."""
        return self._heard.program

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard of the program now, in one sentence: it is silent, and may go on, or it `has_ended`."""
        return self._heard.program.trouble

    @property
    def is_forwarded(self) -> bool:
        """Whether another process holds the other end of the socket, as SSH does: its end looks like the program's."""
        return self._heard.is_forwarded

    @property
    def silent_s(self) -> float | None:
        """For how many seconds a program that may go on has said nothing; None: it is heard, or has ended. Beyond 0.7 s."""
        return self._heard.silent_s

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: the program ended, refused us, or the link was closed."""
        return self._heard.has_ended

    def clients(self) -> tuple[ClientSummary, ...]:
        """Return the program's clients, as of the last second."""
        return self._heard.program.clients

    # ---- One client -----------------------------------------------------------------------------------------------------------

    def attach(self, client: str, *, every_event: bool = False) -> None:
        """Have the program tell of a client from now on. At any time, before `start` too; idempotent.

        `every_event`: single sends, frames that came (without what they hold) and gauges as well, which costs the script.
        Raises `ConfigError` for what is no name.
        """
        understood(Attach(client=client, every_event=every_event))
        self._talk.watch(client, every_event=every_event)

    def detach(self, client: str) -> None:
        """Hear no more of a client, and forget what was heard. Idempotent. Raises `ConfigError`."""
        understood(Detach(client=client))
        self._talk.unwatch(client)

    def snapshot(self, client: str) -> ConnectionState | None:
        """Return the client as the program last told it; None before that, and for one that is not attached to."""
        return self._heard.state(client)[0]

    def snapshot_time(self, client: str) -> float | None:
        """Return when the client was so, in seconds on our monotonic clock."""
        return self._heard.state(client)[1]

    def drain(self, client: str, limit: int) -> Taken:
        """Take at most `limit` events of the client, oldest first."""
        return self._heard.drain(client, limit)

    def take_past(self, client: str) -> Sequence[Sample]:
        """Take what the program remembered of the client as we attached: a sample a second, ten minutes at most. Once."""
        return self._heard.take_past(client)

    # ---- Commands -------------------------------------------------------------------------------------------------------------

    def call(self, command: Command, client: str, *, timeout_s: float = 5.0) -> Answer:
        """Have the program carry out a command with one of its clients, and return its answer.

        Raises:
            CommandError: The program would not (`refused`), or its client could not; the text is the program's.
            AttachError: The program ended, or the link was closed. Says whether the command was carried out, if that is known.
            HAIPTimeout: No answer in time: whether it was or will be carried out is not known.
            ConfigError: The command holds what it may not, or is none. Nothing was asked.

        """
        timeout_s = check_seconds("timeout_s", timeout_s)
        try:
            answer = self.ask(command, client).result(timeout_s)
        except FutureTimeout as exc:
            what = f"no answer within {timeout_s:g} s to {type(command).__name__}: it may be carried out all the same"
            raise HAIPTimeout(f"{what}. {self.trouble or ''}".rstrip()) from exc
        if not answer.ok:
            raise CommandError(answer.text, refused=answer.refused)
        return answer

    def ask(self, command: Command, client: str) -> Future[Answer]:
        """Have the program carry out a command, without waiting; the future holds what `call` returns, failures included.

        It ends with `AttachError` where the program is lost. Its callbacks run on the link's thread. Raises `AttachError` where
        nothing was asked: too many commands are under way, or the command is too large; `ConfigError` as `call`.
        """
        return self._talk.ask(command, client)
