"""How many times a person clicks, presses a key or draws, from slides that are chosen to a model that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from keyboard import bring_up
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QKeySequence
from PySide6.QtTest import QTest

from histoloop.annotations.records import AnnotationStatus
from histoloop.gui.mouse import drag
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS, JOB_MS = 300_000, 600_000
REGIONS, MOST, MOST_A_REGION = 5, 45, 7


class Hand:
    """A hand that counts: a key, a click and a stroke, however long, are an input each."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.qtbot, self.inputs = window, qtbot, 0

    def key(self, action: str) -> None:
        """Press the keys of an entry of the menus."""
        self.wait(self.window.actions_[action].isEnabled)
        keys = self.window.actions_[action].shortcut()
        assert keys.count() == 1
        self.keys(keys)

    def keys(self, keys: QKeySequence) -> None:
        """Press keys on the slide."""
        bring_up(self.window)
        self.window.viewer.canvas.setFocus()
        QTest.keySequence(self.window.viewer.canvas, keys)
        self.inputs += 1

    def stroke(self, places: Sequence[tuple[float, float]]) -> None:
        """Draw through places, in shares of the region's width and height."""
        viewer = self.window.viewer
        region, before = viewer.annotating, viewer.painted_mask.copy()
        drag(viewer.canvas, [viewer.to_canvas(region.x + x * region.width, region.y + y * region.height)
                             for x, y in places])  # fmt: skip
        self.wait(lambda: not np.array_equal(viewer.painted_mask, before))
        self.inputs += 1

    def wait(self, until, ms: int = MS) -> None:
        self.qtbot.waitUntil(until, timeout=ms)


def test_five_regions_take_at_most_45_inputs_from_slides_chosen_to_model_kept(
    window: MainWindow, entered: list[str], tmp_path: Path, qtbot
) -> None:
    slides = [tmp_path / f"{label}.tiff" for label in ("benign", "malignant")]
    for seed, path in enumerate(slides):
        finish(write_synthetic_slide(path, SyntheticSpec(seed, 3600, 2400, mpp=0.5, label=path.stem)))
    window.settings.set("projects", str(tmp_path / "projects"))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in slides])
    nothing = Qt.KeyboardModifier.NoModifier
    hand = Hand(window, qtbot)
    event = QDropEvent(QPointF(400, 300), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, nothing)
    with qtbot.waitSignal(window.session.maps_changed, timeout=JOB_MS):  # they are predicted of their own accord
        window.dropEvent(event)
    hand.inputs += len(entered)  # Enter in the dialog that makes the project
    hand.wait(lambda: window.session.jobs.current is None)
    hand.key("ask")
    hand.wait(lambda: len(window.queue_panel.shown_ids()) >= REGIONS, JOB_MS)
    hand.key("next_question")
    done: set[int] = set()
    for _region in range(REGIONS):
        hand.wait(lambda: window.viewer.annotating is not None and in_hand(window) not in {None, *done})
        assert window.viewer.wait_until_loaded(MS / 1000)
        before = hand.inputs
        done.add(annotate(hand))
        assert hand.inputs - before <= MOST_A_REGION  # the next one comes by itself
    hand.key("retrain")
    hand.wait(lambda: window.session.candidate() is not None, JOB_MS)
    candidate = window.session.candidate().model_id
    hand.key("keep")
    hand.wait(lambda: window.session.project.models.current().id == candidate)
    assert hand.inputs <= MOST


def in_hand(window: MainWindow) -> int | None:
    """The annotation that is painted now."""
    active = window.session.active
    return None if active is None else active.record.id


def annotate(hand: Hand) -> int:
    """Correct what the model suggests: two strokes are added, one is taken away; then it is done. Returns its id."""
    window = hand.window
    number = in_hand(window)
    assert number is not None
    hand.key("tool_brush")
    hand.keys(QKeySequence("1"))
    hand.stroke([(0.2, 0.2), (0.35, 0.25), (0.5, 0.2)])
    hand.stroke([(0.2, 0.8), (0.35, 0.75), (0.5, 0.8)])
    hand.key("tool_eraser")
    hand.stroke([(0.25, 0.2), (0.45, 0.22)])
    hand.key("finish")
    annotations = window.session.project.annotations
    hand.wait(lambda: annotations.get(number).status is AnnotationStatus.DONE)
    return number
