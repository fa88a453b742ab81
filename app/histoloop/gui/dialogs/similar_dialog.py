"""The regions that a round learned from with the model's own masks, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import label, picture_of, plain_icon, plain_tip, visible_name
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.workflows.propagate import PseudoRegion

PICTURE_PX = 168
CELL_PX = (204, 244)


class SimilarDialog(QDialog):
    """Pictures of the regions; `region_chosen(slide_id, region)` when one is double-clicked."""

    region_chosen = Signal(int, object)

    def __init__(self, parent: QWidget | None, *, regions: Sequence[PseudoRegion], names: Mapping[int, str]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Similar regions"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        open_at(self, 700, 620)
        self._regions = regions
        self.list = QListWidget()
        self.list.setViewMode(QListWidget.ViewMode.IconMode)
        self.list.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.list.setMovement(QListWidget.Movement.Static)
        self.list.setIconSize(QSize(PICTURE_PX, PICTURE_PX))
        self.list.setGridSize(QSize(*CELL_PX))
        self.list.setWordWrap(True)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        for region in regions:
            slide = names.get(region.slide_id) or tr("A slide that was removed")
            near = tr("similar to {region}", region=region.nearest)
            item = QListWidgetItem(
                plain_icon(picture_of(region.picture)), f"{visible_name(slide)}\n{visible_name(near)}"
            )
            item.setToolTip(plain_tip(tr("Similar in colour to {region}", region=region.nearest)))
            self.list.addItem(item)
        self.list.itemActivated.connect(self._on_activated)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        text = tr(
            "Nobody annotated these. They are similar in colour to a painted region, and the model was trained "
            "on them with its own masks (yellow edge). Double-click one to see it on its slide. If they are "
            "wrong, roll back, untick 'Learn from similar regions too' and retrain."
        )
        column = QVBoxLayout(self)
        column.addWidget(label(text, role="muted", wrap=True))
        column.addWidget(self.list, 1)
        column.addWidget(buttons)

    def _on_activated(self, item: QListWidgetItem) -> None:
        region = self._regions[self.list.row(item)]
        self.region_chosen.emit(region.slide_id, region.region)
