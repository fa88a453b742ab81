"""The scripted tour: drives the real window through the loop and keeps a picture of each step."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QCoreApplication, QPointF
from PySide6.QtWidgets import QWidget
from scipy import ndimage

from histoloop.gui.application import make_application
from histoloop.gui.dialogs.about import AboutDialog
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.dialogs.keys_dialog import KeysDialog
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.dialogs.similar_dialog import SimilarDialog
from histoloop.gui.kit.settings import Settings
from histoloop.gui.kit.translation import speak_as_chosen
from histoloop.gui.mouse import drag
from histoloop.gui.panels.ask_options import HowToAsk
from histoloop.gui.panels.size_picker import STEP_PERCENT
from histoloop.gui.window.main_window import MainWindow
from histoloop.gui.window.newcomers.first_steps import LOOKING, FirstSteps
from histoloop.gui.window.readers.person_bar import PersonBar
from histoloop.language import ENGLISH, tr
from histoloop.slides.synthetic import SyntheticTissue
from histoloop.store.files import write_beside
from histoloop.workflows.demo_project import specifications

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.store.records import AnnotationRecord
    from histoloop.workflows.contents.rounds import CandidateModel

SIZE_PX = (1480, 920)
LIGHT, DARK = "light", "dark"
ANNOTATOR = "A. Pathologist"
SEED = 0
ANNOTATIONS = 6
LATER_ANNOTATIONS = 3
STROKES = 8
ASSESSED_ZOOM = 2.5
PATIENCE_S = 600.0
TOUR, SETTINGS = "tour.json", "settings.ini"
_PICTURE = re.compile(r"[0-9]{2}-[a-z-]+\.png")


class TourError(Exception):
    """The window did not come to where the tour wanted it in time."""


@dataclass(frozen=True, slots=True)
class Step:
    """A picture of the tour, how long the step took, and the kinds of widgets that can be seen."""

    picture: str
    what: str
    seconds: float
    widgets: tuple[str, ...]


def run_tour(out: Path, language: str = ENGLISH.code, *, theme: str = LIGHT, size_px: tuple[int, int] = SIZE_PX) -> int:
    """Write `01-….png`, … and `tour.json` into `out`, with the window in a language; 0 when all went well.

    The window is `size_px` (width, height) in device-independent pixels, which the screen may not have: then as large
    as it gets. One picture is of the other theme.

    `out` is new, empty or of an earlier tour, whose pictures are replaced; 2 where anything else is in it. The demo
    project is made in `out/project`, its export in `out/export`, or where these are there in `project-2` and so on.
    """
    if not _make_room(out):
        print(f"histoloop tour: {out} holds other things than a tour: give a new folder", file=sys.stderr)  # noqa: T201
        return 2
    application = make_application()
    settings = Settings(out / SETTINGS)
    settings.set("language", language)
    speak_as_chosen(application, settings)
    tour = _Tour(out, MainWindow(settings), theme=theme, size_px=size_px)
    try:
        tour.run()
    except TourError as error:
        tour.picture("failed", str(error))
        print(f"histoloop: the tour stopped: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        tour.write()
        tour.window.session.jobs.cancel()
        tour.window.session.jobs.shut_down()
        tour.window.close()
        application.processEvents()
    print(f"{len(tour.steps)} pictures and tour.json written to {out}")  # noqa: T201
    return 0


def _make_room(out: Path) -> bool:
    """Make the folder, or take the pictures of an earlier tour out of it; False where it is none's."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = _pictures_of_tour(out)
    if pictures is None:
        return not any(out.iterdir())
    for old in (*pictures, TOUR, SETTINGS):
        (out / old).unlink(missing_ok=True)
    return True


def _pictures_of_tour(out: Path) -> list[str] | None:
    """File names of the pictures of the tour that was written to a folder; None where there was none."""
    try:
        steps = json.loads((out / TOUR).read_text(encoding="utf-8"))["steps"]
        names = [str(step["picture"]) for step in steps]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if _PICTURE.fullmatch(name)]


