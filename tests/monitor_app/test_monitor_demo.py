"""The demo's choreography."""

from __future__ import annotations

import threading
import time

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from haip_sync import ChannelState
from monitor_app.demo import Demo
from monitor_app.main_window import MainWindow
from monitor_app.model.answer import likely_cause
from monitor_app.model.audit import Outcome
from monitor_app.model.client_source import ClientSource
from monitor_app.model.ingest import Ingest
from monitor_app.model.status import STALE, Status
from monitor_app.model.units import format_bytes
from monitor_app.theme import Mode, Theme


@pytest.mark.timeout(60)
def test_every_state_but_offline_is_seen_within_half_a_minute() -> None:
    """FLOWING, LOW, STARVED, PAUSED by us, PAUSED by peer and IDLE are there in time, as the client tells it."""
    demo = Demo()
    try:
        ingest = Ingest(ClientSource(demo.start(), name="demo"))
        tick = threading.Event()
        seen: set[Status] = set()
        deadline = time.monotonic() + 30.0
        while seen != set(Status) - STALE and time.monotonic() < deadline:
            ingest.tick()
            seen |= {view.status for view in ingest.channels()}
            tick.wait(0.03)
        ingest.source.close()
    finally:
        demo.stop()
    assert seen == set(Status) - STALE


def test_the_sentence_on_top_names_who_stands_still_and_its_button_helps(qtbot: QtBot) -> None:
    """A new user sees which channel is starved of what, agrees with `explain`, presses the button, and frames leave again."""
    demo = Demo()
    client = demo.start()
    window = MainWindow(Ingest(ClientSource(client, name="demo")), Theme(Mode.LIGHT), "demo")

    def state() -> ChannelState:
        return client.connection_state().channels["AUDIO_IN"]

    try:
        window.start()
        qtbot.waitUntil(lambda: window.answer.title.text().startswith("AUDIO_IN is starved of bytes"), timeout=30_000)
        said = client.explain("AUDIO_IN")
        assert said.cause == "bytes"
        view = window.ingest.channel("AUDIO_IN")
        assert view is not None
        assert view.state.missing == said.missing
        assert likely_cause(view) == said.likely_cause
        offer = window.answer._answer.offer
        assert window.answer.action.text() == f"Request {format_bytes(offer.byte_credits)}"
        before = state()
        qtbot.mouseClick(window.answer.action, Qt.MouseButton.LeftButton)
        # The choreography would bring credit a few seconds later; what comes now is what was asked for, to the byte.
        qtbot.waitUntil(lambda: state().granted_bytes > before.granted_bytes, timeout=5_000)
        after = state()
        assert after.granted_bytes - before.granted_bytes == offer.byte_credits
        qtbot.waitUntil(lambda: state().sent_messages > before.sent_messages, timeout=5_000)
        qtbot.waitUntil(lambda: window.ingest.audit.entries[0].outcome is Outcome.DONE, timeout=5_000)
        assert (window.ingest.audit.entries[0].action, window.ingest.audit.entries[0].channel) == ("request", "AUDIO_IN")
    finally:
        window.close()
        window.deleteLater()
        demo.stop()
