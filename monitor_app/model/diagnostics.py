"""What a bug report needs to know of this monitor, as text. Never a token: only what is named here is told."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Final

from monitor_app.model.event_log import Tone
from monitor_app.model.ingest import Ingest
from monitor_app.model.units import NONE, format_count

_PACKAGES: Final = ("haip-sync", "PySide6-Essentials", "pyqtgraph", "numpy", "websocket-client", "msgspec")
_ENVIRONMENT: Final = ("QT_QPA_PLATFORM", "QT_SCALE_FACTOR", "XDG_SESSION_TYPE", "WAYLAND_DISPLAY", "DISPLAY", "LANG")
_MOST_WARNINGS: Final = 20


def versions() -> dict[str, str]:
    """Return the versions of this program and of what it stands on."""
    return {"Python": sys.version.split()[0], **{package: _version(package) for package in _PACKAGES}}


def report(ingest: Ingest, facts: Mapping[str, str], warnings: Iterable[str] = ()) -> str:
    """Return the report. `facts` is what the window adds: Qt, screens, frames; `warnings` what was noted outside the log."""
    sections = {
        "Versions": versions(),
        "System": {"platform": platform.platform(), "machine": platform.machine(), **_environment()},
        "Window": facts,
        "Source": _source(ingest),
        "Counters": _counters(ingest),
    }
    lines = ["HAIP Monitor diagnostics"]
    for title, entries in sections.items():
        lines += ["", title, *(f"  {name}: {value}" for name, value in entries.items())]
    noted = [*warnings, *_recent_trouble(ingest)][-_MOST_WARNINGS:]
    lines += ["", "Recent warnings", *(f"  {text}" for text in noted or ["none"])]
    return "\n".join(lines) + "\n"


def _source(ingest: Ingest) -> dict[str, str]:
    source, state = ingest.source, ingest.connection
    failure = source.failure
    return {
        "kind": type(source).__name__,
        "address": source.address or NONE,
        "steering": source.steering_refused or ("read-only" if ingest.commands.read_only else "allowed"),
        "connected": "yes" if state is not None and state.connected else "no",
        "failure": f"{failure.title}. {failure.text}" if failure is not None else NONE,
        "dialect": (state.dialect or NONE) if state is not None else NONE,
        "epoch": str(state.epoch) if state is not None else NONE,
        "channels": str(len(state.channels)) if state is not None else NONE,
    }


def _counters(ingest: Ingest) -> dict[str, str]:
    log, audit = ingest.log, ingest.audit
    return {
        "log rows": f"{format_count(len(log.rows))}, {format_count(log.first)} older ones dropped",
        "actions": f"{format_count(len(audit.entries))}, {format_count(audit.dropped)} older ones dropped",
        "events dropped by the monitor": format_count(ingest.dropped),
        "age of the oldest event taken last": f"{ingest.lag_s * 1000:.0f} ms",
    }


def _recent_trouble(ingest: Ingest) -> list[str]:
    found: list[str] = []
    for row in reversed(ingest.log.rows):
        if row.tone is Tone.TROUBLE:
            where = f" {row.channel}" if row.channel else ""
            found.append(f"{ingest.clock.time_of_day(row.time_s)}{where} {row.kind}: {row.text}")
        if len(found) == _MOST_WARNINGS:
            break
    return found[::-1]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"
