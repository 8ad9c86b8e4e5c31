"""Two classes of the page, told again: who watches credit, and who watches pauses."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from haip_sync import ConnectionState, CreditGranted, HAIPClient, Message
from seed_page.stage import PATIENCE_S


class FlowControlMonitor:
    """Hears FLOW_UPDATEs, and looks at the state whenever its gate is opened, where the page looks every five seconds.

    `updates` has the frames, `grants` the same as typed events.
    """

    def __init__(self, client: HAIPClient) -> None:
        self.updates: SimpleQueue[Message] = SimpleQueue()
        self.grants: SimpleQueue[CreditGranted] = SimpleQueue()
        self._client = client
        self._states: SimpleQueue[ConnectionState] = SimpleQueue()
        self._gate: SimpleQueue[bool] = SimpleQueue()
        client.on("message", self._handle_message)
        client.on("flow_update", self.grants.put)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _handle_message(self, message: Message) -> None:
        if message.type == "FLOW_UPDATE":
            self.updates.put(message)

    def _watch(self) -> None:
        while self._gate.get():
            self._states.put(self._client.connection_state())

    def look(self) -> ConnectionState:
        """Open the gate once and return what the monitor saw."""
        self._gate.put(True)
        return self._states.get(timeout=PATIENCE_S)

    def close(self) -> None:
        """End its thread."""
        self._gate.put(False)
        self._thread.join(PATIENCE_S)


class ChannelManager:
    """Hears who is paused and who resumed, in `heard`. The page's queueing is the client's own."""

    def __init__(self, client: HAIPClient) -> None:
        self.heard: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._client = client
        client.on("message", self._handle_message)

    def _handle_message(self, message: Message) -> None:
        if message.type in ("PAUSE_CHANNEL", "RESUME_CHANNEL"):
            self.heard.put((message.type, message.payload["channel"]))

    def is_channel_paused(self, channel: str) -> bool:
        """Return whether either side holds the channel now: no copy of its own that could be behind."""
        return channel in self._client.connection_state().paused_channels
