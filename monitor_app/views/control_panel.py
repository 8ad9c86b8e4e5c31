"""The control dock: the answer for the chosen channel, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QComboBox, QScrollArea, QVBoxLayout, QWidget

from monitor_app.model.ingest import Ingest
from monitor_app.theme import Theme
from monitor_app.views.answer_box import AnswerBox
from monitor_app.views.control_groups import PauseGroup, RequestGroup, TestMessageGroup
from monitor_app.views.parts import FIELD_HEIGHT


class ControlPanel(QScrollArea):
    """Controls of the chosen channel. Commands go to the source; their results come back as notices.

    Attributes:
        chooser: The channel, for the title bar of the dock.
        answer: What holds the channel.
        request: Request credit.
        pause: Pause and resume.
        test_message: Send a text.

    Signals:
        channel_chosen: The operator chose another channel here; its name.
    """

    channel_chosen = Signal(str)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._channel = ""
        self.chooser = QComboBox()
        self.chooser.setAccessibleName("Channel to control")
        self.chooser.setFixedHeight(FIELD_HEIGHT - 2)
        self.chooser.setIconSize(QSize(10, 10))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.answer = AnswerBox(ingest, theme)
        self.request = RequestGroup(ingest.clock)
        self.pause = PauseGroup(theme)
        self.test_message = TestMessageGroup()
        self._lay_out()
        self._connect_parts()

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for part in (self.answer, self.request, self.pause, self.test_message):
            layout.addWidget(part)
        layout.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def _connect_parts(self) -> None:
        self.chooser.textActivated.connect(self.channel_chosen)
        self.answer.requested.connect(self._on_requested)
        self.answer.resumed.connect(self._on_resumed)
        self.answer.reconnect_wanted.connect(self._on_reconnect_wanted)
        self.answer.other_chosen.connect(self.channel_chosen)
        self.request.requested.connect(self._on_requested)
        self.pause.paused.connect(self._on_paused)
        self.pause.resumed.connect(self._on_resumed)
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
        for group in (self.request, self.pause, self.test_message):
            group.setVisible(view is not None)
        if view is None:
            return
        connection = self._ingest.connection
        connected = connection is not None and connection.connected
        answered = self._ingest.answered
        self.request.refresh(view, answered.get((view.name, "request")), connected=connected)
        self.pause.refresh(view, answered.get((view.name, "pause")), connected=connected)
        self.test_message.refresh(view, answered.get((view.name, "test message")), connected=connected)

    def _swatch(self, channel: str, place: int) -> QIcon:
        pixmap = QPixmap(self.chooser.iconSize())
        pixmap.fill(self._theme.channel_colour(channel, place))
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
        self._ingest.source.request(self._channel, messages, byte_credits)

    @Slot(str)
    def _on_paused(self, reason: str) -> None:
        self._ingest.source.pause(self._channel, reason or None)

    @Slot()
    def _on_resumed(self) -> None:
        self._ingest.source.resume(self._channel)

    @Slot(str)
    def _on_sent(self, text: str) -> None:
        self._ingest.source.send_test_message(self._channel, text)

    @Slot()
    def _on_reconnect_wanted(self) -> None:
        self._ingest.source.reconnect()
