"""The tutorial in the real window, word for word: a test for each step, one after the other.

**Bold** is pressed, `keys` are typed, *italics* waited for; what has a `by hand` mark is done as a person would do it.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from PySide6.QtWidgets import QListView

    from histoloop.gui.window.main_window import MainWindow

    from .conftest import Step

display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("win32", "darwin")
pytestmark = [
    pytest.mark.walk,
    pytest.mark.skipif(not display, reason="the window needs a display: run through packaging/with_display.sh"),
]
PATIENCE_S = 900.0


class Walker:
    """Somebody who does what the tutorial says."""

    def __init__(self, window: MainWindow, chosen: list[Path]) -> None:
        from histoloop.gui.tour.driver import SEED
        from histoloop.slides.synthetic import SyntheticTissue
        from histoloop.workflows.demo_project import specifications

        self.window = window
        self.lost = False
        self._chosen = chosen
        self._truth = {name: SyntheticTissue(spec) for name, spec in specifications(SEED).items()}
        self._hands: dict[str, Callable[[], None]] = {
            "wait until all slides are predicted": self._wait_for_the_job,
            "paint this region": self._paint,
            "paint the other regions": self._paint_the_others,
            "choose a folder": lambda: self.wait(lambda: self._chosen, "the dialog that asks for a folder"),
        }

    def press(self, text: str) -> None:
        """Click on the control, the entry of a menu or the line of a list that is called so."""
        self.wait(lambda: self._press(text), f"something to press called {text!r}")

    def type(self, key: str) -> None:
        """Press the keys of a shortcut."""
        from PySide6.QtGui import QKeySequence

        from histoloop.gui.window.menus import specs

        (name,) = (spec.name for spec in specs() if spec.shortcut and QKeySequence(spec.shortcut) == QKeySequence(key))
        self.wait(self.window.actions_[name].isEnabled, f"{key} to do something")
        self.window.actions_[name].trigger()

    def see(self, text: str) -> None:
        """Wait until the window says so."""
        self.wait(lambda: any(text in shown for shown in self._shown()), f"{text!r} on the screen")

    def by_hand(self, what: str) -> None:
        """Do what words cannot say exactly."""
        self._hands[what]()

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Turn the event loop until something is so."""
        from PySide6.QtTest import QTest

        end = time.monotonic() + PATIENCE_S
        while not condition():
            QTest.qWait(10)
            banner = self.window.banner
            if banner.isVisible() and banner.text.objectName() == "problem":
                pytest.fail(f"while waiting for {what}: {banner.text.text()}")
            if time.monotonic() > end:
                pytest.fail(f"waited too long for {what}; the window says: {sorted(set(self._shown()))}")

    def _press(self, text: str) -> bool:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QAbstractButton, QListView, QTabBar

        for control in self.window.findChildren(QAbstractButton):
            if control.isVisible() and control.isEnabled() and _plain(control.text()) == text:
                QTest.mouseClick(control, Qt.MouseButton.LeftButton)
                return True
        for tabs in (tabs for tabs in self.window.findChildren(QTabBar) if tabs.isVisible()):
            for number in (number for number in range(tabs.count()) if _plain(tabs.tabText(number)) == text):
                tabs.setCurrentIndex(number)
                return True
        for lines in (lines for lines in self.window.findChildren(QListView) if lines.isVisible()):
            for number in (row for row, line in enumerate(_lines(lines)) if line.startswith(f"{text}\n")):
                index = lines.model().index(number, 0)
                lines.scrollTo(index)
                place = lines.visualRect(index).center()
                QTest.mouseClick(lines.viewport(), Qt.MouseButton.LeftButton, pos=place)
                return True
        for menu in self.window.menuBar().actions():
            for action in (action for action in menu.menu().actions() if _plain(action.text()) == text):
                if action.isEnabled():
                    action.trigger()
                    return True
        return False

    def _shown(self) -> Iterator[str]:
        from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QListView, QTabBar

        for menu in self.window.menuBar().actions():
            yield _plain(menu.text())
        kinds = (QLabel, QAbstractButton, QComboBox, QListView, QTabBar)
        for widget in (found for kind in kinds for found in self.window.findChildren(kind) if found.isVisible()):
            match widget:
                case QComboBox():
                    yield widget.currentText()
                case QListView():
                    yield from map(_plain, _lines(widget))
                case QTabBar():
                    yield from (_plain(widget.tabText(number)) for number in range(widget.count()))
                case _:
                    yield _plain(widget.text())

    # --- by hand ---

    def _wait_for_the_job(self) -> None:
        self.wait(lambda: self.window.session.jobs.current is None, "what runs to end")

    def _paint(self) -> None:
        """A stroke of the eraser with the mouse, then the whole mask as it should be."""
        from histoloop.gui.mouse import drag

        window = self.window
        viewer = window.viewer
        self.wait(lambda: viewer.annotating is not None and not window.opener.busy, "a region to paint")
        window.split.wait_until_loaded()
        self.type("E")
        region = viewer.annotating
        assert region is not None
        middle = (region.x + region.width / 2, region.y + region.height / 2)
        drag(viewer.canvas, [viewer.to_canvas(middle[0] + 10 * step, middle[1]) for step in range(5)])
        self.type("B")
        active, project = window.session.active, window.session.project
        assert active is not None
        assert project is not None
        name = project.slides.get(active.record.slide_id).name
        viewer.replace_mask(self._truth[name].read(active.record.region)[1])
        self.see("Saved")

    def _paint_the_others(self) -> None:
        for _region in range(5):
            before = self.window.session.active
            self._paint()
            self.type("Return")
            self.wait(lambda before=before: self.window.session.active is not before, "the next region")


