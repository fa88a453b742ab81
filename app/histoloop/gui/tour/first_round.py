"""The first round of the tour: open, predict, ask, paint, retrain, keep, export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histoloop.gui.mouse import drag
from histoloop.gui.panels.ask_options import HowToAsk
from histoloop.gui.tour.driver import TourError
from histoloop.gui.window.readers.person_bar import PersonBar

if TYPE_CHECKING:
    from histoloop.annotations.records import Mask
    from histoloop.gui.tour.driver import Tour

LIGHT, DARK = "light", "dark"
ANNOTATOR = "A. Pathologist"
ANNOTATIONS = 6
STROKES = 8


def welcome(tour: Tour) -> None:
    """The window as it begins."""
    window = tour.window
    window.resize(*tour.size_px)
    window.preferences.set_theme(tour.theme)
    window.show()
    tour.wait(window.isVisible, "the window to open")
    tour.picture("welcome", "The start page")


def open_and_predict(tour: Tour) -> None:
    """The demo project, its masks and its heatmap."""
    window, jobs = tour.window, tour.window.session.jobs
    window.opening.demo(tour.project_folder)
    tour.wait(lambda: window.session.project is not None, "the demo project to open")
    tour.wait(lambda: window.opener.current is not None, "the first slide to show")
    tour.settle()
    tour.picture("slides", "The demo project, its first slide, prediction running, and who annotates is asked once")
    for bar in (bar for bar in window.findChildren(PersonBar) if bar.isVisible()):
        bar.name.setText(ANNOTATOR)
        bar.keep.click()
    tour.wait(lambda: jobs.current is None, "the prediction")
    tour.show_slide(window.session.slides()[-1].id)
    tour.picture("predicted", "Predicted masks and classes")
    for name in ("show_masks", "show_heatmap"):
        window.actions_[name].trigger()
    tour.settle()
    tour.picture("heatmap", "The heatmap of the probability of gland or tumour")
    for name in ("show_masks", "show_heatmap"):
        window.actions_[name].trigger()


def ask(tour: Tour) -> None:
    """The first questions."""
    tour.ask(HowToAsk(count=ANNOTATIONS))
    tour.picture("questions", "The regions whose annotation helps most")


def annotate(tour: Tour) -> None:
    """A region painted by hand, and the others as they should be."""
    window = tour.window
    window.actions_["next_question"].trigger()
    truth = tour.truth_in_hand()
    tour.picture("annotate", "A region to paint, begun with the model's mask")
    _paint_by_hand(tour, truth)
    window.viewer.replace_mask(truth)
    tour.wait_until_saved("the painting")
    tour.picture("painted", "The region as the annotator wants it")
    tour.answer(ANNOTATIONS)
    tour.picture("annotated", "All questions are answered")


def _paint_by_hand(tour: Tour, truth: Mask) -> None:
    """Strokes with the mouse where the mask is wrong the most: brush where tissue is missing, eraser where not."""
    viewer, panel = tour.window.viewer, tour.window.annotation_panel
    region = viewer.annotating
    if region is None:
        raise TourError("no region is open")
    journal = 0
    for _stroke in range(STROKES):
        wrong = viewer.painted_mask != truth
        depth = ndimage.distance_transform_edt(wrong)
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        radius = float(depth[row, column])
        if radius < 2:
            break
        panel.brush.setValue(round(2 * radius * viewer.camera().zoom))
        value = int(truth[row, column])
        viewer.set_tool("brush" if value else "eraser")
        if value:
            panel.choose_class(value)
        reach = radius / 3
        drag(
            viewer.canvas,
            [
                viewer.to_canvas(region.x + column + reach * np.cos(angle), region.y + row + reach * np.sin(angle))
                for angle in np.linspace(0, 2 * np.pi, 9)
            ],
        )
        tour.wait(lambda: viewer.painted_mask[row, column] == value, "a stroke to be painted")  # noqa: B023
        journal += 1
    viewer.set_tool("brush")
    tour.wait_until_saved("the strokes")
    tour.figures["strokes painted with the mouse"] = journal
    tour.picture("strokes", "Strokes of brush and eraser")


def retrain_and_keep(tour: Tour) -> None:
    """A retraining, the decision about it, and the masks of the new model."""
    window = tour.window
    window.actions_["retrain"].trigger()
    tour.wait(lambda: len(window.training_panel.curve.values("loss")) >= 4, "the first epochs")
    tour.picture("retraining", "Retraining in the background")
    tour.wait(lambda: window.session.jobs.current is None, "the retraining")
    candidate = tour.candidate()
    tour.wait(lambda: not window.opener.busy, "the new masks")
    tour.settle()
    tour.picture("decide", "New masks, old against new Dice on the held-out annotations")
    tour.figures |= {
        "annotations": candidate.annotations,
        "held out": candidate.held_out,
        "dice before": candidate.old_dice,
        "dice after": candidate.new_dice,
    }
    window.actions_["keep"].trigger()
    window.actions_["show_outlines"].trigger()
    tour.wait(lambda: not window.opener.busy, "the slide")
    tour.settle()
    tour.picture("kept", "The new model is kept; outlines only")
    window.actions_["show_outlines"].trigger()


def export(tour: Tour) -> None:
    """Masks and tables written; and the other theme for once."""
    window = tour.window
    window.session.export(tour.export_folder)
    tour.wait(lambda: window.session.jobs.current is None, "the export")
    tour.settle()
    tour.picture("exported", "Masks, polygons and tables are written")
    tour.figures["exported files"] = len(list(tour.export_folder.iterdir()))
    other = LIGHT if tour.theme == DARK else DARK
    window.preferences.set_theme(other)
    window.banner.dismiss()
    tour.settle()
    tour.picture("other-theme", f"The {other} theme")
    window.preferences.set_theme(tour.theme)
