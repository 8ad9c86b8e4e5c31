"""The window on a real client of a real development server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from support.certificates import authority, server_context

from haip_sync import HAIPClient, ReconnectPolicy
from haip_sync.testing import DevServer, OnRequest, Session
from monitor_app.main_window import MainWindow
from monitor_app.model.answer import likely_cause
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.model.status import Status
from monitor_app.theme import Mode, Theme

LEFT = Qt.MouseButton.LeftButton
TIMEOUT_MS = 10_000


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants what is asked for."""
    with DevServer(policy=OnRequest(), agent=False, initial_credits=6) as running:
        yield running


@pytest.fixture
def window(qtbot: QtBot, server: DevServer) -> Iterator[MainWindow]:
    """Yield a beating window, connected to the server."""
    source = ClientSource(factory=open_client, name="monitor")
    made = MainWindow(Ingest(source), Theme(Mode.LIGHT), "test")
    made.start()
    source.connect_to(server.url, None)
    qtbot.waitUntil(made.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def session(window: MainWindow, server: DevServer) -> Session:
    """Return the server's side of the window's connection."""
    return server.wait_for_session()


def status_of(window: MainWindow, channel: str) -> Status | None:
    """Return the state that the window knows of a channel."""
    view = window.ingest.channel(channel)
    return None if view is None else view.status


def frames(session: Session, kind: str) -> list[dict[str, object]]:
    """Return the payloads of one kind of frame that the server received."""
    return [frame.payload for frame in session.received if frame.type == kind]


def test_pause_stops_the_channel_on_the_wire_and_resume_starts_it(qtbot: QtBot, window: MainWindow, session: Session) -> None:
    """A press on Pause is a PAUSE_CHANNEL; a text then waits until Resume is pressed."""
    window.control.pause.reason.setText("tea")
    qtbot.mouseClick(window.control.pause.pause, LEFT)
    session.wait_for(lambda seen: frames(seen, "PAUSE_CHANNEL"), what="PAUSE_CHANNEL")
    assert frames(session, "PAUSE_CHANNEL")[0]["channel"] == "USER"
    qtbot.waitUntil(lambda: status_of(window, "USER") is Status.PAUSED_BY_US, timeout=TIMEOUT_MS)
    qtbot.mouseClick(window.control.test_message.send, LEFT)
    qtbot.waitUntil(lambda: "waits as number 2" in window.control.test_message.detail.text(), timeout=TIMEOUT_MS)
    assert session.text_count == 0
    qtbot.waitUntil(window.control.pause.resume.isEnabled, timeout=TIMEOUT_MS)
    qtbot.mouseClick(window.control.pause.resume, LEFT)
    session.wait_for(lambda seen: seen.text_count == 1, what="the text")
    assert frames(session, "RESUME_CHANNEL")
    assert window.ingest.marks.between(MarkKind.PAUSE_BY_US, "USER", 0.0, float("inf"))


def test_a_request_reaches_the_server_and_its_grant_shows(qtbot: QtBot, window: MainWindow, session: Session) -> None:
    """Request is a FLOW_UPDATE; the grant is in the table, in the plot and in the log."""
    window.control.request.messages.setValue(7)
    window.control.request.kibibytes.setValue(2)
    qtbot.mouseClick(window.control.request.send, LEFT)
    session.wait_for(lambda seen: frames(seen, "FLOW_UPDATE"), what="FLOW_UPDATE")
    assert frames(session, "FLOW_UPDATE")[0] == {"channel": "USER", "add_messages": 7, "add_bytes": 2048}
    model = window.table.model()
    qtbot.waitUntil(lambda: model.index(0, 1).data() == "13 / 100", timeout=TIMEOUT_MS)
    assert window.ingest.history.latest(0, "USER") == 13.0
    granted = partial(window.ingest.marks.between, MarkKind.GRANT, "USER", 0.0, float("inf"))
    qtbot.waitUntil(lambda: bool(granted()), timeout=TIMEOUT_MS)  # events come after the snapshot that has their sum
    assert window.ingest.marks.between(MarkKind.REQUEST, "USER", 0.0, float("inf"))
    assert any("grant +7 messages, +2 KiB" in row.text for row in window.ingest.log.rows)


def test_a_request_for_nothing_is_refused_in_the_window(qtbot: QtBot, window: MainWindow, session: Session) -> None:
    """A non-positive request is an error beside the fields; nothing leaves and nothing else stops."""
    window.control.request.messages.setValue(0)
    qtbot.mouseClick(window.control.request.send, LEFT)
    qtbot.waitUntil(lambda: window.control.request._result.property("tone") == "bad", timeout=TIMEOUT_MS)
    assert window.control.request._result.text()
    assert not frames(session, "FLOW_UPDATE")
    qtbot.mouseClick(window.control.test_message.send, LEFT)
    session.wait_for(lambda seen: seen.text_count == 1, what="the text")


def test_a_starved_channel_is_helped_by_the_useful_button(qtbot: QtBot, window: MainWindow, session: Session) -> None:
    """A sender without credit makes the channel STARVED; the button's request lets it go on."""
    for _ in range(3):
        qtbot.mouseClick(window.control.test_message.send, LEFT)
    qtbot.waitUntil(lambda: status_of(window, "USER") is Status.STARVED, timeout=TIMEOUT_MS)
    answer = window.control.answer
    qtbot.waitUntil(lambda: answer.action.text().startswith("Request"), timeout=TIMEOUT_MS)
    qtbot.mouseClick(answer.action, LEFT)
    session.wait_for(lambda seen: seen.text_count == 3, what="the third text")
    qtbot.waitUntil(lambda: status_of(window, "USER") is not Status.STARVED, timeout=TIMEOUT_MS)


def test_a_peers_pause_shows(qtbot: QtBot, window: MainWindow, server: DevServer, session: Session) -> None:
    """PAUSE_CHANNEL of the peer's is a state, a mark and a row."""
    server.pause("AGENT")
    qtbot.waitUntil(lambda: status_of(window, "AGENT") is Status.PAUSED_BY_PEER, timeout=TIMEOUT_MS)
    qtbot.waitUntil(
        lambda: bool(window.ingest.marks.between(MarkKind.PAUSE_BY_PEER, "AGENT", 0.0, float("inf"))), timeout=TIMEOUT_MS
    )
    server.resume("AGENT")
    qtbot.waitUntil(lambda: status_of(window, "AGENT") is Status.IDLE, timeout=TIMEOUT_MS)


def test_a_broken_line_is_shown_and_mended_with_its_history(
    qtbot: QtBot, window: MainWindow, server: DevServer, session: Session
) -> None:
    """While the client reconnects rows are OFFLINE and the sentence on top says so; afterwards the past is there with its gap."""
    qtbot.waitUntil(lambda: bool(window.ingest.history.channels), timeout=TIMEOUT_MS)
    begun_s = window.ingest.history.oldest_s
    server.drop(session=session)
    qtbot.waitUntil(lambda: status_of(window, "USER") is Status.OFFLINE, timeout=TIMEOUT_MS)
    qtbot.waitUntil(lambda: window.answer.title.text().startswith("Reconnecting: attempt"), timeout=TIMEOUT_MS)
    server.wait_for_session(2)
    qtbot.waitUntil(lambda: status_of(window, "USER") is Status.IDLE, timeout=TIMEOUT_MS)

    def words() -> str:
        return " ".join(mark.text for mark in window.ingest.marks.between(MarkKind.RECONNECT, None, 0.0, float("inf")))

    qtbot.waitUntil(lambda: words().count("connected to") == 2, timeout=TIMEOUT_MS)
    assert "lost" in words()
    assert "attempt 1" in words()
    assert window.ingest.history.oldest_s == begun_s
    assert [end_s is not None for _, end_s in window.ingest.history.gaps] == [True]
    assert not window.banner.isVisible()


def test_losing_the_server_leaves_the_window_alive_and_f5_returns(qtbot: QtBot, server: DevServer) -> None:
    """After a loss for good rows are OFFLINE, the window beats on, and trying again connects anew."""

    def open_once(url: str, token: str | None) -> HAIPClient:
        return HAIPClient(url, token=token, inbox="listeners", reconnect=ReconnectPolicy(enabled=False))

    source = ClientSource(factory=open_once)
    window = MainWindow(Ingest(source), Theme(Mode.LIGHT), "test")
    try:
        window.start()
        source.connect_to(server.url, None)
        qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
        server.drop(session=server.wait_for_session())
        qtbot.waitUntil(window.banner.isVisible, timeout=TIMEOUT_MS)
        assert status_of(window, "USER") is Status.OFFLINE
        assert window.answer.title.text().startswith("Not connected for")
        with qtbot.waitSignal(window._pulse.frame, timeout=TIMEOUT_MS):
            pass
        qtbot.keyClick(window, Qt.Key.Key_F5)
        server.wait_for_session(2)
        qtbot.waitUntil(lambda: not window.banner.isVisible(), timeout=TIMEOUT_MS)
        assert status_of(window, "USER") is Status.IDLE
    finally:
        window.close()
        window.deleteLater()


def test_the_sentence_on_top_agrees_with_explain_and_its_button_helps(qtbot: QtBot, server: DevServer) -> None:
    """It names channel, credit and lack as `explain` does, and one press lets the senders of the channel go on."""
    with HAIPClient(server.url, inbox="listeners") as client:
        window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.DARK), "test")
        try:
            window.start()
            pending = [client.enqueue_text_message("AGENT", f"text {number}") for number in range(4)]
            qtbot.waitUntil(lambda: window.answer.title.text().startswith("AGENT is starved of messages"), timeout=TIMEOUT_MS)
            view = window.ingest.channel("AGENT")
            said = client.explain("AGENT")
            assert view is not None
            assert (view.state.waiting_for, view.state.missing, view.state.backlog) == (said.cause, said.missing, said.waiting)
            assert likely_cause(view) == said.likely_cause == "peer_grants_nothing"
            assert "granted nothing since the handshake" in window.answer.evidence.text()
            qtbot.waitUntil(window.answer.action.isVisible, timeout=TIMEOUT_MS)
            while not all(sent.done() for sent in pending):
                with qtbot.waitSignal(window._pulse.text, timeout=TIMEOUT_MS):
                    qtbot.mouseClick(window.answer.action, LEFT)
            assert [sent.result(0).outcome in {"sent", "acknowledged"} for sent in pending] == [True] * 4
            qtbot.waitUntil(lambda: "starved" not in window.answer.title.text(), timeout=TIMEOUT_MS)
        finally:
            window.close()
            window.deleteLater()


