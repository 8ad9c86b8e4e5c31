"""What an operator does with the window, one thing after another, by mouse and keys against a real development server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot

from haip_sync import FlowControlTimeout, HAIPClient, HeartbeatPolicy
from haip_sync.testing import DevServer, FaultProxy, Faults, Generous, Never, OnRequest, RenewAtHalf
from monitor_app.main_window import MainWindow
from monitor_app.model.audit import Outcome
from monitor_app.model.client_source import ClientSource
from monitor_app.model.forecast import Outlook
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme
from monitor_app.views.channel_cells import Column
from monitor_app.views.export_dialog import ExportDialog

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
TIMEOUT_MS = 15_000
PAUSE_S = 0.05


@contextmanager
def watched(qtbot: QtBot, client: HAIPClient, settings: Settings | None = None) -> Iterator[MainWindow]:
    """Yield a beating window on a script's client, of the size that it must be usable at."""
    window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.DARK), "test", settings)
    window.resize(1280, 800)
    try:
        window.start()
        window.show_span(30.0)
        qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
        yield window
    finally:
        window.close()
        window.deleteLater()


@contextmanager
def sending(client: HAIPClient, channel: str = "USER", every_s: float = PAUSE_S) -> Iterator[None]:
    """Send lines from a thread, as a script does, until the block ends."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(every_s):
            with suppress(FlowControlTimeout):  # no credit came in time: a script tries again
                client.send_text_message(channel, "a line of the script's", timeout=1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def until(qtbot: QtBot, what: Callable[[], object]) -> None:
    """Wait for something while the window lives."""
    qtbot.waitUntil(lambda: bool(what()), timeout=TIMEOUT_MS)


def cell(window: MainWindow, column: Column, row: int = 0) -> str:
    """Return a cell of the channel table as it is told to who cannot see it."""
    return str(window.table.model().index(row, column).data())


def figure(window: MainWindow, name: str) -> str:
    """Return a figure of the first channel."""
    model = window.figures.table.model()
    rows = {model.headerData(row, Qt.Orientation.Vertical, 0): row for row in range(model.rowCount())}
    return str(model.index(rows[name], 0).data())


def drag_with_shift(qtbot: QtBot, window: MainWindow, from_share: float, to_share: float) -> None:
    """Drag over the plots."""
    area, plots = window.flow._plots.area(), window.flow._plots.canvas.viewport()
    ends = [QPoint(area.left() + round(area.width() * share), area.center().y()) for share in (from_share, to_share)]
    qtbot.mousePress(plots, LEFT, SHIFT, ends[0])
    qtbot.mouseMove(plots, ends[1])
    qtbot.mouseRelease(plots, LEFT, SHIFT, ends[1])


def test_a_channel_that_will_starve_is_said_so_before_and_is_named_when_it_does(qtbot: QtBot) -> None:
    """First a range of seconds with the credit that binds, then STARVED of just that credit."""
    server = DevServer(policy=Never(), initial_credits=120, agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window, sending(client):

        def forecast() -> bool:
            view = window.ingest.channel("USER")
            return view is not None and view.forecast is not None and view.forecast.outlook is Outlook.STARVES

        until(qtbot, forecast)
        until(qtbot, lambda: cell(window, Column.OUTLOOK).endswith(" s, messages"))
        until(qtbot, lambda: window.answer.title.text().startswith("USER is starved of messages"))
        until(qtbot, lambda: cell(window, Column.OUTLOOK) == "now, messages")


def test_the_send_rate_and_how_the_time_was_spent_are_seen(qtbot: QtBot) -> None:
    """The rate has a plot and a value of its own; the strip has percentages of the visible span for a pause of ours."""
    with DevServer(agent=False) as server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        with sending(client):
            until(qtbot, lambda: (window.ingest.history.latest(3, "USER") or 0.0) > 1.0)
        until(qtbot, lambda: "Send rate in msg/s: USER" in window.flow._readout.accessibleDescription())
        assert all(not rect.isEmpty() for rect in window.flow._plots.rects())
        window.control.pause.reason.setText("tea")
        qtbot.mouseClick(window.control.pause.pause, LEFT)
        until(qtbot, lambda: "paused by us" in window.flow._times.accessibleDescription())
        assert "sending" in window.flow._times.accessibleDescription()


def test_how_long_a_grant_takes_and_lasts_is_among_the_figures(qtbot: QtBot) -> None:
    """From request to grant in milliseconds, and below the table how long a grant lasts and how often one comes."""
    server = DevServer(policy=OnRequest(), initial_credits=30, agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window, sending(client):
        for _ in range(3):
            qtbot.mouseClick(window.control.request.send, LEFT)
        until(qtbot, lambda: figure(window, "Grant delay, p50").endswith(" ms"))
        until(qtbot, lambda: window.figures.hint.text().startswith("USER: a grant of "))
        assert figure(window, "Grants") == "3"
        assert figure(window, "Mean grant, msg") == "10"


def test_a_window_that_the_round_trip_makes_too_small_is_hinted_at(qtbot: QtBot) -> None:
    """Grants keep coming, but each is a round trip away: the window is what holds the channel, and the window says so."""
    server = DevServer(policy=Generous(), initial_credits=6, agent=False)
    often = HeartbeatPolicy(interval=0.5)  # it measures the round trip
    with server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url, inbox="listeners", heartbeat=often) as client:
        slow = Faults(delay_s=0.1)
        proxy.set(to_server=slow, to_client=slow)
        with watched(qtbot, client) as window, sending(client, every_s=0.001):
            until(qtbot, lambda: "The window of 6 messages allows at most" in window.figures.hint.text())
            until(qtbot, lambda: "The window of 6 messages allows at most" in window.answer.evidence.text())


def test_what_we_grant_the_peer_is_shown_by_a_key(qtbot: QtBot) -> None:
    """D turns the table: an answer of the agent's has used credit of ours, and what was taken was given back."""
    with DevServer() as server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        client.send_text_message("USER", "hello", timeout=5)
        window.table.choose("AGENT")
        qtbot.keyClick(window.table, Qt.Key.Key_D)
        agent = 1
        until(qtbot, lambda: not cell(window, Column.RATE, agent).startswith("0, "))
        assert window.table.model().headerData(Column.RATE, Qt.Orientation.Horizontal) == "Received"
        qtbot.keyClick(window.table, Qt.Key.Key_D)
        assert window.table.model().headerData(Column.RATE, Qt.Orientation.Horizontal) == "Rate"


