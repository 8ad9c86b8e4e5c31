"""The two rates of the window."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from monitor_app.pulse import Pulse


def test_curves_beat_faster_than_text(qtbot: QtBot) -> None:
    """Between two texts there are several frames, and the rate is measured."""
    parent = QObject()
    pulse = Pulse(parent)
    frames: list[int] = []
    pulse.frame.connect(lambda: frames.append(1))
    pulse.start()
    with qtbot.waitSignals([pulse.text, pulse.text], timeout=5000):
        pass
    pulse.stop()
    assert len(frames) >= 5
    assert pulse.frames_per_s() > 5.0


def test_lag_is_the_worst_of_late(qtbot: QtBot) -> None:
    """What was noted counts, and nothing is late before the first beat."""
    parent = QObject()
    pulse = Pulse(parent)
    assert (pulse.frames_per_s(), pulse.lag_s()) == (0.0, 0.0)
    pulse.note_lag(0.7)
    pulse.note_lag(0.1)
    assert pulse.lag_s() == pytest.approx(0.7)


def test_after_a_late_beat_one_frame_is_left_out(qtbot: QtBot) -> None:
    """Too dear a picture is drawn every other time, so that hands and events get the rest."""
    parent = QObject()
    pulse = Pulse(parent)
    pulse._beats.extend([1.0, 1.033])
    assert pulse.has_room()
    pulse._beats.append(1.2)
    assert not pulse.has_room()
    pulse._beats.append(1.233)
    assert pulse.has_room()