def _lines(shown: QListView) -> list[str]:
    """The texts of a list."""
    model = shown.model()
    return [] if model is None else [str(model.index(row, 0).data()) for row in range(model.rowCount())]


def _plain(text: str) -> str:
    """Without marks of menus and of rich text, and without line ends."""
    return " ".join(re.sub(r"<[^>]*>", "", text).replace("&", "").split())


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walker]:
    """Somebody in front of the start page, with nothing from earlier sessions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own dependencies, as they are imported
        from PySide6.QtCore import QCoreApplication
        from PySide6.QtWidgets import QFileDialog

        from histoloop.gui.application import make_application
        from histoloop.gui.canvas.napari_canvas import load_the_rest
        from histoloop.gui.kit.settings import Settings
        from histoloop.gui.window.main_window import MainWindow

        load_the_rest()
    folder = tmp_path_factory.mktemp("tutorial")
    chosen: list[Path] = []

    def choose(*_asked: object) -> str:
        chosen.append(folder / "exported")
        return str(chosen[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HISTOLOOP_HOME", str(folder / "home"))
        patch.setattr(QFileDialog, "getExistingDirectory", choose)
        application = make_application()
        window = MainWindow(Settings(folder / "settings.ini"))
        window.show()
        walker = Walker(window, chosen)
        walker.wait(window.isVisible, "the window to open")
        yield walker
        window.session.jobs.cancel()
        window.session.jobs.shut_down()
        window.close()
        application.processEvents()
        QCoreApplication.processEvents()


def test_the_step_goes_as_it_says(step: Step, walker: Walker) -> None:
    if walker.lost:
        pytest.skip("an earlier step did not go as it says")
    walker.lost = True
    for deed, text in step.deeds:
        {"press": walker.press, "type": walker.type, "see": walker.see, "by hand": walker.by_hand}[deed](text)
    walker.lost = False


def test_what_was_exported_is_what_the_guide_lists(walker: Walker) -> None:
    if walker.lost:
        pytest.skip("an earlier step did not go as it says")
    files = {file.name for file in walker._chosen[0].iterdir()}
    assert {"summary.csv", "areas.csv", "annotations.csv", "benign-1.geojson", "benign-1-mask.png"} <= files
    assert len(files) == 21
