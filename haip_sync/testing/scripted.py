"""A server that says what a test tells it to, over a real socket: for a peer that does something which no policy does.

```python
from haip_sync import HAIPClient
from haip_sync.testing import ScriptedPeer, scripted_peer


def miser(peer: ScriptedPeer) -> None:
    peer.hears("HAI")
    peer.greets(messages=1)
    peer.hears("MESSAGE_START")
    peer.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 2})
    peer.stays()


def test_a_text_waits_for_the_rest_of_its_credit():
    with scripted_peer(miser) as url, HAIPClient(url) as client:
        client.send_text_message("USER", "hello", timeout=10)
```
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

PATIENCE_S: Final = 20.0
"""How long a script waits for a frame, and `scripted_peer` for its scripts to end, before that is an error."""
ACCEPTED: Final = ("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
"""The types that `greets` accepts unless it is told others."""


class ScriptedPeer:
    """One connection, as a script sees it. Belongs to the thread that runs the script.

    What it says has good numbers unless it is told others; nothing that it hears is checked, counted or answered by itself.

    Attributes:
        connection: The WebSocket, of `websockets`: for what is no HAIP frame, to close it, and for its request.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._seq = 0

    def says(self, frame_type: str, payload: object, channel: str = "SYSTEM", **members: object) -> None:
        """Send one frame; `members` are added to its envelope, or take the place of what stands there."""
        self._seq += 1
        frame = {"id": str(self._seq), "session": "s", "seq": str(self._seq), "ts": "1", "channel": channel, "type": frame_type}
        self.connection.send(json.dumps(frame | {"payload": payload, "pv": 1} | members))

    def skips(self) -> None:
        """Use a number up, for a frame that is lost on the way."""
        self._seq += 1

    def greets(self, *, messages: int = 100, byte_credits: int = 1_000_000, **changes: object) -> None:
        """Send a HAI that grants so much on each channel at first; `changes` replace members of its payload."""
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": ACCEPTED}
        credit = {"flow_control": {"initial_credit_messages": messages, "initial_credit_bytes": byte_credits}}
        self.says("HAI", {**hello, "capabilities": credit, **changes})

    def hears_any(self) -> Any:
        """Return the next frame, whatever it is; binary frames are passed over. Raises `TimeoutError` after `PATIENCE_S`."""
        while isinstance(data := self.connection.recv(PATIENCE_S), bytes):
            pass
        return json.loads(data)

    def hears_frame(self, frame_type: str) -> Any:
        """Return the next frame of a type, and pass over those before it. Raises as `hears_any`."""
        while (frame := self.hears_any())["type"] != frame_type:
            pass
        return frame

    def hears(self, frame_type: str) -> Any:
        """Return the payload of the next frame of a type. Raises as `hears_any`."""
        return self.hears_frame(frame_type)["payload"]

    def stays(self) -> None:
        """Keep the connection until the client ends it, whatever it sends."""
        for _ in self.connection:
            pass


@contextmanager
def scripted_peer(script: Callable[[ScriptedPeer], object], **settings: Any) -> Iterator[str]:
    """Run a server whose every connection follows `script`; yield its URL. `settings` are those of websockets, `ssl` for example.

    Each connection has a thread of its own, and ends with its script. That the client ends it in the middle of one is no error.
    What a script raises is raised at the end of the block, but where the block itself has raised: the first, of several.
    """
    raised: list[BaseException] = []
    scripts: list[threading.Thread] = []

    def handle(connection: ServerConnection) -> None:
        scripts.append(threading.current_thread())
        try:
            script(ScriptedPeer(connection))
        except ConnectionClosed:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised where the test sees it
            raised.append(error)

    quiet: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 1}
    with serve(handle, "127.0.0.1", 0, **quiet | settings) as server:
        thread = threading.Thread(target=server.serve_forever, name="scripted-peer")
        thread.start()
        try:
            yield f"{'wss' if settings.get('ssl') else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            for each in (thread, *scripts):
                each.join(PATIENCE_S)
    if raised:
        raise raised[0]
