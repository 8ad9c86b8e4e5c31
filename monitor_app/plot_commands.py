"""What the View menu does to the plots: which are shown, remembered for the next day, and what hands do to them by key."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Slot

from monitor_app.actions import Actions
from monitor_app.settings import Settings
from monitor_app.views.flow_view import FlowView
from monitor_app.views.view_bar import ViewBar

_NO_PLOTS: Final = "There are no plots yet. They show as soon as there is a connection."


class PlotCommands(QObject):
    """Shows and hides plots, zooms, selects, folds. The last plot stays: a centre without any would look broken."""

    def __init__(self, flow: FlowView, bar: ViewBar, actions: Actions, settings: Settings | None) -> None:
        super().__init__(flow)
        self._flow = flow
        self._actions = actions
        self._plots = actions.plots
        self._settings = settings
        hidden = settings.hidden_plots if settings is not None else frozenset()
        for metric, action in self._plots.items():
            action.setChecked(metric not in hidden)
            action.triggered.connect(self._on_chosen)
        actions.reset_layout.triggered.connect(self.show_all)
        actions.bind(
            {
                "live": flow.follow,
                "freeze": self._on_freeze,
                "zoom_in": flow.zoom_in,
                "zoom_out": flow.zoom_out,
                "select_span": self._on_select,
                "fold_idle": flow.fold_idle,
            }
        )
        flow.fold_allowed.connect(self._on_fold_allowed)
        fold = flow.tools[-1]
        self._on_fold_allowed("" if fold.isEnabled() else fold.toolTip())
        bar.put_menu("Plots", "Choose which plots are shown", list(self._plots.values()))
        self._show()

    @Slot()
    def show_all(self) -> None:
        """Show every plot."""
        for action in self._plots.values():
            action.setChecked(True)
        self._on_chosen()

    @Slot(bool)
    def allow_selecting(self, shown: bool) -> None:
        """Let a span be selected while the plots are shown; without any, say why not."""
        select = self._flow.tools[0]
        select.setEnabled(shown)
        select.setToolTip(select.accessibleName() if shown else _NO_PLOTS)
        self._actions.allow("select_span", "" if shown else _NO_PLOTS)

    @Slot(str)
    def _on_fold_allowed(self, why_not: str) -> None:
        self._actions.allow("fold_idle", why_not)

    @Slot(bool)
    def _on_select(self, wanted: bool) -> None:
        """Let the next drag select a span, or no longer; by keys Shift and the arrows do."""
        self._flow.tools[0].setChecked(wanted)

    @Slot()
    def _on_freeze(self) -> None:
        if self._flow.frozen:
            self._flow.follow()
        else:
            self._flow.freeze()

    @Slot()
    def _on_chosen(self) -> None:
        self._show()
        if self._settings is not None:
            self._settings.keep_hidden_plots(metric for metric, action in self._plots.items() if not action.isChecked())

    def _show(self) -> None:
        shown = [metric for metric, action in self._plots.items() if action.isChecked()]
        if not shown:  # only a settings file that was written by hand says so
            return self.show_all()
        for metric in shown:
            is_last = len(shown) == 1
            self._plots[metric].setDisabled(is_last)
            self._plots[metric].setToolTip("One plot at least is shown." if is_last else "")
        self._flow.show_plots(shown)
        return None
