"""Files of the plots: what is seen as a picture, and the data behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QStandardPaths, Slot

from monitor_app.actions import Actions
from monitor_app.views.export_dialog import ExportDialog
from monitor_app.views.file_chooser import chooser_to_save
from monitor_app.views.flow_view import FlowView
from monitor_app.views.plain_box import open_box

_NAME: Final = "haip-plots"


class PlotFiles(QObject):
    """Asks where the plots are to be written, and writes them there."""

    def __init__(self, flow: FlowView, actions: Actions) -> None:
        super().__init__(flow)
        self._flow = flow
        actions.bind({"save_plots": self.save_picture, "export_plots": self.export_data})

    @Slot()
    def save_picture(self) -> None:
        """Ask for the name of a picture. An existing file is replaced only if the operator says so."""
        window = self._flow.window()
        path = str(_folder() / f"{_NAME}.png")
        chooser = chooser_to_save(window, "Save the plots as a picture", path, "PNG (*.png)", window.palette())
        chooser.setDefaultSuffix("png")
        chooser.fileSelected.connect(self._on_named)
        chooser.open()

    @Slot()
    def export_data(self) -> None:
        """Export what the plots show: of the selected span, or of all that is visible."""
        picture = self._flow.picture
        which = "The selected span" if picture.selection else "The visible span"
        ExportDialog(_NAME, {which: picture.table}, self._flow.window()).open()

    @Slot(str)
    def _on_named(self, name: str) -> None:
        try:
            self._flow.export_png(Path(name))
        except OSError as error:
            open_box(self._flow.window(), "The plots were not saved", str(error))


def _folder() -> Path:
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation) or ".")