def test_a_flood_of_grants_neither_freezes_the_window_nor_gets_lost(
    qtbot: QtBot, window: MainWindow, server: DevServer, session: Session
) -> None:
    """Thousands of grants are taken in between frames; the balance at the end is right."""

    def flood() -> None:
        for _ in range(3000):
            server.grant("AGENT", 1)

    thread = threading.Thread(target=flood)
    thread.start()
    with qtbot.waitSignals([window._pulse.frame] * 5, timeout=TIMEOUT_MS):
        pass
    thread.join()

    def all_there() -> bool:
        view = window.ingest.channel("AGENT")
        return view is not None and view.state.granted == 3006

    qtbot.waitUntil(all_there, timeout=TIMEOUT_MS)


def test_a_window_on_a_scripts_client_leaves_it_open(qtbot: QtBot, server: DevServer) -> None:
    """Closing the window of a script's client ends nothing of the script's."""
    with HAIPClient(server.url) as client:
        window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.DARK), "test")
        window.start()
        qtbot.waitUntil(lambda: status_of(window, "USER") is Status.IDLE, timeout=TIMEOUT_MS)
        window.close()
        window.deleteLater()
        client.send_text_message("USER", "still here", timeout=5.0)
        server.wait_for_session().wait_for(lambda seen: seen.text_count == 1, what="the text")


def test_a_server_of_transactions_behind_tls_says_why_it_takes_no_test_message(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wss:// address is as good as any; what travels inside a transaction only is refused in words, and pausing holds us."""
    bundle = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with DevServer(dialect="transaction", ssl_context=server_context()) as server:
        source = ClientSource(factory=open_client, name="monitor")
        window = MainWindow(Ingest(source), Theme(Mode.LIGHT), "test")
        try:
            window.start()
            source.connect_to(server.url, None)
            qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
            source.send_test_message("USER", "hello")
            source.request("USER", 5, 0)
            source.pause("USER", None)
            answered = window.ingest.answered
            qtbot.waitUntil(lambda: len(answered) == 3, timeout=TIMEOUT_MS)
            assert "inside a transaction only" in answered["USER", "test message"].result
            assert "inside a transaction only" in answered["USER", "request"].result
            assert [answered["USER", action].ok for action in ("test message", "request", "pause")] == [False, False, True]
            qtbot.waitUntil(lambda: status_of(window, "USER") is Status.PAUSED_BY_US, timeout=TIMEOUT_MS)
        finally:
            window.close()
            window.deleteLater()