def test_the_figures_of_a_selected_span_are_those_of_what_was_sent(qtbot: QtBot) -> None:
    """The whole visible span has every message; one of before the first has none."""
    with DevServer(agent=False) as server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        for _ in range(5):
            client.send_text_message("USER", "hello", timeout=5)
        until(qtbot, lambda: figure(window, "Sent, msg") == "15")
        drag_with_shift(qtbot, window, 0.0, 0.2)
        until(qtbot, lambda: window.figures.which.text().startswith("selected span"))
        until(qtbot, lambda: figure(window, "Sent, msg") == "0")
        qtbot.keyClick(window.flow._plots, Qt.Key.Key_Escape)
        until(qtbot, lambda: figure(window, "Sent, msg") == "15")


def test_everything_that_happens_leaves_its_mark(qtbot: QtBot) -> None:
    """Grant, request, starvation, both pauses, our action and the connection are marks on the time axis."""
    server = DevServer(policy=OnRequest(), initial_credits=6, agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:

        def marked(kind: MarkKind) -> bool:
            return any(window.ingest.marks.of_channels(kind, ("USER",), 0.0, float("inf")))

        for _ in range(3):
            client.enqueue_text_message("USER", "hello")
        until(qtbot, partial(marked, MarkKind.STARVATION))
        until(qtbot, lambda: window.answer.action.text().startswith("Request"))
        qtbot.mouseClick(window.answer.action, LEFT)
        for kind in (MarkKind.REQUEST, MarkKind.GRANT, MarkKind.ACTION):
            until(qtbot, partial(marked, kind))
        qtbot.mouseClick(window.control.pause.pause, LEFT)
        until(qtbot, partial(marked, MarkKind.PAUSE_BY_US))
        server.pause("USER")
        until(qtbot, partial(marked, MarkKind.PAUSE_BY_PEER))
        server.drop(session=server.wait_for_session())
        until(qtbot, partial(marked, MarkKind.RECONNECT))


def test_plots_and_channels_are_hidden_and_shown_by_keys(qtbot: QtBot, tmp_path: Path) -> None:
    """Alt and a digit hide a plot, S shows a channel alone, I unfolds the idle ones; another day the same plots are there."""
    settings = Settings(tmp_path / "monitor.ini")
    with DevServer(agent=False) as server, HAIPClient(server.url, inbox="listeners") as client:
        with watched(qtbot, client, settings) as window:
            client.send_text_message("USER", "hello", timeout=5)
            client.send_text_message("AGENT", "hello", timeout=5)
            until(qtbot, lambda: window.flow.picture.frame().shown == ["USER", "AGENT"])
            window.activateWindow()
            until(qtbot, window.isActiveWindow)
            qtbot.keyClick(window, Qt.Key.Key_I)
            assert len(window.flow.picture.frame().shown) == 5
            qtbot.keyClick(window.table, Qt.Key.Key_S)
            assert window.flow.picture.frame().shown == ["USER"]
            for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4):
                qtbot.keyClick(window, key, Qt.KeyboardModifier.AltModifier)
            assert [rect.isEmpty() for rect in window.flow._plots.rects()] == [True, True, True, False], "the last one stays"
            assert window.flow._plots.y_of(0, 1.0) is None
            assert window.flow._plots.area() == window.flow._plots.rects()[3]
        with watched(qtbot, client, settings) as window:
            assert [action.isChecked() for action in window.actions_.plots.values()] == [False, False, False, True]
            window.actions_.reset_layout.trigger()
            assert not any(rect.isEmpty() for rect in window.flow._plots.rects())


