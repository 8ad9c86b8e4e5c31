"""Audio of the client's, as a binary frame or as base64. No thread, no lock, no socket. Not thread-safe; see `Conversation`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.payloads import AudioPayload
from haip_sync.testing.records import Archive
from haip_sync.testing.voice import Voice


class AudioClerk:
    """Reads AUDIO_CHUNK, and for who asks AUDIO of the transaction dialect."""

    def __init__(self, voice: Voice, archive: Archive, reader: Reader) -> None:
        self._voice = voice
        self._archive = archive
        self._reader = reader

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type."""
        return {"AUDIO_CHUNK": self.read}

    def read(self, arrival: Arrival) -> None:
        """Keep the sound that a frame carries; without any it is a violation."""
        payload = self._reader.payload(arrival, AudioPayload)
        if payload is None:
            return
        envelope, sound = arrival.envelope, arrival.binary
        if sound is None:
            sound = _decoded(payload.data)
        if sound is None:
            self._voice.violation(f"{envelope.type} has neither a binary frame nor data in base64", envelope.id)
        else:
            self._archive.add_audio(envelope.channel, payload.message_id, sound)


def _decoded(data: str | None) -> bytes | None:
    try:
        return None if data is None else base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
