"""What the monitor's tests share: a source that obeys, a clock that stands still, a watch on what is left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Nothing that a test does is remembered in the settings of whoever runs it, nor in those of another test's process.
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="haip-monitor-tests-")

import msgspec
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from support.states import make_channel, make_connection
from support.still_clock import StillClock

from haip_sync import ChannelState, ConnectionState, Event
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Drained, Failure, Notice, QueuedMessage
from monitor_app.theme import Mode, Theme


class FakeSource:
    """A source without a client: tests set what it shows and read what was asked of it."""

    def __init__(self) -> None:
        self.name = "fake"
        self.address = "ws://fake:1"
        self.connecting = False
        self.failure: Failure | None = None
        self.can_reconnect = True
        self.state: ConnectionState | None = make_connection()
        self.events: deque[Event] = deque()
        self.dropped = 0
        self.notices: deque[Notice] = deque()
        self.calls: list[tuple[object, ...]] = []
        self.steering_refused: str | None = None
        self.silent_s: float | None = None
        self.can_detach = False
        self.can_attach_again = False
        self.past: list[tuple[float, ConnectionState]] = []
        self.waiting: dict[str, list[QueuedMessage]] = {}

    def change(self, channel: str, **changes: object) -> None:
        """Change one channel."""
        assert self.state is not None
        changed = msgspec.structs.replace(self.state.channels[channel], **changes)
        self.state = msgspec.structs.replace(self.state, channels={**self.state.channels, channel: changed})

    def lose(self, text: str = "The line dropped.") -> None:
        """Lose the connection."""
        assert self.state is not None
        self.state = msgspec.structs.replace(self.state, connected=False, last_error=text)
        self.failure = Failure(title="The connection is over", text=text)

    def snapshot(self) -> ConnectionState | None:
        """Return what was set."""
        return self.state

    def take_past(self) -> Sequence[tuple[float, ConnectionState]]:
        """Hand out the past that was put in, once."""
        taken, self.past = self.past, []
        return taken

    def drain(self, limit: int) -> Drained:
        """Hand out the events that were put in."""
        taken = [self.events.popleft() for _ in range(min(limit, len(self.events)))]
        dropped, self.dropped = self.dropped, 0
        return Drained(events=taken, dropped=dropped, oldest_s=taken[0].time_s if taken else None)

    def take_notices(self) -> Sequence[Notice]:
        """Hand out the notices that were put in."""
        taken = list(self.notices)
        self.notices.clear()
        return taken

    def connect_to(self, url: str, token: str | None) -> None:
        """Note the call."""
        self.calls.append(("connect_to", url, token))

    def reconnect(self) -> None:
        """Note the call."""
        self.calls.append(("reconnect",))

    def cancel_connect(self) -> None:
        """Note the call."""
        self.calls.append(("cancel_connect",))

    def detach(self) -> None:
        """Note the call."""
        self.calls.append(("detach",))

    def attach_again(self) -> None:
        """Note the call."""
        self.calls.append(("attach again",))

    def pause(self, channel: str, reason: str | None) -> None:
        """Note the call."""
        self.calls.append(("pause", channel, reason))

    def resume(self, channel: str) -> None:
        """Note the call."""
        self.calls.append(("resume", channel))

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Note the call."""
        self.calls.append(("request", channel, messages, byte_credits))

    def send_test_message(self, channel: str, text: str) -> None:
        """Note the call."""
        self.calls.append(("send", channel, text))

    def clear_queue(self, channel: str, reason: str | None) -> None:
        """Note the call."""
        self.calls.append(("clear_queue", channel, reason))

    def use_strategy(self, strategy: str, settings: Mapping[str, int | float], reason: str | None) -> None:
        """Note the call."""
        self.calls.append(("use_strategy", strategy, dict(settings)))

    def queued(self, channel: str) -> Sequence[QueuedMessage]:
        """Return what was put there."""
        return tuple(self.waiting.get(channel, ()))

    def watch_messages(self, *, wanted: bool) -> bool:
        """Note the call."""
        self.calls.append(("watch_messages", wanted))
        return wanted

    def close(self) -> None:
        """Note the call."""
        self.calls.append(("close",))


@pytest.fixture
def source() -> FakeSource:
    """Return a source that does as it is told."""
    return FakeSource()


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def channel_state() -> Callable[..., ChannelState]:
    """Return a maker of channel states."""
    return make_channel


@pytest.fixture
def connection_state() -> Callable[..., ConnectionState]:
    """Return a maker of connection states."""
    return make_connection


@pytest.fixture
def window(qtbot: object, source: FakeSource, clock: StillClock) -> Iterator[MainWindow]:
    """Yield a dark window on the fake source, shown but not beating: tests refresh it by hand."""
    made = MainWindow(Ingest(source, clock), Theme(Mode.DARK), "test")
    made.resize(1280, 800)
    made.show()
    made.docks.share_out_space()
    QApplication.processEvents()
    made.refresh()
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def lived(window: MainWindow, source: FakeSource, clock: StillClock) -> MainWindow:
    """Return a window that has seen two minutes: credit falls from 100 to 40 and stays."""
    for second in range(120):
        source.change("USER", credits=max(40, 100 - second), sent_messages=min(60, second), granted=100)
        clock.time_s += 1.0
        window.ingest.tick()
    for _ in range(3):  # what is shown decides how much room there is, which decides what is shown
        window.refresh()
        QApplication.processEvents()
    return window


@pytest.fixture(scope="session", autouse=True)
def settings_go() -> Iterator[None]:
    """Remove the folder of settings of this run."""
    yield
    shutil.rmtree(os.environ["XDG_CONFIG_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the offscreen platform remark what it remarks about windows and floating docks; any other word of Qt's fails a test."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.qt_log_ignore(r"does not support (propagateSizeHints|raise)\(\)", extend=True))


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves windows or running timers behind; threads are watched by the tests above."""
    yield
    QApplication.sendPostedEvents(None, 52)  # 52: DeferredDelete, which only an event loop would deliver otherwise
    if QApplication.instance() is None:
        return
    windows = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    assert not windows, f"windows left behind: {windows}"
    timers = [timer for widget in QApplication.topLevelWidgets() for timer in widget.findChildren(QTimer) if timer.isActive()]
    assert not timers, f"timers left behind: {timers}"