def test_presets_and_a_test_message_do_what_they_say(qtbot: QtBot) -> None:
    """To cap fills the fields and the channel; the text of a test message arrives."""
    server = DevServer(policy=OnRequest(), initial_credits=10, agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        group = window.control.request
        presets = {button.text(): button for button in group.findChildren(type(group.send))}
        qtbot.mouseClick(presets["To cap"], LEFT)
        assert group.messages.value() == 90
        qtbot.mouseClick(group.send, LEFT)
        until(qtbot, lambda: client.connection_state().channels["USER"].credits == 100)
        until(qtbot, lambda: "a grant came since" in group._result.text())
        window.control.test_message.text.setText("can you hear me")
        qtbot.keyClick(window.control.test_message.text, Qt.Key.Key_Return)
        session = server.wait_for_session()
        session.wait_for(lambda seen: [text.text for text in seen.texts("USER")] == ["can you hear me"], what="the text")


def test_read_only_lets_nothing_through_and_says_so(qtbot: QtBot) -> None:
    """Ctrl+L disables every control; the key of a request reaches nobody and is a refusal in the trail."""
    server = DevServer(policy=OnRequest(), agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        window.actions_.read_only.trigger()
        until(qtbot, lambda: "The monitor is read-only" in window.control._why_not.text())
        assert not window.control.request.send.isEnabled()
        assert not window.actions_.request.isEnabled()
        assert "read-only" in window.actions_.request.toolTip()
        window.ingest.commands.pause("USER", None)
        window.refresh()
        assert window.ingest.audit.entries[-1].outcome is Outcome.REFUSED
        assert not client.connection_state().channels["USER"].paused_by_us


def test_the_audit_trail_has_who_when_why_and_result_and_goes_into_a_file(qtbot: QtBot, tmp_path: Path) -> None:
    """Before the first action the page says what will stand there; afterwards the pause does, and its export has every part."""
    with DevServer(agent=False) as server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        window.actions_.show_audit.trigger()
        assert "who, when, on what, why" in window.log_panel.audit.hint.text
        window.control.pause.reason.setText("tea")
        qtbot.mouseClick(window.control.pause.pause, LEFT)
        until(qtbot, lambda: [entry.outcome for entry in window.ingest.audit.entries] == [Outcome.DONE])
        window.refresh()
        assert window.log_panel.audit.hint.text == ""
        window.actions_.export.trigger()
        dialog = next(dialog for dialog in window.findChildren(QDialog) if isinstance(dialog, ExportDialog))
        dialog.format.setCurrentIndex(1)
        dialog.path.setText(str(tmp_path / "audit.jsonl"))
        with qtbot.waitSignal(dialog.exported, timeout=TIMEOUT_MS):
            qtbot.mouseClick(dialog.start, LEFT)
        dialog.reject()
        record = json.loads((tmp_path / "audit.jsonl").read_text(encoding="utf-8"))
        assert (record["action"], record["channel"], record["reason"], record["outcome"]) == ("pause", "USER", "tea", "done")
        assert record["who"] == window.ingest.audit.who
        assert record["time"].startswith("20")


def test_a_filter_without_hits_says_how_to_get_out_of_it(qtbot: QtBot) -> None:
    """The empty log says that the filter hides everything; Escape brings the rows back."""
    server = DevServer(policy=RenewAtHalf(), agent=False)
    with server, HAIPClient(server.url, inbox="listeners") as client, watched(qtbot, client) as window:
        window.ingest.commands.request("USER", 5, 0)
        until(qtbot, lambda: window.log.shown_rows)
        window.actions_.find.trigger()
        qtbot.keyClicks(window.log.text_filter, "nothing has this")
        until(qtbot, lambda: "Esc shows all rows again" in window.log.hint.text)
        assert window.log.hint.text in window.log.accessibleDescription()
        qtbot.keyClick(window.log.text_filter, Qt.Key.Key_Escape)
        until(qtbot, lambda: window.log.shown_rows and not window.log.hint.text)
