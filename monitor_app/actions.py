"""The one registry of commands: menus, toolbar, keys and the sheet of shortcuts all do what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from monitor_app.model.history import PLOT_NAMES, SPANS_S
from monitor_app.theme import Mode, Theme

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@dataclass(frozen=True)
class Spec:
    """One command."""

    name: str
    menu: str
    text: str
    """With its mnemonic."""
    keys: str = ""
    also: str = ""
    """More keys, which the menu does not show."""
    is_single: bool = False
    """A key without Ctrl or Alt: it belongs to the field that has the focus first, and to the window when nobody wants it."""
    is_checkable: bool = False
    ends_section: bool = False
    """Whether a line follows in the menu."""


_FILE, _VIEW, _CHANNEL, _LOG, _HELP = "&File", "&View", "&Channel", "&Log", "&Help"
MENUS: Final = (_FILE, _VIEW, _CHANNEL, _LOG, _HELP)
SPECS: Final = (
    Spec("connect_to", _FILE, "&Connect…", "Ctrl+N"),
    Spec("attach", _FILE, "&Attach to a script…", "Ctrl+O"),
    Spec("detach", _FILE, "&Detach from the script", "Ctrl+D"),
    Spec("attach_again", _FILE, "Attach a&gain", "Ctrl+Shift+O", ends_section=True),
    Spec("retry", _FILE, "&Try again", "F5"),
    Spec("cancel_connect", _FILE, "Cance&l connecting", "Shift+F5", ends_section=True),
    Spec("export", _FILE, "&Export the log…", "Ctrl+E"),
    Spec("export_plots", _FILE, "Export the &plots' data…", "Ctrl+Shift+E"),
    Spec("save_plots", _FILE, "&Save the plots as a picture…", "Ctrl+S", ends_section=True),
    Spec("quit", _FILE, "&Quit", "Ctrl+Q"),
    Spec("live", _VIEW, "&Live", "L", is_single=True, is_checkable=True),
    Spec("freeze", _VIEW, "&Freeze view", "Space", is_single=True, is_checkable=True, ends_section=True),
    Spec("zoom_in", _VIEW, "&Zoom in", "+", is_single=True),
    Spec("zoom_out", _VIEW, "Zoom o&ut", "-", is_single=True),
    Spec("select_span", _VIEW, "S&elect a span", "Ctrl+B", is_checkable=True),
    Spec("fold_idle", _VIEW, "Fold &idle channels", "I", is_single=True, is_checkable=True, ends_section=True),
    Spec("next_part", _VIEW, "&Next part", "F6"),
    Spec("last_part", _VIEW, "&Previous part", "Shift+F6"),
    Spec("reset_layout", _VIEW, "&Reset layout", "Shift+F7", ends_section=True),
    Spec("next_channel", _CHANNEL, "&Next channel", "Down", is_single=True),
    Spec("last_channel", _CHANNEL, "Pre&vious channel", "Up", is_single=True),
    Spec("hide_channel", _CHANNEL, "&Hide in the plots", "H", is_single=True, is_checkable=True),
    Spec("solo_channel", _CHANNEL, "Show &alone in the plots", "S", is_single=True, is_checkable=True),
    Spec("other_side", _CHANNEL, "Receiving si&de", "D", is_single=True, is_checkable=True, ends_section=True),
    Spec("pause", _CHANNEL, "&Pause…", "P", is_single=True),
    Spec("resume", _CHANNEL, "&Resume", "R", is_single=True),
    Spec("request", _CHANNEL, "Re&quest credit for the queue", "Ctrl+R"),
    Spec("strategy", _CHANNEL, "&Strategy…", "Ctrl+G"),
    Spec("test_message", _CHANNEL, "&Test message…", "Ctrl+T"),
    Spec("clear_queue", _CHANNEL, "C&lear the queue…", "Ctrl+Del", ends_section=True),
    Spec("read_only", _CHANNEL, "Read-&only", "Ctrl+L", is_checkable=True),
    Spec("find", _LOG, "&Filter the log", "Ctrl+F"),
    Spec("only_channel", _LOG, "Only the &chosen channel", "Ctrl+Shift+F"),
    Spec("evidence", _LOG, "E&vidence of the sentence on top", "F9"),
    Spec("all_rows", _LOG, "All &rows again", "Esc", is_single=True, ends_section=True),
    Spec("follow", _LOG, "F&ollow the newest row", "Ctrl+End", is_checkable=True),
    Spec("messages", _LOG, "Log single &messages", "Ctrl+M", is_checkable=True, ends_section=True),
    Spec("show_events", _LOG, "&Events", "Ctrl+J", is_checkable=True),
    Spec("show_audit", _LOG, "&Audit trail", "Ctrl+U", is_checkable=True),
    Spec("copy_rows", _LOG, "Cop&y the selected rows", "Ctrl+Shift+C"),
    Spec("copy_row_json", _LOG, "Copy the inspected row as &JSON", "Ctrl+Shift+J"),
    Spec("shortcuts", _HELP, "&Shortcuts", "F1", also="Ctrl+K"),
    Spec("diagnostics", _HELP, "&Diagnostics…", "Ctrl+Shift+D", ends_section=True),
    Spec("about", _HELP, "&About HAIP Monitor", "Shift+F1"),
)
# No Ctrl+Alt anywhere: desktops lock the screen with it, and it is AltGr on some keyboards.
_MODE_KEYS: Final = {Mode.SYSTEM: "Shift+F2", Mode.DARK: "Shift+F3", Mode.LIGHT: "Shift+F4"}
_ALSO: Final = {"?": "shortcuts", "+": "zoom_in", "=": "zoom_in"}
"""Single keys that stand for a command beside its own."""


def span_name(span_s: float) -> str:
    """Return a span of time as it is called in menu and toolbar: 30 s, 2 min, 1 h."""
    if span_s < _MINUTE_S:
        return f"{span_s:g} s"
    return f"{span_s / _MINUTE_S:g} min" if span_s < _HOUR_S else f"{span_s / _HOUR_S:g} h"


SPAN_NAMES: Final = {span_s: span_name(span_s) for span_s in SPANS_S}


class Actions(QObject):
    """The commands of a window. Each of `SPECS` is an attribute by its name: a `QAction`, to be connected with `bind`.

    Attributes:
        spans: By span in seconds.
        plots: By metric: whether its plot is shown.
        modes: By theme.
        dock_menu: For the docks to add their own entries to.

    Signals:
        span_wanted: Show the last so many seconds.
    """

    span_wanted = Signal(float)

    def __init__(self, bar: QMenuBar, theme: Theme) -> None:
        super().__init__(bar)
        self._theme = theme
        self._made = {spec.name: self._make(spec) for spec in SPECS}
        self._menu_of = {spec.name: spec.menu for spec in SPECS}
        self.spans = {span_s: self._action(name, f"Ctrl+{place}") for place, (span_s, name) in enumerate(SPAN_NAMES.items(), 1)}
        self.modes = {mode: self._action(f"&{mode.value.capitalize()}", _MODE_KEYS[mode]) for mode in Mode}
        self.plots = {metric: self._action(name, f"Alt+{metric + 1}") for metric, name in enumerate(PLOT_NAMES)}
        for action in self.plots.values():
            action.setCheckable(True)
        for action in self.spans.values():
            action.setCheckable(True)
            action.triggered.connect(self._on_span_chosen)
        self._check_one(list(self.modes.values()))
        self.modes[theme.mode].setChecked(True)
        self._menus = {title: bar.addMenu(title) for title in MENUS}
        self._fill()
        for action in self.modes.values():
            action.triggered.connect(self._on_mode_chosen)

    def __getattr__(self, name: str) -> QAction:
        made: dict[str, QAction] = self.__dict__.get("_made", {})
        if name not in made:
            raise AttributeError(f"there is no command {name!r}")
        return made[name]

    def bind(self, slots: Mapping[str, Callable[..., object]]) -> None:
        """Let commands call slots: bound methods of objects that live in the GUI thread. Checkable ones say whether they are."""
        for name, slot in slots.items():
            self._made[name].triggered.connect(slot)

    @Slot(float)
    def choose_span(self, span_s: float) -> None:
        """Do the command that shows this span."""
        self.spans[span_s].trigger()

    def allow(self, name: str, why_not: str = "") -> None:
        """Enable a command, or disable it and say why."""
        self._made[name].setDisabled(bool(why_not))
        self._made[name].setToolTip(why_not)

    def of_key(self, event: QKeyEvent) -> QAction | None:
        """Return the command of a single key that nothing with the focus wanted."""
        if event.text() in _ALSO:
            return self._made[_ALSO[event.text()]]
        keys = QKeySequence(event.keyCombination().key() if _is_bare(event) else event.keyCombination()).toString()
        return next((self._made[spec.name] for spec in SPECS if spec.is_single and spec.keys == keys), None)

    def listed(self) -> list[tuple[str, str, str, QAction]]:
        """Return every command with its menu, words and keys, in the order of the menus."""
        return [
            (_plain(menu.title()), text, _keys_of(action), action)
            for menu in self._menus.values()
            for text, action in _leaves(menu)
        ]

    def _make(self, spec: Spec) -> QAction:
        action = self._action(f"{spec.text}\t{spec.keys}", "") if spec.is_single else self._action(spec.text, spec.keys)
        if spec.also:
            action.setShortcuts([QKeySequence(spec.keys), QKeySequence(spec.also)])
        action.setCheckable(spec.is_checkable)
        action.setObjectName(spec.name)
        return action

    def _action(self, text: str, keys: str) -> QAction:
        action = QAction(text, self)
        if keys:
            action.setShortcut(QKeySequence(keys))
        return action

    def _check_one(self, actions: list[QAction]) -> None:
        group = QActionGroup(self)
        for action in actions:
            action.setCheckable(True)
            group.addAction(action)

    def _fill(self) -> None:
        for title, actions in (("&Theme", self.modes), ("&Span", self.spans), ("Pl&ots", self.plots)):
            menu = self._menus[_VIEW].addMenu(title)
            menu.setToolTipsVisible(True)
            menu.addActions(list(actions.values()))
        self.dock_menu = self._menus[_VIEW].addMenu("&Docks")
        for spec in SPECS:
            menu = self._menus[spec.menu]
            menu.setToolTipsVisible(True)
            menu.addAction(self._made[spec.name])
            if spec.ends_section:
                menu.addSeparator()

    @Slot()
    def _on_span_chosen(self) -> None:
        self.span_wanted.emit(next(span_s for span_s, action in self.spans.items() if action is self.sender()))

    @Slot()
    def _on_mode_chosen(self) -> None:
        self._theme.choose(next(mode for mode, action in self.modes.items() if action.isChecked()))


def _is_bare(event: QKeyEvent) -> bool:
    """Return whether a key was pressed without Ctrl, Alt and Shift; keypad keys count as their like."""
    return not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier


def _leaves(menu: QMenu, prefix: str = "") -> list[tuple[str, QAction]]:
    """Return the commands of a menu with their words; those of a menu within it name that menu too."""
    found: list[tuple[str, QAction]] = []
    for action in menu.actions():
        submenu = action.menu()
        if isinstance(submenu, QMenu):
            found += _leaves(submenu, f"{_plain(submenu.title())}: ")
        elif not action.isSeparator():
            found.append((f"{prefix}{_plain(action.text())}", action))
    return found


def _keys_of(action: QAction) -> str:
    """Return the keys of a command; those of single keys stand in its text."""
    _, _, single = action.text().partition("\t")
    return single or action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)


def _plain(text: str) -> str:
    """Return the words of a menu entry, without its mnemonic and its keys."""
    return text.replace("&", "").split("\t")[0]
