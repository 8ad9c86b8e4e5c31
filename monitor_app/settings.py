"""What the window remembers from one day to the next: its layout, its theme, its servers. Never a token.

An INI file of the user's. One that is damaged, or somebody else's, is put aside under another name and forgotten: the window
then looks as on the first day. A file that cannot be written costs the memory and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QSettings, QStandardPaths

from monitor_app.model.history import METRICS
from monitor_app.model.servers import Server, from_text, to_text, with_server, without_server
from monitor_app.theme import Mode

_FORMAT: Final = "1"
_FORMAT_KEY: Final = "haip-monitor/format"
_AUDIT_NAME: Final = "monitor-audit.jsonl"
_MOST_BYTES: Final = 1 << 20
"""A settings file has a few kilobytes; a larger one is no settings file."""


class Settings:
    """The settings of this user.

    Attributes:
        path: The file.
        audit_path: Where the audit trail is kept, which is data and no setting.
        trouble: What was wrong with the file, in a sentence; empty when nothing was.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.trouble = ""
        default = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "haip-sync", "haip-monitor")
        self.path = path or Path(default.fileName())
        data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
        self.audit_path = (Path(data) / "haip-sync" if path is None else path.parent) / _AUDIT_NAME
        self._put_aside_if_strange()
        self._store = QSettings(str(self.path), QSettings.Format.IniFormat)

    def _put_aside_if_strange(self) -> None:
        """Rename a file that we did not write, before Qt gets to read more of it than one key."""
        reason = self._strangeness()
        if not reason:
            return
        aside = self.path.with_name(f"{self.path.name}.unreadable")
        self.trouble = f"{self.path} {reason}; it is kept as {aside.name}, and the window begins with its defaults."
        with contextlib.suppress(OSError):
            self.path.replace(aside)

    def _strangeness(self) -> str:
        try:
            data = self.path.read_bytes() if self.path.stat().st_size <= _MOST_BYTES else None
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        if not data:
            return "" if data == b"" else "is too large for a settings file"
        # Every file that we write has this line; one that was cut off in the middle may lack it.
        # We write texts only: no serialized object, and no zero byte.
        if (
            b"\0" in data
            or b"@Variant(" in data
            or f"[haip-monitor]\nformat={_FORMAT}\n".encode() not in data.replace(b"\r\n", b"\n")
        ):
            return "is damaged or not the monitor's"
        return ""

    @property
    def layout(self) -> tuple[QByteArray, QByteArray]:
        """Geometry and state of the window; empty for none."""
        return self._bytes("window/geometry"), self._bytes("window/state")

    def keep_layout(self, geometry: QByteArray, state: QByteArray) -> None:
        """Remember geometry and state."""
        self._put("window/geometry", base64.b64encode(geometry.data()).decode())
        self._put("window/state", base64.b64encode(state.data()).decode())

    def forget_layout(self) -> None:
        """Begin with the default layout next time."""
        for key in ("window/geometry", "window/state"):
            self._store.remove(key)

    @property
    def theme(self) -> Mode:
        """The theme that was chosen last."""
        with contextlib.suppress(ValueError):
            return Mode(self._text("window/theme"))
        return Mode.SYSTEM

    def keep_theme(self, mode: Mode) -> None:
        """Remember the theme."""
        self._put("window/theme", mode.value)

    @property
    def hidden_plots(self) -> frozenset[int]:
        """The plots that are not shown, by their metrics."""
        names = self._text("window/hidden-plots").split(" ")
        return frozenset(metric for metric, name in enumerate(METRICS) if name in names)

    def keep_hidden_plots(self, metrics: Iterable[int]) -> None:
        """Remember which plots are not shown."""
        self._put("window/hidden-plots", " ".join(METRICS[metric] for metric in metrics))

    @property
    def servers(self) -> tuple[Server, ...]:
        """The remembered servers, the latest first."""
        return from_text(self._text("connect/servers"))

    def remember_server(self, address: str, name: str = "") -> None:
        """Remember a server by address and name; what could be a token in the address is left out."""
        self._put("connect/servers", to_text(with_server(self.servers, address, name)))
        self.save()

    def forget_server(self, address: str) -> None:
        """Forget a server."""
        self._put("connect/servers", to_text(without_server(self.servers, address)))
        self.save()

    def save(self) -> None:
        """Write the file now."""
        self._store.sync()
        if self._store.status() is not QSettings.Status.NoError:
            self.trouble = f"{self.path} cannot be written: layout and servers will not be remembered."

    def _put(self, key: str, value: str) -> None:
        self._store.setValue(_FORMAT_KEY, _FORMAT)
        self._store.setValue(key, value)

    def _text(self, key: str) -> str:
        value = self._store.value(key)
        return value if isinstance(value, str) else ""

    def _bytes(self, key: str) -> QByteArray:
        try:
            return QByteArray(base64.b64decode(self._text(key), validate=True))
        except (binascii.Error, ValueError):
            return QByteArray()
