"""The status bar: the connection on the left, the monitor's own health on the right."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QStatusBar

from monitor_app.model.ingest import Ingest
from monitor_app.model.liveness import away_of, is_connected
from monitor_app.model.outage import outage_of
from monitor_app.model.status import Status
from monitor_app.model.units import NONE, format_count, short_session
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.connection_sign import connection_sign
from monitor_app.views.parts import label


class StatusLine(QStatusBar):
    """Connection, dialect, session, round trip; frames a second, lag and dropped events of the monitor itself."""

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self.setSizeGripEnabled(False)
        self._sign = QLabel()
        self._word = label("", "title")
        self._address = label("", "muted")
        self._dialect, self._session, self._round_trip = label("", "cell"), label("", "cell"), label("", "cell")
        self._frames, self._lag, self._dropped = label(), label("", "cell"), label("", "cell")
        for part in (self._sign, self._word, self._address, self._dialect, self._session, self._round_trip):
            self.addWidget(part)
        for part in (self._frames, self._lag, self._dropped):
            self.addPermanentWidget(part)

    def refresh(self, frames_per_s: float, lag_s: float) -> None:
        """Show everything as it is now. Called at the rate of text."""
        self._show_connection()
        state = self._ingest.connection
        dialect = state.dialect if state is not None and state.dialect else NONE
        self._dialect.setText(f"dialect {dialect}")
        met = state if state is not None and state.epoch else None  # before the first handshake no peer knows of a session
        session = f"{short_session(met.session_id)} epoch {met.epoch}" if met is not None else NONE
        self._session.setText(f"session {session}")
        trip_s = state.round_trip if state is not None else None
        self._round_trip.setText(f"RTT {NONE if trip_s is None else f'{trip_s * 1000:.1f} ms'}")
        self._frames.setText(f"{frames_per_s:.0f} fps")
        self._lag.setText(f"lag {lag_s * 1000:.0f} ms")
        self._dropped.setText(f"dropped {format_count(self._ingest.dropped)}")

    def _show_connection(self) -> None:
        colours = self._theme.colours
        source = self._ingest.source
        state = self._ingest.connection
        outage = outage_of(state, self._ingest.clock.now_s())
        if source.connecting:
            word = "Connecting"
        elif outage is not None:
            word = outage.short
        elif is_connected(state):
            word = "Connected"
        elif source.silent_s is not None:
            word = "Detached" if away_of(source) is Status.DETACHED else "Nothing heard"
        else:
            word = "Not connected"
        sign, colour = connection_sign(self._ingest, colours)
        self._sign.setPixmap(signs.icon(sign, colour, colours.header).pixmap(signs.SIZE, signs.SIZE))
        self._word.setText(word)
        self._address.setText(source.address)
