"""Who asks the peer for credit, and at which thresholds."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QGridLayout, QHBoxLayout, QSpinBox, QWidget

from haip_sync import ChannelState
from monitor_app.model.source import Notice
from monitor_app.model.strategy_plan import KINDS, Number, Setting, StrategyPlan, kind_of
from monitor_app.views.group import Group, allow, allow_field, spin_box
from monitor_app.views.parts import FIELD_HEIGHT, button, dress_fields, label, set_tone, wrapping_label

_MAX = 10_000_000
_MAX_S = 3600.0


class StrategyGroup(Group):
    """The strategy of the connection: it asks on every channel.

    Attributes:
        chooser: Which strategy.
        fields: Its numbers, by name of the setting.
        apply: The button that puts it to use.

    Signals:
        applied: Use this `StrategyPlan`.
    """

    applied = Signal(object)

    def __init__(self) -> None:
        super().__init__("Strategy", folded=True)
        self.chooser = QComboBox()
        self.chooser.addItems([kind.name.capitalize() for kind in KINDS])
        self.chooser.setAccessibleName("Strategy that asks for credit")
        self.chooser.setFixedHeight(FIELD_HEIGHT)
        self.fields: Mapping[str, QSpinBox | QDoubleSpinBox] = {}
        self.apply = button("&Apply", "Let this strategy ask for credit")
        self._words = wrapping_label("small")
        self._result = wrapping_label("small")
        self._grid_host: QWidget | None = None
        self._proposed: dict[str, Number] = {}
        self._caps: tuple[int, int] | None = None
        self._why_not = ""
        self._asked = ""
        self._lay_out()
        self._on_kind_changed()
        self.chooser.currentIndexChanged.connect(self._on_kind_changed)
        self.apply.clicked.connect(self._on_apply)

    def _lay_out(self) -> None:
        use = label("&Use", "muted")
        use.setBuddy(self.chooser)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(use)
        row.addWidget(self.chooser, 1)
        row.addWidget(self.apply)
        self.rows.addLayout(row)
        self.rows.addWidget(self._words)
        self.rows.addWidget(self._result)

    def plan(self) -> StrategyPlan:
        """Return what the fields say."""
        return StrategyPlan(self._kind_name(), {name: field.value() for name, field in self.fields.items()})

    def refresh(self, state: ChannelState, last: Notice | None, *, why_not: str) -> None:
        """Show which strategy was put to use last, and whether another can be; propose what the chosen channel's caps let in."""
        self._why_not = why_not
        if self._caps != (state.max_credits, state.max_credit_bytes):
            self._caps = state.max_credits, state.max_credit_bytes
            self._propose()
        for field in (self.chooser, *self.fields.values()):
            allow_field(field, why_not)
        self._validate()
        in_use = self._asked if last is not None and last.ok else ""
        self.detail.setText(f"{in_use}, every channel" if in_use else "as the client was made")
        if last is not None and not self.plan().problem():
            self._say(last.result, "small" if last.ok else "bad")

    def _kind_name(self) -> str:
        return KINDS[self.chooser.currentIndex()].name

    @Slot()
    def _on_kind_changed(self) -> None:
        kind = kind_of(self._kind_name())
        self._words.setText(f"{kind.words} For every channel.")
        if self._grid_host is not None:
            self._grid_host.hide()
            self._grid_host.deleteLater()
        self._grid_host = QWidget()
        grid = QGridLayout(self._grid_host)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        fields: dict[str, QSpinBox | QDoubleSpinBox] = {}
        for place, setting in enumerate(kind.settings):
            field = fields[setting.name] = _field(setting)
            field.valueChanged.connect(self._validate)
            grid.addWidget(label(setting.words, "muted"), place // 2, place % 2 * 2)
            grid.addWidget(field, place // 2, place % 2 * 2 + 1)
        self.fields = fields
        self._proposed = {setting.name: setting.default for setting in kind.settings}
        self._propose()
        dress_fields(self._grid_host, self.chooser.palette())
        self.rows.insertWidget(2, self._grid_host)
        self._say("", "small")
        self._validate()

    def _propose(self) -> None:
        """Put what is proposed into every field that still says what was proposed before: what was typed or applied stays."""
        if self._caps is None:
            return
        before, self._proposed = self._proposed, {}
        for setting in kind_of(self._kind_name()).settings:
            field = self.fields[setting.name]
            if setting.is_whole and field.value() == before.get(setting.name):
                proposed = self._proposed[setting.name] = int(setting.proposed(*self._caps))
                field.setValue(proposed)

    @Slot()
    def _validate(self) -> None:
        """Say at once what cannot be; a plan with a mistake cannot be applied."""
        problem = self.plan().problem()
        allow(self.apply, self._why_not or problem)
        if problem:
            self._say(problem, "bad")
        elif self._result.property("tone") == "bad":
            self._say("", "small")

    def _say(self, text: str, tone: str) -> None:
        self._result.setText(text)
        self._result.setVisible(bool(text))
        set_tone(self._result, tone)

    @Slot()
    def _on_apply(self) -> None:
        self._asked = self._kind_name()
        self._proposed = {}
        self.applied.emit(self.plan())


def _field(setting: Setting) -> QSpinBox | QDoubleSpinBox:
    name = f"{setting.words}: {setting.name.replace('_', ' ')}"
    if setting.is_whole:
        return spin_box(_MAX, f" {setting.unit}", name, int(setting.default))
    made = QDoubleSpinBox()
    made.setRange(0.0, _MAX_S)
    made.setDecimals(2)
    made.setValue(setting.default)
    made.setSuffix(f" {setting.unit}")
    made.setAccessibleName(name)
    made.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    made.setMinimumWidth(64)
    made.setFixedHeight(FIELD_HEIGHT)
    return made
