"""Asks where and how to export a table, and writes it a step at a time while the window lives on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from PySide6.QtCore import QStandardPaths, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QHBoxLayout, QLineEdit, QProgressBar, QWidget

from monitor_app.model.export import Export, ExportError, Format, Table
from monitor_app.model.units import format_count
from monitor_app.views.file_chooser import chooser_to_save
from monitor_app.views.parts import button, dress_fields, grow, label, set_tone, wrapping_label

_FORMATS: Final = {"CSV, for spreadsheets": Format.CSV, "JSON lines, with every detail": Format.JSON_LINES}


class ExportDialog(QDialog):
    """Export of one of some tables.

    Attributes:
        path: Where to.
        format: CSV or JSON lines.
        scope: Which of the tables.
        progress: How far it is.
        message: What went wrong, or where the file is.
        start: The button that exports.

    Signals:
        exported: The file is written; its path.
    """

    exported = Signal(str)

    def __init__(self, name: str, tables: Mapping[str, Callable[[], Table]], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Export: {name}")
        self.setMinimumWidth(480)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._tables = dict(tables)
        self._export: Export | None = None
        self._replaces: Path | None = None
        """What was asked about: the file that may be replaced."""
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._on_step)
        self.path = QLineEdit(str(_folder() / f"{name.replace(' ', '-')}.csv"))
        self.path.setAccessibleName("File to write")
        self.format = _chooser(list(_FORMATS), "Format of the file")
        self.scope = _chooser(list(self._tables), "Which rows")
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the export")
        self.message = wrapping_label()
        self.start = button("&Export", "Export to the file", look="main")
        self._browse = button("&Browse…", "Choose the file")
        self._end = button("Cancel", "Cancel the export")
        self._lay_out()
        dress_fields(self, parent.palette())
        self.start.clicked.connect(self._on_start)
        self._browse.clicked.connect(self._on_browse)
        self._end.clicked.connect(self.reject)
        self.format.currentTextChanged.connect(self._on_format_changed)

    def _lay_out(self) -> None:
        where, buttons = QHBoxLayout(), QHBoxLayout()
        where.addWidget(self.path, 1)
        where.addWidget(self._browse)
        buttons.addStretch(1)
        buttons.addWidget(self.start)
        buttons.addWidget(self._end)
        form = QFormLayout(self)
        form.setContentsMargins(16, 16, 16, 12)
        form.setSpacing(8)
        for words, field in (("&File", where), ("F&ormat", self.format), ("&Rows", self.scope)):
            caption = label(words, "muted")
            caption.setBuddy(self.path if isinstance(field, QHBoxLayout) else field)
            form.addRow(caption, field)
        form.addRow(self.progress)
        form.addRow(self.message)
        form.addRow(buttons)
        self.progress.hide()
        self.message.hide()
        self.start.setDefault(True)

    def done(self, result: int) -> None:
        """Close; an export that is under way is given up and leaves nothing behind."""
        self._timer.stop()
        if self._export is not None:
            self._export.abort()
            self._export = None
        super().done(result)

    @Slot()
    def _on_start(self) -> None:
        path = Path(self.path.text().strip()).expanduser()
        if not self.path.text().strip() or path.is_dir():
            self._say(f"{path} is a folder; give the name of a file." if path.is_dir() else "Give the name of a file.", "bad")
            return
        if path.exists() and path != self._replaces:
            self._replaces = path
            self._say(f"{path} is there already. Export once more to replace it.", "bad")
            return
        self._replaces = None
        try:
            self._export = Export(self._tables[self.scope.currentText()](), path, _FORMATS[self.format.currentText()])
        except ExportError as error:
            self._say(str(error), "bad")
            return
        self.message.hide()
        self.progress.setRange(0, max(1, self._export.total))
        self._show_running(running=True)
        self._timer.start()

    @Slot()
    def _on_step(self) -> None:
        export = self._export
        if export is None:
            return
        try:
            more = export.step()
        except ExportError as error:
            self._finish(str(error), "bad")
            self.path.setFocus()  # and not the button beside it, where Return would give up what can be tried again
            return
        self.progress.setValue(export.done)
        if not more:
            self._finish(f"{format_count(export.done)} rows are in {export.path}.", "")
            self._end.setText("Close")
            self._end.setAccessibleName("Close")
            self.exported.emit(str(export.path))

    def _finish(self, text: str, tone: str) -> None:
        self._timer.stop()
        self._export = None
        self._show_running(running=False)
        self._say(text, tone)

    def _show_running(self, *, running: bool) -> None:
        self.progress.setVisible(running)
        for widget in (self.start, self.path, self._browse, self.format, self.scope):
            widget.setDisabled(running)

    def _say(self, text: str, tone: str) -> None:
        self.message.setText(text)
        set_tone(self.message, tone)
        self.message.show()
        grow(self)

    @Slot()
    def _on_browse(self) -> None:
        chooser = chooser_to_save(self, "Export to", self.path.text(), "", self.path.palette())
        chooser.fileSelected.connect(self._on_chosen)
        chooser.open()

    @Slot(str)
    def _on_chosen(self, path: str) -> None:
        """Take the path; the chooser has asked whether what is there may be replaced."""
        self.path.setText(path)
        self._replaces = Path(path)

    @Slot(str)
    def _on_format_changed(self, text: str) -> None:
        """Let the name end as the format does, where it ended as the other one did."""
        path = Path(self.path.text())
        if path.suffix.lower() in {f".{known.value}" for known in Format}:
            self.path.setText(str(path.with_suffix(f".{_FORMATS[text].value}")))


def _folder() -> Path:
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation) or ".")


def _chooser(entries: list[str], name: str) -> QComboBox:
    made = QComboBox()
    made.addItems(entries)
    made.setAccessibleName(name)
    return made