def _free(folder: Path) -> Path:
    """A folder of this name, or with a number behind it, that is not there yet."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([folder], numbered) if not os.path.lexists(each))


class _Tour:
    def __init__(self, out: Path, window: MainWindow, *, theme: str, size_px: tuple[int, int]) -> None:
        self._theme, self._size_px = theme, size_px
        self.out, self.project, self.export = out, _free(out / "project"), _free(out / "export")
        self.window = window
        self.steps: list[Step] = []
        self.figures: dict[str, object] = {}
        self._last = time.monotonic()
        self._truth = {name: SyntheticTissue(spec) for name, spec in specifications(SEED).items()}

    def run(self) -> None:
        """Open, predict, query, paint, retrain, keep, export, say, compare, more rounds; for newcomers; classes."""
        window = self.window
        window.resize(*self._size_px)
        window.preferences.set_theme(self._theme)
        window.show()
        self.wait(window.isVisible, "the window to open")
        self.picture("welcome", "The start page")
        self._open_and_predict()
        self._ask()
        self._annotate()
        self._retrain_and_keep()
        self._export()
        self._give_label_and_size()
        self._choose_another_method_and_compare()
        self._look_closer()
        self._learn_from_similar_regions()
        self._show_the_learning_curve()
        self._begin_as_a_newcomer()
        self._look_at_the_classes()

    def _open_and_predict(self) -> None:
        window, jobs = self.window, self.window.session.jobs
        window.opening.demo(self.project)
        self.wait(lambda: window.session.project is not None, "the demo project to open")
        self.wait(lambda: window.opener.current is not None, "the first slide to show")
        self.settle()
        self.picture("slides", "The demo project, its first slide, prediction running, and who annotates is asked once")
        for bar in (bar for bar in window.findChildren(PersonBar) if bar.isVisible()):
            bar.name.setText(ANNOTATOR)
            bar.keep.click()
        self.wait(lambda: jobs.current is None, "the prediction")
        slides = window.session.slides()
        window.slides_panel.choose(slides[-1].id)
        self.wait(lambda: window.opener.current == slides[-1].id, "the last slide to show")
        self.settle()
        self.picture("predicted", "Predicted masks and classes")
        for name in ("show_masks", "show_heatmap"):
            window.actions_[name].trigger()
        self.settle()
        self.picture("heatmap", "The heatmap of the probability of gland or tumour")
        for name in ("show_masks", "show_heatmap"):
            window.actions_[name].trigger()

    def _ask(self) -> None:
        self._ask_by(HowToAsk(count=ANNOTATIONS))
        self.picture("questions", "The regions whose annotation helps most")

    def _ask_by(self, how: HowToAsk) -> None:
        window, options = self.window, self.window.queue_panel.options
        options.strategy.setCurrentIndex(options.strategy.findData(how.strategy))
        options.count.setValue(how.count)
        window.actions_["ask"].trigger()
        self.wait(lambda: window.session.jobs.current is None, "the questions")
        self.wait(lambda: not window.opener.busy, "the slide of the first question")
        self.settle()

    def _annotate(self) -> None:
        window = self.window
        window.actions_["next_question"].trigger()
        truth = self._truth_in_hand()
        self.picture("annotate", "A region to paint, begun with the model's mask")
        self._paint_by_hand(truth)
        window.viewer.replace_mask(truth)
        self.wait(lambda: window.annotation_panel.saved.text() == tr("Saved"), "the painting to be saved")
        self.picture("painted", "The region as the annotator wants it")
        self._answer(ANNOTATIONS)
        self.picture("annotated", "All questions are answered")

    def _truth_in_hand(self) -> Mask:
        """The mask that the region in hand should have."""
        window = self.window
        record = self._opened()
        if window.session.project is None:
            raise TourError("no project is open")
        self.settle()
        slide = window.session.project.slides.get(record.slide_id)
        return self._truth[slide.name].read(record.region)[1]

    def _answer(self, count: int) -> None:
        """Paint so many questions, from the one in hand on, as they should be."""
        window = self.window
        for _question in range(count):
            truth, before = self._truth_in_hand(), _active_id(window)
            window.viewer.replace_mask(truth)
            window.annotation_panel.choose_class(int(max(1, truth.max())))
            self.wait(lambda: window.annotation_panel.saved.text() == tr("Saved"), "the painting to be saved")
            window.actions_["finish"].trigger()
            self.wait(lambda before=before: _active_id(window) != before, "the region to be finished")  # type: ignore[misc]
        self.settle()

    def _paint_by_hand(self, truth: Mask) -> None:
        """Strokes with the mouse where the mask is wrong the most: brush where tissue is missing, eraser where not."""
        viewer = self.window.viewer
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
            self.window.annotation_panel.brush.setValue(round(2 * radius * viewer.camera().zoom))
            value = int(truth[row, column])
            viewer.set_tool("brush" if value else "eraser")
            if value:
                self.window.annotation_panel.choose_class(value)
            angles = np.linspace(0, 2 * np.pi, 9)
            reach = radius / 3
            drag(
                viewer.canvas,
                [
                    viewer.to_canvas(region.x + column + reach * np.cos(angle), region.y + row + reach * np.sin(angle))
                    for angle in angles
                ],
            )
            self.wait(lambda: viewer.painted_mask[row, column] == value, "a stroke to be painted")  # noqa: B023
            journal += 1
        viewer.set_tool("brush")
        self.wait(lambda: self.window.annotation_panel.saved.text() == tr("Saved"), "the strokes to be saved")
        self.figures["strokes painted with the mouse"] = journal
        self.picture("strokes", "Strokes of brush and eraser")

    def _retrain_and_keep(self) -> None:
        window = self.window
        window.actions_["retrain"].trigger()
        self.wait(lambda: len(window.training_panel.curve.values("loss")) >= 4, "the first epochs")
        self.picture("retraining", "Retraining in the background")
        self.wait(lambda: window.session.jobs.current is None, "the retraining")
        candidate = window.session.candidate()
        if candidate is None:
            raise TourError(window.banner.text.text() or "no candidate came of the retraining")
        self.wait(lambda: not window.opener.busy, "the new masks")
        self.settle()
        self.picture("decide", "New masks, old against new Dice on the held-out annotations")
        self.figures |= {
            "annotations": candidate.annotations,
            "held out": candidate.held_out,
            "dice before": candidate.old_dice,
            "dice after": candidate.new_dice,
        }
        window.actions_["keep"].trigger()
        window.actions_["show_outlines"].trigger()
        self.wait(lambda: not window.opener.busy, "the slide")
        self.settle()
        self.picture("kept", "The new model is kept; outlines only")
        window.actions_["show_outlines"].trigger()

    def _export(self) -> None:
        window = self.window
        window.session.export(self.export)
        self.wait(lambda: window.session.jobs.current is None, "the export")
        self.settle()
        self.picture("exported", "Masks, polygons and tables are written")
        self.figures["exported files"] = len(list(self.export.iterdir()))
        other = LIGHT if self._theme == DARK else DARK
        window.preferences.set_theme(other)
        window.banner.dismiss()
        self.settle()
        self.picture("other-theme", f"The {other} theme")

    def _give_label_and_size(self) -> None:
        """What a clinician knows without painting: the slide's label, and label and size of a region."""
        window, panel = self.window, self.window.annotation_panel
        project = window.session.project
        if project is None:
            raise TourError("no project is open")
        window.preferences.set_theme(self._theme)
        slide = project.slides.all()[0]
        window.slides_panel.choose(slide.id)
        self.wait(lambda: window.opener.current == slide.id, "the first slide to show")
        self.settle()
        window.viewer.zoom_by(ASSESSED_ZOOM)
        self.settle()
        window.actions_["annotate_visible"].trigger()
        record = self._opened()
        truth = self._truth[slide.name].read(record.region)[1]
        mask_class = project.scheme.mask_names[int(max(1, truth.max())) - 1]
        label = next(label.name for label in project.scheme.labels if label.mask == mask_class)
        window.slide_control.label([slide.id], label)
        while panel.assessment()[0] != label:
            window.actions_["next_label"].trigger()
        for _step in range(max(1, round(float(np.mean(truth > 0)) * 100 / STEP_PERCENT))):
            window.actions_["size_more"].trigger()
        self.wait(lambda: panel.saved.text() == tr("Saved"), "label and size to be saved")
        self.settle()
        self.picture("said", "The label of a slide, label and size of a region, and no mask")
        window.actions_["save_without_mask"].trigger()
        self.wait(lambda: _active_id(window) != record.id, "the region to be finished")
        said = [record for record in project.annotations.finished() if not record.has_mask]
        self.figures["regions with label and size alone"] = len(said)

    def _choose_another_method_and_compare(self) -> None:
        """The class activation map instead of the decoder; then the retrained model beside the first one."""
        window = self.window
        window.session.annotating.leave()
        window.viewer.fit()
        window.source.choose_method("cam")
        self.settle()
        self.picture("drawing", "The same maps drawn by class activation, without running the model again")
        window.source.choose_own()
        window.actions_["compare"].trigger()
        second = window.split.second
        if second is None:
            raise TourError("nothing is beside the slide")
        self.wait(lambda: second.opener.current == window.opener.current, "the slide to show beside itself")
        window.actions_["zoom_in"].trigger()
        self.settle()
        one, other = window.viewer.camera(), second.viewer.camera()
        self.figures["pixels between the cameras side by side"] = max(abs(one.x - other.x), abs(one.y - other.y))
        self.picture("compare", "The retrained model and the first one side by side, at the same place")
        window.actions_["compare"].trigger()
        self.settle()

    def _look_closer(self) -> None:
        """One stain alone, and an area measured by an ellipse."""
        window, viewer = self.window, self.window.viewer
        window.actions_["appearance"].trigger()
        dialog = window.look_control.dialog
        if dialog is None:
            raise TourError("what changes the picture does not show")
        window.actions_["next_stain"].trigger()
        self.settle()
        self.picture("stain", "Haematoxylin alone, said above the slide")
        self.picture("appearance", "Brightness, contrast, gamma and stains", of=dialog)
        window.actions_["reset_appearance"].trigger()
        dialog.close()
        window.actions_["fit"].trigger()
        self.settle()
        window.actions_["measure_ellipse"].trigger()
        width, height = viewer.canvas.width(), viewer.canvas.height()
        drag(viewer.canvas, [QPointF(width * share, height * share) for share in (0.4, 0.5, 0.6)])
        self.settle()
        self.picture("measured", "An area measured on the slide")
        window.split.first.ruler.end()

    def _learn_from_similar_regions(self) -> None:
        """Ask about what looks unlike anything annotated; then similar regions train the model too."""
        self._ask_by(HowToAsk("k-center", LATER_ANNOTATIONS))
        self.picture("unlike", "Regions unlike anything annotated, each beside the annotated one most like it")
        window, decision = self.window, self.window.training_panel.decision
        candidate = self._another_round(propagation=True)
        self.figures["similar regions"] = candidate.pseudo
        if candidate.pseudo:
            decision.similar.click()
            (dialog,) = window.training_panel.findChildren(SimilarDialog)
            self.picture("similar", "Regions that nobody annotated and the model learned from", of=dialog)
            dialog.close()
        window.actions_["keep"].trigger()

    def _show_the_learning_curve(self) -> None:
        self._ask_by(HowToAsk("entropy", LATER_ANNOTATIONS))
        candidate = self._another_round(propagation=False)
        self.figures["dice after three rounds"] = candidate.new_dice
        self.picture("learning", "Three rounds, and what the next annotations may be worth")
        self.window.actions_["keep"].trigger()

    def _begin_as_a_newcomer(self) -> None:
        """The first steps and the loop in five steps: last, so that the welcome stays the first picture."""
        window = self.window
        window.help_commands.first_steps()
        (first,) = window.findChildren(FirstSteps)
        self.wait(lambda: first.machine.text() != tr(LOOKING) and first.folder_state.text(), "the first steps")
        self.picture("first-steps", "What a first start asks and says", of=first)
        first.accept()
        self.settle()
        self.picture("five-steps", "The loop in five steps, above the slide")
        window.help_commands.about()
        (about,) = window.findChildren(AboutDialog)
        self.wait(about.list.rowCount, "the list of licences")
        self.picture("about", "Versions and licences", of=about)
        about.close()
        window.actions_["shortcuts"].trigger()
        (keys,) = window.findChildren(KeysDialog)
        self.settle()
        self.picture("keys", "All keys, of both presets, to search", of=keys)
        keys.close()

    def _look_at_the_classes(self) -> None:
        """What a new project asks, and the classes of this one."""
        asked = NewProjectDialog(self.window, place=self.out)
        asked.show()
        self.settle()
        self.picture("new-project", "A new project asks what is to be found and how to begin", of=asked)
        asked.close()
        self.window.actions_["classes"].trigger()
        dialog = self.window.class_control.dialog
        if dialog is None:
            raise TourError("the classes do not show")
        self.settle()
        self.picture("classes", "The classes of a project, to add to, rename, merge or remove", of=dialog)
        dialog.close()

    def _another_round(self, *, propagation: bool) -> CandidateModel:
        """Answer what is asked and retrain quickly."""
        window, options = self.window, self.window.training_panel.options
        window.actions_["next_question"].trigger()
        self._answer(len(window.session.queries()))
        options.pace.setCurrentIndex(options.pace.findData("quick"))
        options.propagation.setChecked(propagation)
        window.actions_["retrain"].trigger()
        self.wait(lambda: window.session.jobs.current is None, "the retraining")
        candidate = window.session.candidate()
        if candidate is None:
            raise TourError(window.banner.text.text() or "no candidate came of the retraining")
        self.settle()
        return candidate

    # --- waiting, pictures, results -----------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Turn the event loop until something is so."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            QCoreApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > end:
                raise TourError(f"waited too long for {what}")
            if self.window.banner.text.objectName() == "problem" and self.window.banner.isVisible():
                raise TourError(self.window.banner.text.text())

    def _opened(self) -> AnnotationRecord:
        """The region in hand, once it can be painted; if the window asks about work in its place, begin a new one."""
        self.wait(self._is_open, "the region to open")
        active = self.window.session.active
        if active is None:
            raise TourError("no region is open")
        return active.record

    def _is_open(self) -> bool:
        for dialog in self.window.findChildren(ChoiceDialog):
            if dialog.isVisible():
                dialog.answers[-1].click()
        return self.window.viewer.annotating is not None

    def settle(self) -> None:
        """Wait until the viewer is sharp and everything is laid out."""
        self.wait(lambda: not any(pane.opener.busy for pane in self.window.split.panes()), "the slide to open")
        self.window.split.wait_until_loaded()
        for _turn in range(5):
            QCoreApplication.processEvents()

    def picture(self, name: str, what: str, *, of: QWidget | None = None) -> None:
        """Keep the window, or another one, as it is now."""
        QCoreApplication.processEvents()
        file = f"{len(self.steps) + 1:02d}-{name}.png"
        shown = of or self.window
        shown.grab().save(str(self.out / file))
        now = time.monotonic()
        self.steps.append(Step(file, what, round(now - self._last, 1), _kinds_shown(shown)))
        self._last = now

    def write(self) -> None:
        """Keep what the tour saw."""
        content = {"steps": [asdict(step) for step in self.steps], "figures": self.figures}
        write_beside(self.out / TOUR, json.dumps(content, indent=2) + "\n")


def _kinds_shown(window: QWidget) -> tuple[str, ...]:
    """Names of the classes of the widgets of a window that can be seen now."""
    return tuple(sorted({type(widget).__name__ for widget in window.findChildren(QWidget) if widget.isVisible()}))


def _active_id(window: MainWindow) -> int | None:
    active = window.session.active
    return None if active is None else active.record.id
