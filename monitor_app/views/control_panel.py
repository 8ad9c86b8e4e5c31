"""The control dock: the answer for the chosen channel, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QComboBox, QScrollArea, QVBoxLayout, QWidget

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import away_of
from monitor_app.model.status import STALE, Status
from monitor_app.model.strategy_plan import StrategyPlan
from monitor_app.theme import Theme
from monitor_app.views.answer_box import AnswerBox
from monitor_app.views.channel_shapes import draw_shape
from monitor_app.views.control_groups import PauseGroup, RequestGroup, TestMessageGroup
from monitor_app.views.group import Group, allow
from monitor_app.views.parts import FIELD_HEIGHT, set_tone, wrapping_label
from monitor_app.views.queue_group import QueueGroup
from monitor_app.views.strategy_group import StrategyGroup


class ControlPanel(QScrollArea):
    """Controls of the chosen channel. Commands go to the source; their results come back as notices.

    Attributes:
        chooser: The channel, for the title bar of the dock.
        answer: What holds the channel.
        request: Request credit.
        pause: Pause and resume.
        strategy: Who asks for credit.
        queue: What waits, and clearing it.
        test_message: Send a text.

    Signals:
        channel_chosen: The operator chose another channel here; its name.
        clear_wanted: Ask whether to clear the queue of the chosen channel.
        export_wanted: Export what is known of the queue of the chosen channel.
    """

    channel_chosen = Signal(str)
    clear_wanted = Signal()
    export_wanted = Signal()

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._channel = ""
        self.chooser = QComboBox()
        self.chooser.setAccessibleName("Channel to control")
        self.chooser.setFixedHeight(FIELD_HEIGHT - 2)
        self.chooser.setIconSize(QSize(13, 13))  # what a shape fits in
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.chooser.setMinimumContentsLength(10)
        self.answer = AnswerBox(ingest, theme)
        self.request = RequestGroup(ingest.clock)
        self.pause = PauseGroup(theme, ingest.clock)
        self.strategy = StrategyGroup()
        self.queue = QueueGroup()
        self.test_message = TestMessageGroup(ingest.clock)
        self._why_not = wrapping_label("why-not")
        self._nothing = wrapping_label("muted")
        self._nothing.setText("Once there is a connection, its channels can be steered from here.")
        self._nothing.setContentsMargins(10, 8, 10, 8)
        self._lay_out()
        self._connect_parts()

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for part in (self._nothing, self._why_not, self.answer, *self._groups):
            layout.addWidget(part)
        layout.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    @property
    def _groups(self) -> tuple[Group, ...]:
        return self.request, self.pause, self.strategy, self.queue, self.test_message

    def _connect_parts(self) -> None:
        self.chooser.textActivated.connect(self.channel_chosen)
        self.answer.requested.connect(self._on_requested)
        self.answer.resumed.connect(self._on_resumed)
        self.answer.other_chosen.connect(self.channel_chosen)
        self.request.requested.connect(self._on_requested)
        self.pause.paused.connect(self._on_paused)
        self.pause.resumed.connect(self._on_resumed)
        self.strategy.applied.connect(self._on_strategy_applied)
        self.queue.clear_wanted.connect(self.clear_wanted)
        self.queue.export_wanted.connect(self.export_wanted)
        self.test_message.sent.connect(self._on_sent)
        self._theme.changed.connect(self.pause.dress)
        self._theme.changed.connect(self.chooser.clear)

    def choose(self, channel: str) -> None:
        """Control `channel`."""
        self._channel = channel
        self.refresh()

    def refresh(self) -> None:
        """Show the chosen channel as it is now. Called at the rate of text."""
        self._fill_chooser()
        view = self._ingest.channel(self._channel)
        self.answer.refresh(view)
        self._nothing.setVisible(view is None)
        self.chooser.setVisible(view is not None)
        for group in self._groups:
            group.setVisible(view is not None)
        why_not = self.why_not()
        self._why_not.setText(f"Controls are disabled. {why_not}")
        set_tone(self._why_not, "by-choice" if away_of(self._ingest.source) is Status.DETACHED else "why-not")
        self._why_not.setVisible(bool(why_not) and view is not None)
        if view is not None:
            self._refresh_groups(view, why_not)

    def why_not(self) -> str:
        """Return why nothing can be steered now; empty when it can."""
        connection = self._ingest.connection
        return self._ingest.commands.why_not(connected=connection is not None and connection.connected)

    def _refresh_groups(self, view: ChannelView, why_not: str) -> None:
        answered, name = self._ingest.answered, view.name
        locked = self._ingest.commands.locked
        if locked and view.status not in STALE:
            allow(self.answer.action, locked)
        else:
            self.answer.action.setToolTip("")
        self.request.refresh(view, answered.get((name, "request")), why_not=why_not)
        self.pause.refresh(view, answered.get((name, "pause")), why_not=why_not)
        self.strategy.refresh(view.state, self._ingest.answered_for_all.get("strategy"), why_not=why_not)
        self.queue.refresh(view, answered.get((name, "clear queue")), why_not=why_not)
        self.test_message.refresh(view, answered.get((name, "test message")), why_not=why_not)

    def _swatch(self, channel: str, place: int) -> QIcon:
        size, ratio = self.chooser.iconSize(), self.devicePixelRatioF()
        pixmap = QPixmap(size * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        draw_shape(
            painter, channel, place, QPointF(size.width() / 2, size.height() / 2), self._theme.channel_colour(channel, place)
        )
        painter.end()
        return QIcon(pixmap)

    def _fill_chooser(self) -> None:
        names = [view.name for view in self._ingest.channels()]
        if [self.chooser.itemText(place) for place in range(self.chooser.count())] != names:
            self.chooser.clear()
            for place, name in enumerate(names):
                self.chooser.addItem(self._swatch(name, place), name)
        if self.chooser.currentText() != self._channel and not self.chooser.view().isVisible():
            self.chooser.setCurrentText(self._channel)

    @Slot(int, int)
    def _on_requested(self, messages: int, byte_credits: int) -> None:
        self._ingest.commands.request(self._channel, messages, byte_credits)

    @Slot(str)
    def _on_paused(self, reason: str) -> None:
        self._ingest.commands.pause(self._channel, reason or None)

    @Slot()
    @Slot(str)
    def _on_resumed(self, reason: str = "") -> None:
        self._ingest.commands.resume(self._channel, reason or None)

    @Slot(object)
    def _on_strategy_applied(self, plan: StrategyPlan) -> None:
        self._ingest.commands.use_strategy(plan)

    @Slot(str)
    def _on_sent(self, text: str) -> None:
        self._ingest.commands.send_test_message(self._channel, text)
