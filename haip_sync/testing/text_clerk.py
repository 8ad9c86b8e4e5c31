"""Texts of the client's, put together from their frames, and the agent that answers them. No thread, no lock, no socket.

Not thread-safe; see `Conversation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from haip_sync.testing import wire
from haip_sync.testing.agent import AGENT, AGENT_NAME, answer_to
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.payloads import TextPayload
from haip_sync.testing.records import Archive, ReceivedText
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice


class TextClerk:
    """Reads START, PART and END of the dialects that the server speaks."""

    def __init__(self, settings: ServerSettings, voice: Voice, archive: Archive, reader: Reader) -> None:
        self._settings = settings
        self._voice = voice
        self._archive = archive
        self._reader = reader

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type."""
        steps = (self._begin, self._continue, self._end)
        types = wire.TEXT_TYPES[self._settings.dialect]
        return {name: partial(self._read, step) for names in types for name, step in zip(names, steps, strict=True)}

    def _read(self, step: Callable[[Arrival, TextPayload], None], arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, TextPayload)
        if payload is not None:
            step(arrival, payload)

    def _begin(self, arrival: Arrival, payload: TextPayload) -> None:
        envelope = arrival.envelope
        self._archive.begin_text(
            ReceivedText(
                message_id=payload.message_id,
                channel=envelope.channel,
                author=payload.author,
                text=payload.text,
                run_id=envelope.run_id,
                thread_id=envelope.thread_id,
            )
        )

    def _continue(self, arrival: Arrival, payload: TextPayload) -> None:
        self._archive.continue_text(arrival.envelope.channel, payload.message_id, payload.text)

    def _end(self, arrival: Arrival, payload: TextPayload) -> None:
        done = self._archive.end_text(arrival.envelope.channel, payload.message_id, payload.text)
        if done is not None and self._settings.agent and done.channel != AGENT:
            members = {"run_id": done.run_id, "thread_id": done.thread_id}
            self._voice.say(AGENT, answer_to(done.text), AGENT_NAME, members)
