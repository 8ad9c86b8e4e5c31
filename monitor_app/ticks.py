"""The ticks of commands that toggle: each is as what it stands for is, whoever changed that, by menu, toolbar, key or mouse."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from monitor_app.actions import Actions
from monitor_app.model.ingest import Ingest
from monitor_app.model.viewport import Mode
from monitor_app.views.channel_cells import Side
from monitor_app.views.channel_table import ChannelTable
from monitor_app.views.flow_view import FlowView
from monitor_app.views.log_panel import LogPanel


class Ticks(QObject):
    """Sets them at once, and with every text. What toggles and is not here says so itself: docks, plots, themes, Follow."""

    def __init__(self, actions: Actions, ingest: Ingest, table: ChannelTable, flow: FlowView, log_panel: LogPanel) -> None:
        super().__init__(actions)
        self._actions, self._ingest = actions, ingest
        self._table, self._flow, self._log_panel = table, flow, log_panel
        for name in self._states():
            getattr(actions, name).triggered.connect(self.refresh)
        hands = (flow.mode_changed, flow.view_changed, flow.span_changed, flow.tools[0].toggled, log_panel.currentChanged)
        for changed in (*hands, table.channel_chosen, table.visibility_changed, table.side_changed, actions.span_wanted):
            changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Tick what is on, and nothing else."""
        for name, is_on in self._states().items():
            getattr(self._actions, name).setChecked(is_on)
        for span_s, action in self._actions.spans.items():
            action.setChecked(span_s == self._flow.span_s)

    def _states(self) -> dict[str, bool]:
        visibility, chosen, page = self._ingest.visibility, self._table.chosen, self._log_panel.currentWidget()
        return {
            "live": self._flow.picture.viewport.mode is Mode.LIVE,
            "freeze": self._flow.frozen,
            "select_span": self._flow.tools[0].isChecked(),
            "fold_idle": self._flow.folds_idle,
            "hide_channel": chosen in visibility.hidden,
            "solo_channel": bool(chosen) and visibility.solo == chosen,
            "other_side": self._table.side is Side.RECEIVE,
            "read_only": self._ingest.commands.read_only,
            "messages": self._log_panel.logs_messages,
            "show_events": page is self._log_panel.events,
            "show_audit": page is self._log_panel.audit,
        }
