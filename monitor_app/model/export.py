"""Writes tables to files as CSV or JSON lines: in steps, so that a window stays alive, and whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any, Final

import msgspec

STEP_ROWS: Final = 500
"""Rows that one step writes."""
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
_NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
Record = Mapping[str, Any]


class Format(Enum):
    """How a table is written; the value is the ending of its file."""

    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True)
class Table:
    """What is exported."""

    columns: Sequence[str]
    """The members that become columns of a CSV file; JSON lines have all members."""
    records: Iterable[Record]
    """In order; taken as they are written."""
    count: int
    """How many."""


class ExportError(Exception):
    """The file could not be written, with the reason in words; the file of that name is as it was before."""


class Export:
    """One export. Call `step` until it returns False, or `abort`. Writes beside the target and moves it there at the end.

    Attributes:
        done: Records written so far.
        total: Records in all.
        path: The target.
    """

    def __init__(self, table: Table, path: Path, format_: Format) -> None:
        self.done = 0
        self.total = table.count
        self.path = path
        self._records: Iterator[Record] = iter(table.records)
        with _told(path):
            self._target = _target(path)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=self._target.parent)
            self._part = Path(name)
            self._file: IO[str] = os.fdopen(handle, "w", encoding="utf-8", newline="", errors="backslashreplace")
        try:
            self._write = self._csv(table.columns) if format_ is Format.CSV else self._json_line
        except BaseException:
            self.abort()
            raise

    def step(self) -> bool:
        """Write some records; return whether there are more to write. Raises `ExportError`, after which nothing is left."""
        try:
            with _told(self.path):
                count = 0
                for record in itertools.islice(self._records, STEP_ROWS):
                    self._write(record)
                    count += 1
                self.done += count
                if count == STEP_ROWS:
                    return True
                self._finish()
        except BaseException:
            self.abort()
            raise
        return False

    def run(self) -> None:
        """Write everything at once. Raises `ExportError`."""
        while self.step():
            pass

    def abort(self) -> None:
        """Give up and leave nothing behind. Idempotent."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def _csv(self, columns: Sequence[str]) -> Callable[[Record], object]:
        with _told(self.path):
            writer = csv.writer(self._file)
            writer.writerow([_harmless(name) for name in columns])
        return lambda record: writer.writerow([_harmless(record.get(name)) for name in columns])

    def _json_line(self, record: Record) -> None:
        self._file.write(msgspec.json.encode(record).decode("utf-8") + "\n")

    def _finish(self) -> None:
        """Have the bytes on the disk before the name: a full disk is noticed here at the latest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        _permit(self._part, self._target)
        self._part.replace(self._target)


def _target(path: Path) -> Path:
    """Return the file that is replaced: behind a link what it names, which stays a link. A device would be no device any more."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ExportError(f"{path} is no ordinary file. Give another name. Nothing was changed.")
    return target


def _harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a peer chooses much of what is exported. Numbers stay numbers.

    The apostrophe is OWASP's remedy against CSV injection; JSON lines have the text as it is.
    """
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn errors of the system into words."""
    try:
        yield
    except OSError as error:
        raise ExportError(_told_of(path, error)) from error


def _told_of(path: Path, error: OSError) -> str:
    """Return what went wrong, and what to do where that is not plain."""
    if error.errno == errno.ENOENT and not path.parent.is_dir():
        return f"There is no folder {path.parent}. Make it first, or give another one. Nothing was written."
    return " ".join((f"{path} could not be written: {_reason(error)}. Nothing was changed.", *_advice(error)))


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    if error.errno in _NOT_ALLOWED:
        return "you may not write there"
    return (error.strerror or str(error)).lower()


def _advice(error: OSError) -> tuple[str, ...]:
    """Return what to do, where that is known: a sentence or none."""
    if error.errno == errno.ENOSPC:
        return ("Free some space, or give another folder.",)
    return ("Give another folder.",) if error.errno in _NOT_ALLOWED else ()


def _permit(part: Path, target: Path) -> None:
    """Give the new file the permissions of the one it replaces, or of any new file: a temporary one is private."""
    try:
        mode = target.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    part.chmod(mode)
