"""A window of 800 x 500: what ends a task is in sight, nothing lies over anything else, and texts give way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from histoloop.gui.canvas.appearance import Appearance, Stain
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.texts import NOTICE
from histoloop.gui.window.newcomers.five_steps import STEPS
from histoloop.gui.window.readers.person_bar import PersonBar
from histoloop.progress import Progress
from histoloop.workflows.contents.rounds import CandidateModel

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

MS = 20_000


@pytest.fixture
def low(opened: MainWindow, qtbot) -> MainWindow:
    opened.resize(800, 500)
    qtbot.waitUntil(lambda: opened.toolbar.width() == opened.width() == 800, timeout=MS)
    return opened


def in_sight(widget: QWidget) -> bool:
    return widget.isVisible() and widget.visibleRegion().boundingRect() == widget.rect()


def seen(line: OneLine) -> str:
    """What is seen of a text."""
    return QLabel.text(line)


def test_to_keep_or_to_roll_back_and_what_it_rests_on_are_in_sight(low: MainWindow, qtbot) -> None:
    panel = low.training_panel
    panel.show_candidate(CandidateModel(2, 1, 0.7, 0.8, 9, 30, change=(0.02, 0.18)), {})
    low.work.bring_up(low.work.training)
    qtbot.waitUntil(lambda: in_sight(panel.decision.heading) and in_sight(panel.decision.dice), timeout=MS)
    assert in_sight(panel.decision.keep)
    assert in_sight(panel.decision.roll_back)
    panel.show_candidate(None, {})
    qtbot.waitUntil(lambda: not panel.foot.isVisible(), timeout=MS)


def test_a_question_can_be_opened_without_scrolling(low: MainWindow, qtbot) -> None:
    low.work.setCurrentWidget(low.work.questions)
    qtbot.waitUntil(lambda: in_sight(low.queue_panel.open) and in_sight(low.queue_panel.skip), timeout=MS)


def test_the_status_bar_gives_way_and_what_the_program_is_for_stays_readable(low: MainWindow, qtbot) -> None:
    low.job_bar.begin("Training")
    low.job_bar.show_step(Progress("Training the masks", 4, 20, "epoch 4 of twenty"))
    low.live_line.setText("Live masks are paused until the current work is done")
    (notice,) = (line for line in low.statusBar().findChildren(OneLine) if line.text() == NOTICE)
    qtbot.waitUntil(lambda: seen(low.live_line).endswith("…"), timeout=MS)
    assert low.live_line.text() == low.live_line.toolTip() == "Live masks are paused until the current work is done"
    assert seen(notice).startswith("Research use only.")
    bar, stop = low.job_bar.bar.geometry(), low.job_bar.stop.geometry()
    assert low.job_bar.text.geometry().right() < bar.left()
    assert bar.right() < stop.left()
    assert in_sight(low.job_bar.stop)
    low.resize(1500, 600)
    qtbot.waitUntil(lambda: seen(notice) == NOTICE and seen(low.live_line) == low.live_line.text(), timeout=MS)
    assert low.live_line.toolTip() == ""


@pytest.mark.parametrize("width", [230, 700])
def test_who_annotates_is_asked_on_one_line_or_on_two(width: int, qtbot) -> None:
    bar = PersonBar()
    qtbot.addWidget(bar)
    bar.ask("Dr A. Pathologist")
    bar.resize(width, 100)
    qtbot.waitUntil(lambda: (bar.text.geometry().bottom() < bar.name.geometry().top()) == (width < 300), timeout=MS)
    assert not bar.name.geometry().intersects(bar.keep.geometry())
    assert all(in_sight(part) for part in (bar.text, bar.name, bar.keep))
    assert bar.keep.width() >= bar.keep.sizeHint().width()


def test_two_models_are_compared_one_below_the_other_where_both_do_not_go_beside(low: MainWindow, qtbot) -> None:
    low.actions_["compare"].trigger()
    second = low.split.second
    qtbot.waitUntil(lambda: second.opener.current == low.opener.current, timeout=MS)
    assert low.split.orientation() is Qt.Orientation.Vertical
    qtbot.waitUntil(lambda: all(in_sight(pane) and pane.width() >= 200 for pane in low.split.panes()), timeout=MS)
    low.resize(1500, 600)
    qtbot.waitUntil(lambda: low.split.orientation() is Qt.Orientation.Horizontal, timeout=MS)


def test_how_the_picture_is_changed_can_be_reset_on_a_narrow_canvas(low: MainWindow, qtbot) -> None:
    badge = low.split.first.badge
    badge.show_appearance(Appearance(brightness=0.2, contrast=-0.1, gamma=1.5, stain=Stain.HAEMATOXYLIN))
    qtbot.waitUntil(lambda: in_sight(badge.reset), timeout=MS)
    assert low.viewer.canvas_rect.contains(badge.geometry())
    assert seen(badge.text).startswith("…")
    assert seen(badge.text).endswith("gamma 1.50")


def test_how_to_measure_gives_way_to_its_buttons(low: MainWindow, qtbot) -> None:
    low.actions_["measure_polygon"].trigger()
    bar = low.split.first.ruler.bar
    qtbot.waitUntil(lambda: in_sight(bar.copy) and in_sight(bar.remove), timeout=MS)


def test_every_one_of_the_five_steps_is_read_whole(low: MainWindow, qtbot) -> None:
    strip = low.five_steps

    def is_whole() -> bool:
        shown = [one for one in strip.findChildren(QPushButton) if not one.isHidden()]
        named = all(in_sight(one) and one.width() >= one.sizeHint().width() for one in shown)
        return named and strip.text.height() >= strip.text.heightForWidth(strip.text.width())

    low.actions_["five_steps"].trigger()
    for _step in STEPS:
        qtbot.waitUntil(is_whole, timeout=MS)
        strip.next.click()
    assert not strip.isVisible()
