"""Learn while one paints: what is finished changes the masks on the slide, and gets in nobody's way."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from histoloop.geometry import Region
from histoloop.gui.mouse import drag
from histoloop.workflows.contents.live_masks import LIVE_MODEL_ID, LIVE_ORIGIN
from histoloop.workflows.contents.masks import view_classes

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

LIVE_MS = 240_000
SCREENSHOTS = os.environ.get("HISTOLOOP_SCREENSHOTS", "")


def shot(window: MainWindow, name: str) -> None:
    """A picture for whoever asked for some."""
    if SCREENSHOTS:
        window.grab().save(str(Path(SCREENSHOTS) / f"{name}.png"))


def switch_on(window: MainWindow) -> None:
    box = window.training_panel.live.box
    window.work.bring_up(window.work.training)
    box.click()


def shows_live(window: MainWindow) -> bool:
    choice = window.source.choice
    return choice is not None and choice.model.id == LIVE_MODEL_ID


def open_next(window: MainWindow, qtbot) -> None:
    window.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=30_000)
    assert window.viewer.wait_until_loaded()


def paint_and_finish(window: MainWindow, qtbot, *, value: int = 2) -> None:
    """All of the region's upper half in one class, by the brush, then Done."""
    window.actions_["clear_region"].trigger()
    qtbot.waitUntil(lambda: not window.viewer.painted_mask.any())
    window.annotation_panel.brush.setValue(round(120 * window.viewer.camera().zoom))
    window.annotation_panel.choose_class(value)
    region = window.viewer.annotating
    for row in (0.15, 0.35):
        y = region.y + row * region.height
        places = [window.viewer.to_canvas(region.x + part * region.width / 10, y) for part in range(1, 10)]
        drag(window.viewer.canvas, places)
    qtbot.waitUntil(lambda: window.viewer.painted_mask.any())
    window.actions_["finish"].trigger()
    qtbot.waitUntil(lambda: not window.session.annotating._waiting, timeout=30_000)


