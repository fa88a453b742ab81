"""What the tour shows of a region in hand besides brush and eraser: label and size, and the tools that help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histoloop.gui.mouse import click, press, release
from histoloop.gui.panels.size_picker import STEP_PERCENT
from histoloop.gui.tour.driver import TourError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtCore import QPointF

    from histoloop.gui.tour.driver import Tour

ASSESSED_ZOOM = 2.5
FIRST_CLASS = 1


def give_label_and_size(tour: Tour) -> None:
    """What a clinician knows without painting: the slide's label, and label and size of a region."""
    window, panel, project = tour.window, tour.window.annotation_panel, tour.project
    slide = project.slides.all()[0]
    tour.show_slide(slide.id)
    window.viewer.zoom_by(ASSESSED_ZOOM)
    tour.settle()
    window.actions_["annotate_visible"].trigger()
    record = tour.opened()
    truth = tour.truth_in_hand()
    mask_class = project.scheme.mask_names[int(max(1, truth.max())) - 1]
    label = next(label.name for label in project.scheme.labels if label.mask == mask_class)
    window.slide_control.label([slide.id], label)
    while panel.assessment()[0] != label:
        window.actions_["next_label"].trigger()
    for _step in range(max(1, round(float(np.mean(truth > 0)) * 100 / STEP_PERCENT))):
        window.actions_["size_more"].trigger()
    tour.wait_until_saved("label and size")
    tour.settle()
    tour.picture("said", "The label of a slide, label and size of a region, and no mask")
    window.actions_["save_without_mask"].trigger()
    tour.wait(lambda: tour.active_id() != record.id, "the region to be finished")
    said = [record for record in project.annotations.finished() if not record.has_mask]
    tour.figures["regions with label and size alone"] = len(said)


def try_the_tools(tour: Tour) -> None:
    """The wand while it is pressed, an object that was found, and an outline by its points; then leave the region."""
    window, viewer = tour.window, tour.window.viewer
    tour.show_slide(window.session.slides()[-1].id)
    viewer.zoom_by(ASSESSED_ZOOM)
    tour.settle()
    window.actions_["annotate_visible"].trigger()
    tour.opened()
    tour.settle()
    first, second = _middles(viewer.painted_mask == FIRST_CLASS)
    window.actions_["clear_region"].trigger()
    window.annotation_panel.choose_class(FIRST_CLASS)
    window.actions_["tool_wand"].trigger()
    place = _on_canvas(tour, first)
    press(viewer.canvas, place)
    tour.wait(lambda: window.paint_control.wand.is_showing, "what the wand would paint")
    tour.picture("wand", "The wand shows what it would paint while it is pressed")
    release(viewer.canvas, place)
    tour.wait(lambda: viewer.painted_mask.any(), "the wand to paint")
    window.actions_["tool_smart"].trigger()
    click(viewer.canvas, _on_canvas(tour, second))
    tour.wait(lambda: window.paint_control.objects.has_found, "the object to be found")
    tour.settle()
    tour.picture("object", "An object found by a click, before it is painted")
    window.paint_control.objects.accept()
    window.actions_["tool_outline"].trigger()
    click(viewer.canvas, _on_canvas(tour, second))
    tour.wait(lambda: window.paint_control.outlines.outline is not None, "the points of the outline")
    tour.picture("outline", "The outline of an area by its points, to be dragged")
    viewer.set_tool("brush")
    tour.wait_until_saved("the painting")
    window.actions_["leave"].trigger()


def _middles(painted: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Row and column deepest inside the two areas that reach deepest; the region's edge is an end of an area."""
    areas, _count = ndimage.label(painted)
    depth = ndimage.distance_transform_edt(np.pad(painted, 1))[1:-1, 1:-1]
    found: list[tuple[int, int]] = []
    while len(found) < 2:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        if not depth[row, column]:
            raise TourError("fewer than two areas are in sight")
        found.append((int(row), int(column)))
        depth = np.where(areas == areas[row, column], 0, depth)
    return found


def _on_canvas(tour: Tour, place: tuple[int, int]) -> QPointF:
    region = tour.window.viewer.annotating
    if region is None:
        raise TourError("no region is open")
    row, column = place
    return tour.window.viewer.to_canvas(region.x + column, region.y + row)
