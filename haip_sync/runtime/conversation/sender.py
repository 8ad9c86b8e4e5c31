"""What handles send with: the client, as they see it, and with a run's ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from haip_sync.flow.pending import PendingSend
from haip_sync.runtime.timeouts import SEND_TIMEOUT, Timeout
from haip_sync.state import SendReceipt

if TYPE_CHECKING:
    from haip_sync.runtime.conversation.tool_call import ToolCall


class Sender(Protocol):
    """The part of `HAIPClient` that sends; see there."""

    def send(
        self,
        channel: str,
        event_type: str,
        payload: Mapping[str, Any] | str,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send one frame, waiting for credit."""

    def send_text_message(
        self,
        channel: str,
        text: str,
        author: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        *,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send a text, waiting for credit."""

    def enqueue_text_message(
        self,
        channel: str,
        text: str,
        author: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
    ) -> PendingSend:
        """Queue a text."""

    def send_audio_chunk(
        self,
        channel: str,
        message_id: str,
        mime: str,
        data: bytes,
        *,
        duration_ms: float | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send a piece of sound, waiting for credit."""

    def call_tool(
        self,
        channel: str,
        tool: str,
        params: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> ToolCall:
        """Call a tool."""


class SendingInRun(ABC):
    """Sends what belongs to a run: as the client does, with the run's ids. As thread-safe as the client.

    Attributes:
        run_id: The run's id, a UUID.
        thread_id: What the run belongs to; None: nothing named.
    """

    def __init__(self, run_id: str, thread_id: str | None) -> None:
        self.run_id = run_id
        self.thread_id = thread_id

    @abstractmethod
    def _begun_sender(self) -> Sender:
        """Return who sends. Raises `ConfigError` while the run is not begun."""

    def send_text_message(
        self, channel: str, text: str, author: str | None = None, *, timeout: Timeout = SEND_TIMEOUT
    ) -> SendReceipt:
        """Do what `HAIPClient.send_text_message` does, with the run's ids."""
        return self._begun_sender().send_text_message(channel, text, author, self.run_id, self.thread_id, timeout=timeout)

    def enqueue_text_message(self, channel: str, text: str, author: str | None = None) -> PendingSend:
        """Do what `HAIPClient.enqueue_text_message` does, with the run's ids. It may leave after the run has ended."""
        return self._begun_sender().enqueue_text_message(channel, text, author, self.run_id, self.thread_id)

    def send(
        self,
        channel: str,
        event_type: str,
        payload: Mapping[str, Any] | str,
        *,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Do what `HAIPClient.send` does, with the run's ids."""
        return self._begun_sender().send(
            channel,
            event_type,
            payload,
            run_id=self.run_id,
            thread_id=self.thread_id,
            binary=binary,
            binary_mime=binary_mime,
            timeout=timeout,
        )

    def send_audio_chunk(
        self,
        channel: str,
        message_id: str,
        mime: str,
        data: bytes,
        *,
        duration_ms: float | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Do what `HAIPClient.send_audio_chunk` does, with the run's ids."""
        return self._begun_sender().send_audio_chunk(
            channel,
            message_id,
            mime,
            data,
            duration_ms=duration_ms,
            run_id=self.run_id,
            thread_id=self.thread_id,
            timeout=timeout,
        )

    def call_tool(
        self, channel: str, tool: str, params: Mapping[str, Any] | None = None, *, timeout: Timeout = SEND_TIMEOUT
    ) -> ToolCall:
        """Do what `HAIPClient.call_tool` does, with the run's ids."""
        return self._begun_sender().call_tool(
            channel, tool, params, run_id=self.run_id, thread_id=self.thread_id, timeout=timeout
        )
