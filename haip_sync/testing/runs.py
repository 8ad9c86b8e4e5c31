"""The runs of one session, whoever drives them: begun, finished, cancelled or failed. No thread, no lock, no socket.

Not thread-safe; see `Conversation`. HAIP 1.1.2: RUN_STARTED and what ends a run are announced by the side that drives it; the
other side may ask for its end with RUN_CANCEL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.payloads import RunCancelPayload, RunErrorPayload, RunFinishedPayload, RunStartedPayload
from haip_sync.testing.records import Run
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice


class RunDesk:
    """Keeps a session's runs. `on_cancel(run_id, reason)` is called for each run that is cancelled."""

    def __init__(self, settings: ServerSettings, voice: Voice, reader: Reader, on_cancel: Callable[[str, str], None]) -> None:
        self._limit = settings.max_concurrent_runs
        self._keep = settings.keep_received
        self._voice = voice
        self._reader = reader
        self._on_cancel = on_cancel
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type."""
        return {
            "RUN_STARTED": self._on_started,
            "RUN_FINISHED": self._on_finished,
            "RUN_CANCEL": self._on_cancelled,
            "RUN_ERROR": self._on_error,
        }

    def records(self) -> tuple[Run, ...]:
        """Return every run, in order of its beginning; of more than are kept, the oldest that are over are forgotten."""
        return tuple(self._runs.values())

    # What the client says

    def _on_started(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, RunStartedPayload)
        if payload is None:
            return
        envelope = arrival.envelope
        run_id = payload.run_id or envelope.run_id or str(uuid4())
        if run_id in self._runs:
            self._voice.violation(f"a run {run_id} was begun before", envelope.id)
        elif sum(run.active for run in self._runs.values()) >= self._limit:
            self._voice.error("RUN_LIMIT_EXCEEDED", f"at most {self._limit} runs at a time", envelope.id)
        else:
            thread_id = payload.thread_id or envelope.thread_id
            self._add(Run(run_id=run_id, thread_id=thread_id, metadata=payload.metadata, by="client"))

    def _on_finished(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, RunFinishedPayload)
        if payload is not None:
            self._end(arrival, payload.run_id, {"status": payload.status, "summary": payload.summary})

    def _on_error(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, RunErrorPayload)
        if payload is not None:
            self._end(arrival, payload.run_id, {"status": "ERROR", "code": payload.code, "summary": payload.message})

    def _on_cancelled(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, RunCancelPayload)
        run = None if payload is None else self._end(arrival, payload.run_id, {"status": "CANCELLED"})
        if run is None:
            return
        self._on_cancel(run.run_id, "its run was cancelled")
        if run.by == "server":
            # We drive it, so it is for us to say that it is over.
            self._say(run, "RUN_FINISHED", {"run_id": run.run_id, "status": "CANCELLED"})

    def _end(self, arrival: Arrival, run_id: str | None, changes: Mapping[str, Any]) -> Run | None:
        """End a run and return it; None where it was over already (the two frames may have crossed) or is not known."""
        name = run_id or arrival.envelope.run_id
        run = None if name is None else self._runs.get(name)
        if run is None:
            self._voice.error("RUN_NOT_FOUND", f"there is no run {name}", arrival.envelope.id)
        return None if run is None else self._close(run, changes)

    # What the server does

    def start(self, run: Run) -> None:
        """Begin a run of ours and announce it."""
        named = {"run_id": run.run_id, "thread_id": run.thread_id, "metadata": run.metadata}
        self._say(run, "RUN_STARTED", {name: value for name, value in named.items() if value is not None})
        self._add(run)

    def end(self, run_id: str, event_type: str, payload: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        """End a run, whoever began it, and announce that; nothing where it is over or was never begun."""
        run = self._runs.get(run_id)
        if run is not None and run.active:
            self._say(run, event_type, {"run_id": run_id, **payload})
            self._close(run, changes)
            if event_type == "RUN_CANCEL":
                self._on_cancel(run_id, "its run was cancelled")

    def _add(self, run: Run) -> None:
        self._runs[run.run_id] = run
        if len(self._runs) > self._keep:
            over = (name for name, known in self._runs.items() if not known.active)
            self._runs.pop(next(over, next(iter(self._runs))))

    def _close(self, run: Run, changes: Mapping[str, Any]) -> Run | None:
        if not run.active:
            return None
        ended = msgspec.structs.replace(run, **changes)
        self._runs[run.run_id] = ended
        return ended

    def _say(self, run: Run, event_type: str, payload: Mapping[str, Any]) -> None:
        members = {"run_id": run.run_id, "thread_id": run.thread_id}
        self._voice.submit(wire.SYSTEM, Draft(event_type, payload, members=members))
