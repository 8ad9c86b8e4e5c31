"""The two rates of the window: curves thirty times a second, text four times, because text is dear to paint and is read."""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

FRAME_MS: Final = 33
TEXT_MS: Final = 250
_MEASURE_S: Final = 2.0
_LATE: Final = 1.25


class Pulse(QObject):
    """Beats for as long as the window is open, and measures itself.

    Signals:
        frame: Time for curves.
        text: Time for text.
    """

    frame = Signal()
    text = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._frames = QTimer(self)
        self._frames.setObjectName("frames")
        self._frames.setTimerType(Qt.TimerType.PreciseTimer)
        self._frames.setInterval(FRAME_MS)
        self._frames.timeout.connect(self._on_frame)
        self._texts = QTimer(self)
        self._texts.setObjectName("texts")
        self._texts.setInterval(TEXT_MS)
        self._texts.timeout.connect(self.text)
        self._beats: deque[float] = deque()
        self._skipped = False
        self._lags: deque[tuple[float, float]] = deque()

    def start(self) -> None:
        """Start to beat."""
        self._frames.start()
        self._texts.start()

    def stop(self) -> None:
        """Stop. A timer that outlives its window would draw into nothing."""
        self._frames.stop()
        self._texts.stop()

    def has_room(self) -> bool:
        """Return whether there is time to draw: not right after a beat that came late because drawing took too long.

        Every other frame of a picture that is too dear leaves the other half of the time to hands and events.
        """
        if not self._skipped and len(self._beats) > 1 and self._beats[-1] - self._beats[-2] > _LATE * FRAME_MS / 1000:
            self._skipped = True
            return False
        self._skipped = False
        return True

    def note_lag(self, lag_s: float) -> None:
        """Say how old the oldest event was that this frame took in."""
        self._lags.append((time.monotonic(), lag_s))

    def frames_per_s(self) -> float:
        """Return how many frames there were in a second, over the last two."""
        self._forget()
        if not self._beats:
            return 0.0
        return (len(self._beats) - 1) / max(1e-9, self._beats[-1] - self._beats[0])

    def lag_s(self) -> float:
        """Return the worst of the last two seconds: how late events came to be seen, or frames to be drawn."""
        self._forget()
        late_s = max((after - before - FRAME_MS / 1000 for before, after in pairwise(self._beats)), default=0.0)
        return max(0.0, late_s, max((lag_s for _, lag_s in self._lags), default=0.0))

    @Slot()
    def _on_frame(self) -> None:
        self._beats.append(time.monotonic())
        self.frame.emit()

    def _forget(self) -> None:
        before_s = time.monotonic() - _MEASURE_S
        while self._beats and self._beats[0] < before_s:
            self._beats.popleft()
        while self._lags and self._lags[0][0] < before_s:
            self._lags.popleft()
