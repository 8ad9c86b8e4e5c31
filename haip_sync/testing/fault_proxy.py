"""A line that breaks as it is told to: a TCP proxy between a client and a server, for tests of what goes wrong on the way."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

from haip_sync.config import check_choice, check_count, check_flag, check_function, check_timeout, told
from haip_sync.errors import ConfigError, HAIPTimeout
from haip_sync.runtime.address import Address
from haip_sync.testing.arguments import check_host, check_text
from haip_sync.testing.fault_board import Board, Door, PlannedCut
from haip_sync.testing.fault_rules import DIRECTIONS, Direction, Faults
from haip_sync.testing.fault_thread import ProxyThread
from haip_sync.testing.fault_views import ProxyConnection

_MAX_PORT: Final = 65_535
_PATIENCE_S: Final = 10.0


class FaultProxy:
    """A TCP proxy in front of one server, and what can go wrong there. Every method may be called by any thread.

    ```python
    with DevServer() as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url) as client:
        proxy.set(to_client=Faults(frames=(FrameFault(action="drop", when=lambda text: '"type":"FLOW_UPDATE"' in text),)))
        proxy.stall("to_server")  # nothing is read any more: what the client sends fills its buffers
        proxy.cut(reset=True)
    ```

    Without faults it passes every byte as soon as it comes. There are two directions, `"to_server"` and `"to_client"`. Whatever
    is set acts on live connections at once, before the method returns, and on those to come, unless its method says otherwise. It
    may be set before `start`. The end of a connection travels like its bytes: a stalled or delayed direction holds it up as well.

    Args:
        target_url: The server's URL, ws:// or wss://. TLS passes as it is, so that of a wss:// target no frames can be seen; the
            client checks the server's certificate against the proxy's `host`.
        host: Address to listen on.
        port: TCP port, 0 for a free one.
        seed: Makes what is random about frames the same every time, for each connection by its number; None: another every
            time, see `seed`.
        name: What its thread is called.

    Raises `ConfigError` for a wrong argument. Nothing listens before `start` (or `with`).
    """

    def __init__(
        self,
        target_url: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        name: str = "haip-faultproxy",
    ) -> None:
        self._target = Address(target_url)
        self._host = check_host(host)
        self._port = check_count("port", port)
        if self._port > _MAX_PORT:
            raise ConfigError(f"port must be at most {_MAX_PORT}, not {port}")
        self._seed = random.getrandbits(32) if seed is None else check_count("seed", seed)
        self._board = Board(seed=self._seed, sees_frames=not self._target.is_secure)
        self._thread = ProxyThread(self._board, check_text("name", name))
        # Guards the one below.
        self._lock = threading.Lock()
        self._failure_told = False

    def __repr__(self) -> str:
        return f"<FaultProxy {self._host}:{self._thread.port or self._port} to {self._target.text}, seed {self._seed}>"

    # Life

    def start(self) -> Self:
        """Listen. Idempotent. Raises `OSError` when an address cannot be had, `RuntimeError` after `stop`."""
        found = socket.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        self._thread.start(self._host, self._port, tuple((entry[0], entry[4]) for entry in found))
        return self

    def stop(self) -> None:
        """Close every connection and end the thread. Idempotent; takes 5 s at most, where a `when` hangs.

        Raises `RuntimeError`, once and after all that, from the first exception that a `when` has raised.
        """
        self._thread.stop()
        failure = self._untold_failure()
        if failure is not None:
            raise RuntimeError("a frame fault's `when` has raised, and its frame has passed") from failure

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop. What a `when` has raised takes the place of no exception that is under way: that one has it as a note."""
        try:
            self.stop()
        except RuntimeError as failed:
            if exc is None:
                raise
            exc.add_note(f"{failed}: {failed.__cause__!r}")

    @property
    def port(self) -> int:
        """The TCP port that it listens on; what the constructor was given before `start`."""
        return self._thread.port or self._port

    @property
    def url(self) -> str:
        """Where a client finds it: the target's URL, path and query included, with our host and port.

        Raises `RuntimeError` before `start`.
        """
        port = self._thread.port
        if port is None:
            raise RuntimeError("the proxy has no address before start()")
        scheme = "wss" if self._target.is_secure else "ws"
        host = f"[{self._host}]" if ":" in self._host else self._host
        path = self._target.target()
        return f"{scheme}://{host}:{port}{'' if path == '/' else path}"

    @property
    def seed(self) -> int:
        """What makes the random faults of frames the same once more, given to another proxy."""
        return self._seed

    # What there is to see

    @property
    def connections(self) -> tuple[ProxyConnection, ...]:
        """Every connection that was accepted, in order, as it stands now; of those that are over, the last 10,000."""
        return self._thread.call(self._board.views)

    def wait_for_connection(self, number: int = 1, timeout: float | None = _PATIENCE_S) -> ProxyConnection:
        """Return the nth connection, from 1, once it has reached the target or is over. Raises `HAIPTimeout`."""
        check_count("number", number, minimum=1)
        self.wait_for(lambda _: self._settled(number) is not None, what=f"connection {number}", timeout=timeout)
        found = self._settled(number)
        assert found is not None  # noqa: S101 - for mypy: a connection that was there stays
        return found

    def wait_for(self, predicate: Callable[[FaultProxy], bool], *, what: str, timeout: float | None = _PATIENCE_S) -> None:
        """Wait until `predicate`, given this proxy, is true; it is looked at whenever a connection has changed.

        Raises `HAIPTimeout`, which says `what` was waited for, after `timeout` seconds (None: never) and when the proxy has
        stopped.
        """
        check_function("predicate", predicate)
        limit = check_timeout("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            seen = self._thread.version
            if predicate(self):
                return
            if not self._thread.wait_for_change(seen, deadline):
                raise HAIPTimeout(f"waited for {what} in vain ({timeout} s, or the proxy does not run): {self.connections}")

    # What can be wrong

    def set(self, *, to_server: Faults | None = None, to_client: Faults | None = None) -> None:
        """Put `Faults` in the place of those that a direction has; None: it keeps them.

        Raises `ConfigError` for frame faults where the target is wss://: nobody on the way can see a frame there.
        """
        chosen = {"to_server": to_server, "to_client": to_client}
        faults: dict[Direction, Faults] = {}
        for direction in DIRECTIONS:
            given = chosen[direction]
            if given is not None:
                faults[direction] = self._check_faults(direction, given)
        self._thread.call(lambda: self._board.configure(faults))

    def clear(self) -> None:
        """Make everything as it was at first: no faults, nothing stalled, refused or planned. What is cut stays cut."""
        self._thread.call(self._board.clear)

    def stall(self, direction: Direction | Literal["both"] = "both") -> None:
        """Neither read nor write in this direction until `flow`: the sender's buffers fill up, and then it waits."""
        directions = _directions(direction)
        self._thread.call(lambda: self._board.stall(directions, stalled=True))

    def flow(self, direction: Direction | Literal["both"] = "both") -> None:
        """End `stall`: what was held up goes on."""
        directions = _directions(direction)
        self._thread.call(lambda: self._board.stall(directions, stalled=False))

    def cut(self, *, reset: bool = False, connection: int | None = None) -> int:
        """End live connections at both ends, with FIN, or with RST where `reset`; what is under way is lost.

        With FIN, what an end still sends is read for a second, so that it finds the FIN first. `connection`: the number of the
        one that is meant; None: all. Returns how many that were.
        """
        check_flag("reset", reset)
        number = _check_number(connection)
        return self._thread.call(lambda: self._board.cut(number, reset=reset))

    def cut_after(self, n_bytes: int, direction: Direction, *, reset: bool = False, connections: int | None = 1) -> None:
        """Cut each of the next `connections` (None: all) once exactly `n_bytes` have gone on in this direction.

        The HTTP upgrade counts. 0 cuts as soon as the target is reached. What goes the other way is cut as well, wherever it is.
        An RST may overtake bytes that the receiver has not read yet. In place of what was planned before; live connections
        are left alone.
        """
        cut = PlannedCut(check_count("n_bytes", n_bytes), _check_direction(direction), check_flag("reset", reset))
        count = float("inf") if connections is None else check_count("connections", connections, minimum=1)
        self._thread.call(lambda: self._board.plan(cut, count))

    def half_close(self, direction: Direction, *, connection: int | None = None) -> int:
        """Send FIN in this direction of live connections, behind what is under way; the other direction goes on.

        What the sender sends after that is read and forgotten. `connection` as for `cut`. Returns how many connections that were.
        """
        checked, number = _check_direction(direction), _check_number(connection)
        return self._thread.call(lambda: self._board.half_close(checked, number))

    def refuse(self, refused: bool = True, *, accept_first: bool = False) -> None:
        """Let no connection in, or, with False, let them in again; live ones go on.

        Connecting then fails as where nobody listens; the port stays the proxy's. With `accept_first` a connection is accepted,
        and closed before a byte has passed.
        """
        check_flag("accept_first", accept_first)
        door: Door = "open" if not check_flag("refused", refused) else "shut_behind" if accept_first else "shut"
        self._thread.call(lambda: self._board.use_door(door))

    def _check_faults(self, direction: Direction, faults: object) -> Faults:
        if not isinstance(faults, Faults):
            raise ConfigError(f"{direction} must be Faults, or None to leave it as it is, not {told(faults)}")
        if faults.frames and self._target.is_secure:
            raise ConfigError(
                f"{direction}: there can be no faults in frames, because the target is {self._target.text}: TLS hides them from "
                "the proxy. Delays, limits, stalls and cuts work; for the rest, test against a server at ws://"
            )
        return faults

    def _settled(self, number: int) -> ProxyConnection | None:
        return next((view for view in self.connections if view.number == number and view.state != "connecting"), None)

    def _untold_failure(self) -> Exception | None:
        with self._lock:
            told, self._failure_told = self._failure_told, True
        return None if told else self._board.failure


def _check_direction(direction: object) -> Direction:
    check_choice("direction", direction, DIRECTIONS)
    return "to_server" if direction == "to_server" else "to_client"


def _directions(direction: object) -> tuple[Direction, ...]:
    check_choice("direction", direction, (*DIRECTIONS, "both"))
    return DIRECTIONS if direction == "both" else (_check_direction(direction),)


def _check_number(connection: object) -> int | None:
    return None if connection is None else check_count("connection", connection, minimum=1)
