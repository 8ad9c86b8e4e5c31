"""The centre: lanes, plots and the strip of times over one time axis, live, looking back or standing still."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QSaveFile, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout

from monitor_app.model.event_log import LogRow
from monitor_app.model.frame_looks import FrameLooks
from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import values_of
from monitor_app.model.marks import Mark
from monitor_app.model.picture import Frame, Picture
from monitor_app.model.viewport import Mode
from monitor_app.model.visibility import fitting
from monitor_app.theme import Theme
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.flow_hands import FlowHands
from monitor_app.views.flow_plots import FlowPlots
from monitor_app.views.lane_strip import LANE_HEIGHT, LaneStrip
from monitor_app.views.mark_tip import MarkTip
from monitor_app.views.side_columns import EDGE_WIDTH, READOUT_WIDTH, EdgeShapes, PlotTitles, ReadOut
from monitor_app.views.time_axis import TimeAxis, TimeScale
from monitor_app.views.time_strip import ROW_HEIGHT, TimeStrip

_NEAR_PX: Final = 5
_LEAST_ROWS: Final = 5


class FlowView(QFrame):
    """Lanes, plots, read-out and times of one source.

    Attributes:
        picture: What is shown.

    Signals:
        mode_changed: The picture follows, stands still or looks back, other than before; the `Mode`.
        mark_chosen: A mark was clicked on; the `Mark`.
        fold_allowed: Why there is nothing to fold or to unfold; empty: there is.
        span_changed: Another span is shown than the one that was chosen by name; its seconds.
        view_changed: The plots follow, stand still or look back other than before, show a span by name or other channels, or a
            span was selected.
    """

    mode_changed = Signal(object)
    span_changed = Signal(float)
    view_changed = Signal()
    mark_chosen = Signal(object)
    fold_allowed = Signal(str)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self.picture = Picture(ingest)
        self._ingest = ingest
        self._theme = theme
        self.setProperty("role", "panel")
        self._bar = FlowBar(theme)
        self._lanes = LaneStrip(ingest, theme, READOUT_WIDTH + EDGE_WIDTH)
        self._titles = PlotTitles(theme)
        self._plots = FlowPlots(theme)
        self._edge = EdgeShapes(theme, self._plots.y_of)
        self._readout = ReadOut(theme)
        self._axis = TimeAxis(ingest.clock, theme, READOUT_WIDTH)
        self._times = TimeStrip(theme, READOUT_WIDTH + EDGE_WIDTH)
        self._hands = FlowHands(ingest, self.picture, self._plots.hands)
        self._tip = MarkTip(self._plots, ingest.clock)
        self._looks = FrameLooks(ingest)
        self._lay_out()
        self._connect_hands()
        self._plots.arranged.connect(self._on_arranged)
        self._bar.live_wanted.connect(self.follow)
        self._bar.select_toggled.connect(self._on_select_toggled)
        self._bar.fold_toggled.connect(self.fold_idle)
        self._bar.fold_allowed.connect(self.fold_allowed)
        theme.changed.connect(self._on_theme_changed)

    def _lay_out(self) -> None:
        columns = QHBoxLayout()
        columns.setSpacing(0)
        for widget, stretch in ((self._titles, 0), (self._plots, 1), (self._edge, 0), (self._readout, 0)):
            columns.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._lanes)
        layout.addLayout(columns, 1)
        layout.addWidget(self._axis)
        layout.addWidget(self._times)

    def _connect_hands(self) -> None:
        self._hands.span_changed.connect(self.span_changed)
        self._hands.mode_changed.connect(self._on_mode_changed)
        self._hands.moved.connect(self._on_moved)
        self._hands.selected.connect(self._on_selected)
        self._plots.hands.clicked.connect(self._on_clicked)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return what the plots need to be readable."""
        return QSize(560, 420)

    @property
    def tools(self) -> tuple[QToolButton, ...]:
        """The buttons of the plots for which their own title has no room."""
        return self._bar.select, self._bar.fold

    @property
    def frozen(self) -> bool:
        """Whether the picture was told to stand still."""
        return self.picture.viewport.mode is Mode.FROZEN

    @property
    def span_s(self) -> float:
        """The span that is shown, in seconds."""
        return self.picture.viewport.span_s

    def show_plots(self, metrics: Collection[int]) -> None:
        """Show the plots of these of `METRICS`."""
        self._plots.show_plots(metrics)
        if self.isVisible():
            self.draw()

    def choose(self, channel: str) -> None:
        """Bring out one channel."""
        self.picture.chosen = channel
        for part in (self._lanes, self._plots, self._edge, self._readout, self._times):
            part.choose(channel)

    def set_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, live."""
        self._hands.set_span(span_s)
        self.view_changed.emit()

    @Slot()
    def freeze(self) -> None:
        """Let the picture stand still; everything goes on being recorded and nothing changes on the wire."""
        self._hands.freeze()

    @Slot()
    def follow(self) -> None:
        """Follow what happens."""
        self._hands.follow()

    @Slot()
    def clear(self) -> None:
        """Take the selection and the crosshair away."""
        self._hands.clear()

    @Slot()
    def zoom_in(self) -> None:
        """Show less time."""
        self._plots.hands.zoom(-1)

    @Slot()
    def zoom_out(self) -> None:
        """Show more time."""
        self._plots.hands.zoom(1)

    @property
    def folds_idle(self) -> bool:
        """Whether idle channels are folded away."""
        return self._ingest.visibility.folds_idle

    @Slot(bool)
    def fold_idle(self, folds: bool) -> None:
        """Fold idle channels away, or show them."""
        self._ingest.visibility.folds_idle = folds
        self.refresh()
        self.view_changed.emit()

    @Slot(object)
    def show_row(self, row: LogRow | None) -> None:
        """Put the crosshair on the moment of a row of the log; look back to it if it is out of sight."""
        if row is not None:
            self._hands.show_row(row)

    def export_png(self, path: Path) -> None:
        """Write lanes, plots and times as they are seen, as PNG. Raises `OSError` in words; the file is then as it was."""
        self.refresh()
        self.draw()
        file = QSaveFile(str(path))
        written = file.open(QSaveFile.OpenModeFlag.WriteOnly) and self.grab().save(file, "PNG") and file.commit()
        if not written:
            raise OSError(f"{path} could not be written: {file.errorString()}. Nothing was changed.")

    def draw_news(self) -> None:
        """Draw a frame if it looks other than the last one, or that is a while ago. Called at the rate of curves."""
        frame, plots = self.picture.frame(), self._plots
        cursor = self._hands.crosshair.share(frame.left_s, frame.right_s)
        width_px = plots.width() * self.devicePixelRatioF()
        if self._looks.are_new(frame, width_px, cursor, plots.size(), self.picture.chosen):
            self._draw(frame)

    def draw(self) -> None:
        """Draw one frame, whatever was drawn last."""
        self._draw(self.picture.frame())

    def _draw(self, frame: Frame) -> None:
        self._plots.set_span(frame.right_s - frame.left_s)
        self._plots.draw(frame)
        self._titles.show_ticks(self._plots.ticks())
        self._edge.show_values(self.picture.values(frame, self._edge_time_s(frame)))
        scale = self._scale(frame)
        self._lanes.draw_frame(scale, *self._rows(frame), frame.folded)
        cursor = self._hands.crosshair.share(frame.left_s, frame.right_s)
        x = None if cursor is None else (cursor - 1) * self.span_s
        self._plots.set_cursor(x)
        mode = self.picture.viewport.mode
        self._axis.draw_frame(scale, x, values_of(mode, x, self._ingest.connection), live=mode is Mode.LIVE)

    def refresh(self) -> None:
        """Show the values. Called at the rate of text."""
        frame = self.picture.frame()
        self._on_arranged()
        self._show_values(frame)
        seen = self.picture.seen(frame.left_s, frame.right_s)
        self._times.show_shares(*self._rows(frame), self.picture.shares(frame), seen, self._scale(frame))
        self._bar.show_moment(self.picture.viewport.mode, frame.right_s, self._ingest)
        self._bar.show_folding(len(frame.folded), folds=self._ingest.visibility.folds_idle)

    def _edge_time_s(self, frame: Frame) -> float | None:
        """Return the time of the values at the right edge; None for the newest."""
        return None if self.picture.viewport.mode is Mode.LIVE else frame.right_s

    def _rows(self, frame: Frame) -> tuple[list[tuple[str, int]], int]:
        """Return the channels for which lanes and strip have room beside the plots, and how many they leave out."""
        return fitting(frame.placed, self.picture.chosen, max(_LEAST_ROWS, self.height() // (2 * LANE_HEIGHT + 2 * ROW_HEIGHT)))

    def _scale(self, frame: Frame) -> TimeScale:
        rect = self._plots.area()
        left_px = self._plots.mapTo(self, QPoint(rect.left(), 0)).x() - self._lanes.x()
        return TimeScale(frame.right_s, frame.left_s - frame.right_s, 0.0, left_px, rect.width())

    def _show_values(self, frame: Frame) -> None:
        """Show what holds under the crosshair. Called for every move of a hand as well, so it does no more than that."""
        cursor = self._hands.crosshair.share(frame.left_s, frame.right_s)
        at_s = self._edge_time_s(frame) if cursor is None else frame.left_s + cursor * (frame.right_s - frame.left_s)
        self._readout.show_values(self.picture.values(frame, at_s))
        self._show_tip(cursor)

    def _show_tip(self, cursor: float | None) -> None:
        """Say what the mark is on which the crosshair stands."""
        rect = self._plots.area()
        if cursor is None:
            self._tip.hide()
            return
        self._tip.tell(self._marks_at(cursor), rect.left() + round(cursor * rect.width()), rect)

    def _marks_at(self, share: float) -> list[Mark]:
        """Return the marks on which a hand points at a share of the width, the closest first."""
        within_s = _NEAR_PX * self.span_s / max(1, self._plots.area().width())
        return self.picture.marks_near(self.picture.time_at(share), within_s)

    @Slot()
    def _on_moved(self) -> None:
        self._show_values(self.picture.frame())

    @Slot()
    def _on_selected(self) -> None:
        self._plots.hands.selects = False
        self._bar.show_selecting(on=False)
        self.view_changed.emit()

    @Slot()
    def _on_mode_changed(self) -> None:
        self.refresh()
        self.mode_changed.emit(self.picture.viewport.mode)
        self.view_changed.emit()

    @Slot(float)
    def _on_clicked(self, share: float) -> None:
        near = self._marks_at(share)
        if near:
            self.mark_chosen.emit(near[0])

    @Slot(bool)
    def _on_select_toggled(self, on: bool) -> None:
        self._plots.hands.selects = on
        if on:
            self._plots.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _on_arranged(self) -> None:
        for part in (self._titles, self._edge, self._readout):
            part.arrange(self._plots.rects())

    @Slot()
    def _on_theme_changed(self) -> None:
        self._plots.dress()
        for part in (self._lanes, self._axis, self):
            part.update()
