"""However long a slide's name is, as a DICOM UID may be, it pushes no tool out of its panel."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QAbstractButton

from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

UID = ".".join(["1.2.840.113619.2.55.3.604688119.971"] * 4)
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")


@pytest.fixture
def named(window: MainWindow, project_folder: Path, tmp_path: Path, qtbot) -> MainWindow:
    """The window with a project whose slides are named by such a number."""
    with Project.open(project_folder) as project:
        for number, slide in enumerate(project.slides.all()):
            file = tmp_path / f"{UID}.{number}.tiff"
            shutil.copy(slide.path, file)
            project.slides.relocate(slide.id, file)
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=60_000)
    return window


def outside(panel: QWidget, dock: QWidget) -> list[str]:
    """The buttons that are not wholly within the width of their dock."""
    found = [one for one in panel.findChildren(QAbstractButton) if one.isVisible() and one.width()]
    return [
        one.text() or one.accessibleName()
        for one in found
        if one.mapTo(dock, QPoint(one.width(), 0)).x() > dock.width() or one.mapTo(dock, QPoint(0, 0)).x() < 0
    ]


def test_tools_stay_in_their_panels_while_looking_and_painting(named: MainWindow, qtbot) -> None:
    assert len(UID) > 140
    widths = [dock.width() for dock in named.docks.all]
    assert max(widths) < 420
    for painting in (False, True):
        if painting:
            named.actions_["next_question"].trigger()
            qtbot.waitUntil(lambda: named.viewer.annotating is not None, timeout=60_000)
        qtbot.wait(200)
        for tab in (named.work.currentWidget(), named.work.annotations):
            named.work.setCurrentWidget(tab)
            qtbot.wait(50)
            for dock in named.docks.all:
                assert outside(dock.widget(), dock) == [], dock.objectName()
        assert [dock.width() for dock in named.docks.all] == widths
        if SHOTS:
            named.grab().save(f"{SHOTS}/long_{painting}.png")
