"""A choice between two readings that was made by mistake, undone with the mouse in the dialog it was made in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from histoloop.annotations.records import Patch
from histoloop.geometry import Region
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.readers.person_bar import PersonBar
from histoloop.gui.window.readers.second_reader import SecondReader
from histoloop.gui.work.session import Session
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows import annotate
from histoloop.workflows.contents.readings import begin_reading
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.dialogs.agreement_dialog import AgreementDialog

REGION = Region(16, 8, 40, 20)
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
FIRST, SECOND = "the first", "the second"


@pytest.fixture
def read_twice(tmp_path: Path) -> Path:
    """A project in which Ada painted a gland, and Bo a tumour in its place."""
    Image.new("RGB", (200, 200), "white").save(tmp_path / "a.png")
    with create_project(tmp_path / "project", name="Readings", start=DEFAULT_MODEL) as project:
        slide = project.slides.add(tmp_path / "a.png", width=200, height=200, mpp=0.5, vendor="none")
        gland = np.zeros((REGION.height, REGION.width), np.uint8)
        gland[:10] = 1
        draft = project.drafts.start(slide.id, REGION, mask=gland, origin_model=None, person="Ada")
        first = annotate.finish(project, draft.id)
        reading = begin_reading(project, first.id, person="Bo")
        project.drafts.append_patch(reading.id, Patch(0, 0, np.full_like(gland, 2)))
        annotate.finish(project, reading.id)
        return project.folder


@pytest.fixture
def session(qtbot, read_twice: Path) -> Iterator[Session]:
    session = Session()
    assert session.open_project(read_twice)
    session.person = "Cy"
    yield session
    session.shut_down()


@pytest.fixture
def dialog(qtbot, session: Session, tmp_path: Path) -> Iterator[AgreementDialog]:
    parent = QWidget()
    qtbot.addWidget(parent)
    reader = SecondReader(
        parent=parent,
        session=session,
        settings=Settings(tmp_path / "settings.ini"),
        bar=PersonBar(),
        go_to=lambda _slide, _region: None,
        slides=Mock(),
        annotations=Mock(),
    )
    reader.show_agreement()
    qtbot.waitUntil(lambda: reader.dialog is not None and reader.dialog.table.rowCount() == 1)
    yield reader.dialog
    reader.shut_down()


def press(dialog: AgreementDialog, which: QPushButton, qtbot, *, counts: str, state: str) -> None:
    """Press a button that may be pressed, and wait until the table says what counts, and where the region stands."""
    assert which.isEnabled()
    QTest.mouseClick(which, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: [dialog.table.item(0, column).text() for column in (4, 3)] == [counts, state])


def counting(session: Session) -> list[tuple[str, str]]:
    return [(one.person, one.adjudicator) for one in session.project.annotations.finished()]


def test_a_choice_is_undone_where_it_was_made_and_may_be_made_anew(
    dialog: AgreementDialog, session: Session, qtbot
) -> None:
    assert not dialog.undo.isEnabled(), "nobody has chosen"
    press(dialog, dialog.second, qtbot, counts=SECOND, state="Decided")
    with qtbot.waitSignal(session.maps_changed):
        press(dialog, dialog.undo, qtbot, counts=FIRST, state="Readers differ")
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/choice_undone.png")
    assert counting(session) == [("Ada", "")]
    assert not dialog.undo.isEnabled()
    press(dialog, dialog.second, qtbot, counts=SECOND, state="Decided")
    assert counting(session) == [("Bo", "Cy")]


def test_undoing_a_second_choice_brings_back_the_one_before(dialog: AgreementDialog, session: Session, qtbot) -> None:
    press(dialog, dialog.second, qtbot, counts=SECOND, state="Decided")
    press(dialog, dialog.first, qtbot, counts=FIRST, state="Decided")
    press(dialog, dialog.undo, qtbot, counts=SECOND, state="Decided")
    assert counting(session) == [("Bo", "Cy")]
    press(dialog, dialog.undo, qtbot, counts=FIRST, state="Readers differ")
    assert counting(session) == [("Ada", "")]


def test_in_a_project_that_can_only_be_read_no_choice_is_undone(dialog: AgreementDialog, qtbot) -> None:
    press(dialog, dialog.second, qtbot, counts=SECOND, state="Decided")
    dialog.set_read_only(True)
    assert not dialog.undo.isEnabled()
