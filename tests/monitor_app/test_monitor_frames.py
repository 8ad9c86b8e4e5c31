"""What a frame of the window costs: nothing is drawn that would look the same, and nothing new waits for long."""

from __future__ import annotations

from typing import Any

import pytest

from haip_sync import ChannelPaused
from monitor_app.main_window import MainWindow
from monitor_app.model.audit import Outcome
from monitor_app.model.source import Notice


@pytest.fixture
def drawn(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the frames that the plots have drawn since now."""
    frames: list[object] = []
    monkeypatch.setattr(window.flow._plots, "draw", frames.append)
    window.flow.draw_news()
    frames.clear()
    return frames


def test_a_frame_that_would_look_the_same_is_not_drawn(window: MainWindow, drawn: list[object], clock: Any) -> None:
    """One frame a pixel is drawn, and one a quarter of a second; the others would move nothing."""
    pixel_s = window.flow.span_s / window.flow._plots.width()
    begun_s = clock.time_s
    for quarter in range(40):
        clock.time_s = begun_s + quarter * pixel_s / 4
        window.flow.draw_news()
    quarters_of_a_second = 10 * pixel_s / 0.25
    assert 9 <= len(drawn) <= 11 + quarters_of_a_second + 1 < 40


@pytest.mark.parametrize("change", [{"credits": 3}, {"byte_credits": 3}, {"backlog": 3}])
def test_what_has_changed_is_drawn_at_once(window: MainWindow, drawn: list[object], source: Any, change: dict[str, int]) -> None:
    """A value that is another than before is seen at the next frame, though no time has passed."""
    source.change("USER", **change)
    window._on_frame()
    assert len(drawn) == 1
    window._on_frame()
    assert len(drawn) == 1


def test_a_pause_is_drawn_at_once(window: MainWindow, drawn: list[object], source: Any, clock: Any) -> None:
    """So are its mark and its lane."""
    source.events.append(ChannelPaused(time_s=clock.time_s, channel="USER", by="us", peer_told=True))
    window._on_frame()
    assert len(drawn) == 1


def test_what_hands_change_is_drawn_at_once(window: MainWindow, drawn: list[object]) -> None:
    """Another channel, another span."""
    window.table.choose("AGENT")
    window._on_frame()
    window.flow.zoom_in()
    window._on_frame()
    assert len(drawn) == 2


def test_what_came_of_a_command_is_told_at_the_next_frame(window: MainWindow, source: Any, clock: Any) -> None:
    """Log and control do not wait for the next text."""
    window.ingest.commands.pause("USER", "tea")
    window._on_frame()
    source.notices.append(Notice(time_s=clock.time_s, channel="USER", action="pause", result="USER is paused.", ok=True))
    window._on_frame()
    assert window.ingest.audit.entries[-1].outcome is Outcome.DONE
    assert any("USER is paused (by " in row.text for row in window.log.shown_rows)