def test_a_finished_region_brings_live_masks_into_view_and_the_next_region_begins_with_them(
    painting: MainWindow, qtbot
) -> None:
    window = painting
    switch_on(window)
    told: list[str] = []
    window.session.live.told.connect(told.append)
    with qtbot.waitSignal(window.session.live.view_is_new, timeout=LIVE_MS):
        paint_and_finish(window, qtbot)
    qtbot.waitUntil(lambda: shows_live(window))
    shot(window, "live-after-first")
    assert any(line.startswith("Learning from 1 region") for line in told)
    assert "The masks in view are up to date" in told
    live = window.session.live.map
    assert live is not None
    assert live.mask_classes == window.session.project.scheme.mask_names
    names = [
        window.overlay_panel.chooser.model.itemText(row) for row in range(window.overlay_panel.chooser.model.count())
    ]
    assert names[-1] == "Live masks"
    assert window.overlay_panel.note.text().startswith("Trained while you paint, not measured.")
    active = window.session.active
    if active is not None:  # the next question was opened before the masks came: it stays as it began
        assert active.record.model_hash != LIVE_ORIGIN
        window.session.annotating.leave()
    region = Region(live.grid.slide_width // 4, live.grid.slide_height // 4, 400, 300)
    qtbot.waitUntil(lambda: window.session.live.map.covers(region), timeout=LIVE_MS)
    window.session.annotating.begin_region(live.grid.slide_id, region)
    qtbot.waitUntil(lambda: window.session.active is not None and window.session.active.record.region == region)
    assert window.session.active.record.model_hash == LIVE_ORIGIN
    shown = view_classes(window.session.live.map, region, size=(400, 300), threshold=0.5).mask
    assert np.array_equal(window.session.active.painted.mask, shown)
    assert np.array_equal(window.session.active.predicted, shown)
    shot(window, "live-draft")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_child_that_dies_is_reported_in_words_and_another_takes_its_place(painting: MainWindow, qtbot) -> None:
    window = painting
    switch_on(window)
    live = window.session.live
    told: list[str] = []
    live.told.connect(told.append)
    paint_and_finish(window, qtbot)
    qtbot.waitUntil(lambda: live.jobs.current is not None, timeout=LIVE_MS)
    os.kill(live.jobs.process_id, signal.SIGKILL)
    qtbot.waitUntil(lambda: any("stopped" in line for line in told), timeout=LIVE_MS)
    assert window.session.jobs.current is None
    with qtbot.waitSignal(live.view_is_new, timeout=LIVE_MS):
        live._want()


def learning(window: MainWindow, qtbot) -> None:
    """A region is done, and the child learns from it."""
    paint_and_finish(window, qtbot)
    qtbot.waitUntil(lambda: window.live_line.text().startswith("Learning from 1 region"), timeout=LIVE_MS)


def test_it_pauses_while_the_user_retrains_and_goes_on_after(painting: MainWindow, qtbot) -> None:
    window = painting
    live, jobs = window.session.live, window.session.jobs
    switch_on(window)
    learning(window, qtbot)
    window.session.annotating.leave()
    both_at_work: list[bool] = []
    jobs.progressed.connect(lambda _job, _step: both_at_work.append(live.jobs.current is not None))
    pace = window.training_panel.options.pace
    pace.setCurrentIndex(pace.findData("quick"))
    pace.activated.emit(pace.currentIndex())
    window.work.setCurrentWidget(window.work.training)
    qtbot.waitUntil(window.training_panel.retrain.isEnabled)
    qtbot.mouseClick(window.training_panel.retrain, Qt.MouseButton.LeftButton)
    assert jobs.current is not None
    assert window.live_line.text().strip() == "Live masks are paused until the current work is done"
    assert window.training_panel.live.line.text() == "Live masks are paused until the current work is done"
    qtbot.waitUntil(lambda: live.jobs.current is None, timeout=LIVE_MS)
    shot(window, "live-paused")
    with qtbot.waitSignal(live.view_is_new, timeout=2 * LIVE_MS):
        qtbot.waitUntil(lambda: jobs.current is None, timeout=2 * LIVE_MS)
        assert live.map is None  # nothing was learned to its end before
    assert not any(both_at_work[len(both_at_work) // 2 :])
    qtbot.waitUntil(lambda: live.jobs.current is None, timeout=LIVE_MS)
    assert window.live_line.text().strip() == "Live masks are up to date: learned from 1 region"
    assert window.session.candidate() is not None


def test_switched_off_while_it_learns_it_stops_at_once_and_switched_on_it_goes_on(painting: MainWindow, qtbot) -> None:
    window = painting
    live, box = window.session.live, window.training_panel.live.box
    switch_on(window)
    learning(window, qtbot)
    window.session.annotating.leave()
    window.work.setCurrentWidget(window.work.training)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert not live.is_on
    assert (live.map, live.jobs.current, live.jobs.process_id) == (None, None, None)
    assert window.live_line.text() == ""
    assert window.training_panel.live.line.text().startswith("Off:")
    with qtbot.waitSignal(live.view_is_new, timeout=LIVE_MS):
        qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert live.map is not None


def test_it_ends_with_its_project_and_goes_on_when_that_is_opened_again(painting: MainWindow, qtbot) -> None:
    window = painting
    live, folder = window.session.live, window.session.project.folder
    switch_on(window)
    learning(window, qtbot)
    window.session.annotating.leave()
    window.actions_["close_project"].trigger()
    assert window.session.project is None
    assert window.live_line.text() == ""
    qtbot.waitUntil(lambda: live.jobs.current is None, timeout=LIVE_MS)
    assert live.map is None
    with qtbot.waitSignal(live.view_is_new, timeout=LIVE_MS):
        assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: shows_live(window))
    assert live.map.grid.slide_id == window.opener.current


def test_switched_off_there_are_no_live_masks_and_no_child(painting: MainWindow, qtbot) -> None:
    window = painting
    switch_on(window)
    with qtbot.waitSignal(window.session.live.view_is_new, timeout=LIVE_MS):
        paint_and_finish(window, qtbot)
    qtbot.waitUntil(lambda: shows_live(window))
    window.training_panel.live.box.click()
    qtbot.waitUntil(lambda: not shows_live(window))
    assert window.session.live.map is None
    assert window.session.live.jobs.process_id is None
    assert not window.actions_["learn_live"].isChecked()
