"""What the tour shows of several readers: the list of annotations, a region read blinded, agreement, what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt
from scipy import ndimage

from histoloop.gui.tour.driver import TourError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtCore import QModelIndex
    from PySide6.QtWidgets import QListView

    from histoloop.gui.tour.driver import Tour

SECOND_READER = "B. Reader"
READINGS = 2
NARROWER_PX = 12
"""How much narrower than the first reader the second one paints the second region."""


def list_the_annotations(tour: Tour) -> None:
    """All annotations, one of them in hand."""
    window = tour.window
    window.actions_["all_annotations"].trigger()
    view = window.annotations_panel.list
    tour.wait(lambda: view.model().rowCount() > 1, "the list of annotations")
    view.setCurrentIndex(view.model().index(1, 0))
    tour.wait(lambda: all(_has_picture(index) for index in _seen(view)), "the pictures of the annotations")
    tour.settle()
    tour.picture("annotations", "All annotations: to go to, reopen or delete")


def _seen(view: QListView) -> Iterator[QModelIndex]:
    """The rows of a list that are on the screen, as it is laid out now."""
    indexes = (view.model().index(row, 0) for row in range(view.model().rowCount()))
    return (index for index in indexes if view.visualRect(index).intersects(view.viewport().rect()))


def _has_picture(index: QModelIndex) -> bool:
    """Whether a row has its own picture, not the one that keeps its place."""
    return not index.data(Qt.ItemDataRole.DecorationRole).hasAlphaChannel()


def read_a_second_time(tour: Tour) -> None:
    """Two regions painted by a second reader, without sight of the first; how both agree; and what is to be decided."""
    window = tour.window
    window.person_bar.ask("")
    window.person_bar.name.setText(SECOND_READER)
    window.person_bar.keep.click()
    for number in range(READINGS):
        window.actions_["read_next"].trigger()
        truth, before = tour.truth_in_hand(), tour.active_id()
        if not number:
            tour.picture("blinded", "A region to read a second time, without any mask")
        narrower = ndimage.binary_erosion(truth > 0, iterations=NARROWER_PX) if number else truth > 0
        window.viewer.replace_mask(np.where(narrower, truth, np.uint8(0)))
        tour.wait_until_saved("the second reading")
        window.actions_["finish"].trigger()
        tour.wait(lambda before=before: tour.active_id() != before, "the reading to be finished")  # type: ignore[misc]
    window.actions_["agreement"].trigger()
    readers = window.second_reader
    tour.wait(lambda: readers.dialog is not None and readers.dialog.table.rowCount() == READINGS, "both to be compared")
    dialog = readers.dialog
    if dialog is None:
        raise TourError("the agreement does not show")
    tour.settle()
    tour.picture("agreement", "How two readers agree, and who counts", of=dialog)
    dialog.close()
    window.actions_["next_review"].trigger()
    tour.settle()
    tour.picture("review", "The next region to review, in the list and on the slide")
