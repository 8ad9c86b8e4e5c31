"""What handles send with: the client, as they see it."""

from __future__ import annotations

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
