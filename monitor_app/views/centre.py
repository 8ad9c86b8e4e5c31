"""The centre of the window: the plots, or what to do while there is nothing to plot."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from haip_sync import ConnectionState
from monitor_app.views.flow_view import FlowView
from monitor_app.views.trouble import TroubleBanner, TroublePage


class Centre(QWidget):
    """Shows the plots from the first connection to a server on, with a banner above them when it is over for good.

    Signals:
        plots_shown: The plots took the place of what to do (true), or gave it back; and which it is at first.
    """

    plots_shown = Signal(bool)

    def __init__(self, flow: FlowView, page: TroublePage, banner: TroubleBanner) -> None:
        super().__init__()
        self._flow, self._page, self._banner = flow, page, banner
        self._had_connection = False
        self._told: bool | None = None
        self._stack = QStackedWidget()
        self._stack.addWidget(flow)
        self._stack.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(banner)
        column.addWidget(self._stack, 1)

    def reset(self) -> None:
        """Begin anew, with another server."""
        self._had_connection = False

    def refresh(self, connection: ConnectionState | None, *, mendable: bool) -> None:
        """Show what there is; `mendable`: the monitor itself can connect again. Called at the rate of text."""
        connected = connection is not None and connection.connected
        self._had_connection = self._had_connection or connected
        self._stack.setCurrentWidget(self._flow if self._had_connection else self._page)
        if self._told is not self._had_connection:
            self._told = self._had_connection
            self.plots_shown.emit(self._had_connection)
        mends_itself = connection is not None and connection.phase == "offline"  # which the sentence on top tells
        # What cannot be mended is told on top, and the banner would have no button.
        self._banner.setVisible(self._had_connection and mendable and not (connected or mends_itself))
