"""What the tour shows of looking at a slide: another method, side by side, stains, measuring, turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF

from histoloop.gui.mouse import drag
from histoloop.gui.tour.driver import TourError

if TYPE_CHECKING:
    from histoloop.gui.tour.driver import Tour

TURNED_ZOOM = 1.5


def choose_another_method_and_compare(tour: Tour) -> None:
    """The class activation map instead of the decoder; then the retrained model beside the first one."""
    window = tour.window
    window.session.annotating.leave()
    window.viewer.fit()
    window.source.choose_method("cam")
    tour.settle()
    tour.picture("drawing", "The same maps drawn by class activation, without running the model again")
    window.source.choose_own()
    window.actions_["compare"].trigger()
    second = window.split.second
    if second is None:
        raise TourError("nothing is beside the slide")
    tour.wait(lambda: second.opener.current == window.opener.current, "the slide to show beside itself")
    window.actions_["zoom_in"].trigger()
    tour.settle()
    one, other = window.viewer.camera(), second.viewer.camera()
    tour.figures["pixels between the cameras side by side"] = max(abs(one.x - other.x), abs(one.y - other.y))
    tour.picture("compare", "The retrained model and the first one side by side, at the same place")
    window.actions_["compare"].trigger()
    tour.settle()


def look_closer(tour: Tour) -> None:
    """One stain alone, and an area measured by an ellipse."""
    window, viewer = tour.window, tour.window.viewer
    window.actions_["appearance"].trigger()
    dialog = window.look_control.dialog
    if dialog is None:
        raise TourError("what changes the picture does not show")
    window.actions_["next_stain"].trigger()
    tour.settle()
    tour.picture("stain", "Haematoxylin alone, said above the slide")
    tour.picture("appearance", "Brightness, contrast, gamma and stains", of=dialog)
    window.actions_["reset_appearance"].trigger()
    dialog.close()
    window.actions_["fit"].trigger()
    tour.settle()
    window.actions_["measure_ellipse"].trigger()
    width, height = viewer.canvas.width(), viewer.canvas.height()
    drag(viewer.canvas, [QPointF(width * share, height * share) for share in (0.4, 0.5, 0.6)])
    tour.settle()
    tour.picture("measured", "An area measured on the slide")
    window.split.first.ruler.end()


def turn_the_slide(tour: Tour) -> None:
    """A slide turned by 30°, with its masks, its map and the plate that says so; then upright again."""
    window = tour.window
    tour.show_slide(window.session.slides()[-1].id)
    window.viewer.zoom_by(TURNED_ZOOM)
    for _time in range(3):
        window.actions_["turn_right_slightly"].trigger()
    tour.settle()
    tour.picture("turned", "A slide turned by 30°, which a plate says, and its upright map")
    window.actions_["upright"].trigger()
    tour.settle()
