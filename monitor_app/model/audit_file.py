"""The audit trail on disk, so that it outlives the monitor: JSON lines in a file that only its user can read.

An action is a line when it begins and another when it is known what came of it; `pid` and `number` say which two belong
together, and one without a second was cut short. Several monitors may write to one file: each line is one write at its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from monitor_app.model.addresses import without_secrets
from monitor_app.model.audit import AuditEntry, record_of
from monitor_app.model.clock import Clock

MOST_BYTES: Final = 1 << 20
"""A file that has grown so large becomes `.1`, in place of the one before: some thousands of actions are kept in each."""
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class AuditFile:
    """Appends what it is told of. An action is never held up by a disk: what cannot be written is told, once.

    `address` names what is watched; secrets in it are left out. `tell` gets a sentence about a file that cannot be written.
    """

    def __init__(self, path: Path, clock: Clock, address: Callable[[], str], tell: Callable[[str], None]) -> None:
        self._path = path
        self._clock = clock
        self._address = address
        self._tell = tell
        self._told = False

    def write(self, entry: AuditEntry) -> None:
        """Append an entry as it is now. Raises nothing."""
        record = {
            **record_of(entry, self._clock),
            "number": entry.number,
            "pid": os.getpid(),
            "address": without_secrets(self._address()),
        }
        try:
            self._append(msgspec.json.encode(record) + b"\n")
        except OSError as error:
            if not self._told:
                self._told = True
                self._tell(f"{self._path} cannot be written ({error.strerror}): the audit trail lives in this window only.")

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size + len(line) > MOST_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        handle = os.open(self._path, _FLAGS, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
