"""The floor of drawing: twenty curves of 1,500 noisy points under a fixed X range, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QApplication

CURVES: Final = 20
POINTS: Final = 1_500


@contextmanager
def bare_curves() -> Iterator[Callable[[int], float]]:
    """Yield a function that draws so many frames and returns the CPU time of one, in seconds."""
    view = pg.GraphicsLayoutWidget()
    view.resize(1600, 1000)
    plot = view.addPlot()
    plot.setXRange(-30, 0, padding=0)
    plot.setYRange(0, 1)
    plot.setMouseEnabled(False, False)
    curves = [pg.PlotCurveItem(pen=pg.mkPen("w", width=1), antialias=False) for _ in range(CURVES)]
    for curve in curves:
        plot.addItem(curve, ignoreBounds=True)
    x = np.linspace(-30, 0, POINTS)
    values = np.random.default_rng(1).random((CURVES, POINTS))

    def draw(frames: int) -> float:
        begin_s = time.thread_time()
        for number in range(frames):
            for curve, y in zip(curves, values, strict=True):
                curve.setData(x=x - number / 1000, y=y, skipFiniteCheck=True, connect="all")
            QApplication.processEvents()
        return (time.thread_time() - begin_s) / frames

    view.show()
    QApplication.processEvents()
    yield draw
    view.close()
    view.deleteLater()
    QApplication.processEvents()
