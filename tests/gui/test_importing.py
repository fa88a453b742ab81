"""Annotations of other programs in the window: dropped or chosen, drawn over the slide, matched, imported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, QRect, QSize, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QInputDialog

from histoloop.gui.kit.beside import place_beside
from histoloop.store.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from histoloop.gui.dialogs.import_annotations import ImportAnnotationsDialog
    from histoloop.gui.kit.widgets import NarrowBox
    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 300_000
WHOLE_PX = 1800 * 1000


def outlines(path: Path, *classes: str | None) -> Path:
    """A file with a square of 100 x 100 pixels of each class, beside each other."""
    features = []
    for number, name in enumerate(classes):
        x = 200 * number
        ring = [[x, 50], [x + 100, 50], [x + 100, 150], [x, 150], [x, 50]]
        kind = {} if name is None else {"classification": {"name": name, "color": [200, 0, 0]}}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": kind})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    window.dropEvent(
        QDropEvent(
            QPointF(50, 50), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
    )


def dialog_of(window: MainWindow) -> ImportAnnotationsDialog:
    dialog = window.import_control.dialog
    assert dialog is not None
    return dialog


def choose(box: NarrowBox, data: object) -> None:
    """What a person does with the keyboard: take an entry of a box."""
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


@pytest.fixture
def read(opened: MainWindow, qtbot) -> Callable[..., ImportAnnotationsDialog]:
    """Drop files on the window and wait until they were looked at."""

    def look(*paths: Path) -> ImportAnnotationsDialog:
        drop(opened, *paths)
        dialog = dialog_of(opened)
        qtbot.waitUntil(lambda: not dialog.files.reading.isVisibleTo(dialog), timeout=JOB_MS)
        return dialog

    return look


@pytest.fixture
def bring(opened: MainWindow, qtbot) -> Callable[[ImportAnnotationsDialog], str]:
    """Press *Import* and wait for the report."""

    def press(dialog: ImportAnnotationsDialog) -> str:
        with qtbot.waitSignal(opened.session.reported, timeout=JOB_MS) as reported:
            qtbot.mouseClick(dialog.import_button, Qt.MouseButton.LeftButton)
        return str(reported.args[0])

    return press


def finished(folder: Path) -> list[tuple[str, list[int]]]:
    """The finished annotations that count: person, and pixels of background, gland and tumour."""
    with Project.open(folder, read_only=True) as project:
        records = project.annotations.finished()
        masks = [project.annotations.load_mask(record.id)[0] for record in records]
    return [
        (record.person, np.bincount(mask.ravel(), minlength=3).tolist())
        for record, mask in zip(records, masks, strict=True)
    ]


def test_a_dropped_file_is_drawn_over_its_slide_and_comes_once_its_classes_are_said(
    opened: MainWindow,
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
    qtbot,
) -> None:
    opened.session.person = "Ada"
    dialog = read(outlines(tmp_path / "malignant.geojson", "Tumor", "Stroma", None))
    malignant = next(slide for slide in opened.session.slides() if slide.name == "malignant.tiff")
    qtbot.waitUntil(lambda: opened.opener.current == malignant.id, timeout=JOB_MS)
    preview = opened.import_control.preview
    qtbot.waitUntil(lambda: preview.isVisible() and preview.is_sharp, timeout=JOB_MS)
    assert preview.shown is not None
    assert preview.shown.slide_id == malignant.id
    assert preview.shown.looks[0].colour == "#c80000"

    assert not dialog.import_button.isEnabled()
    assert dialog.why.text() == "2 classes have no matching class in the project yet: Stroma, Without a class."
    stroma, nameless = dialog.classes.keys[1:]
    choose(dialog.classes.box(stroma), "gland")
    choose(dialog.classes.box(nameless), "-")
    assert dialog.why.text() == "1 region will be annotated."
    report = bring(dialog)
    assert "1 file was imported: 1 region." in report
    assert finished(project_folder) == [("Ada", [WHOLE_PX - 20_000, 10_000, 10_000])]
    assert not preview.isVisible()
    assert opened.import_control.dialog is None

    qtbot.waitUntil(lambda: opened.actions_["undo"].isEnabled(), timeout=JOB_MS)
    opened.actions_["undo"].trigger()
    qtbot.waitUntil(lambda: finished(project_folder) == [], timeout=JOB_MS)
    qtbot.waitUntil(lambda: opened.actions_["redo"].isEnabled(), timeout=JOB_MS)
    opened.actions_["redo"].trigger()
    qtbot.waitUntil(lambda: len(finished(project_folder)) == 1, timeout=JOB_MS)


def test_cancel_takes_the_preview_off_and_changes_nothing(
    opened: MainWindow, project_folder: Path, tmp_path: Path, read: Callable[..., ImportAnnotationsDialog], qtbot
) -> None:
    dialog = read(outlines(tmp_path / "benign.geojson", "gland"))
    qtbot.waitUntil(opened.import_control.preview.isVisible, timeout=JOB_MS)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not opened.import_control.preview.isVisible()
    assert opened.import_control.dialog is None
    assert finished(project_folder) == []


def test_work_that_is_there_stays_unless_somebody_says_otherwise(
    opened: MainWindow,
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
) -> None:
    opened.session.person = "Ada"
    bring(read(outlines(tmp_path / "benign.geojson", "gland")))
    second = outlines(tmp_path / "benign.json", "tumour")
    dialog = read(second)
    assert dialog.earlier.isVisibleTo(dialog)
    assert dialog.earlier.table.item(0, 0).text() == "benign.tiff: 0, 0, 1800 \N{MULTIPLICATION SIGN} 1000"
    assert dialog.why.text() == "All of it lies in regions that stay as they are: let the file replace at least one."
    assert not dialog.import_button.isEnabled()
    dialog.earlier.replace_all.click()
    bring(dialog)
    assert finished(project_folder) == [("Ada", [WHOLE_PX - 10_000, 0, 10_000])]


def test_a_mask_picture_whose_values_could_be_any_class_asks(
    opened: MainWindow,
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
) -> None:
    pixels = np.zeros((500, 900), np.uint8)
    pixels[:50, :50] = 255
    Image.fromarray(pixels).save(tmp_path / "benign_mask.png")
    dialog = read(tmp_path / "benign_mask.png")
    assert dialog.why.text() == "1 class has no matching class in the project yet: value 255."
    (value,) = dialog.classes.keys
    choose(dialog.classes.box(value), "tumour")
    bring(dialog)
    ((_person, counts),) = finished(project_folder)
    assert counts == [WHOLE_PX - 10_000, 0, 10_000]


def test_a_class_that_the_project_has_not_is_made_with_the_import(
    opened: MainWindow,
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(
        QInputDialog, "getText", lambda *_arguments, text, **_options: asked.append(text) or (text, True)
    )
    dialog = read(outlines(tmp_path / "benign.geojson", "gland", "Stroma"))
    stroma = dialog.classes.keys[1]
    choose(dialog.classes.box(stroma), "new")
    assert asked == ["Stroma"]
    assert dialog.classes.box(stroma).currentText() == "Stroma (new)"
    bring(dialog)
    assert opened.session.project is not None
    assert opened.session.project.scheme.mask_names[-1] == "Stroma"
    ((_person, counts),) = finished(project_folder)
    assert counts == [WHOLE_PX - 20_000, 10_000, 0, 10_000]


def test_a_file_that_cannot_be_taken_says_why_and_holds_the_others_back(
    opened: MainWindow, tmp_path: Path, read: Callable[..., ImportAnnotationsDialog]
) -> None:
    (tmp_path / "malignant.geojson").write_bytes(b"")
    dialog = read(outlines(tmp_path / "benign.geojson", "gland"), tmp_path / "malignant.geojson")
    assert [dialog.files.table.item(row, 2).text() for row in range(2)] == ["1 outline", "Cannot be imported"]
    dialog.files.table.selectRow(1)
    assert "cannot be read as outlines" in dialog.files.details.text()
    assert "--" not in dialog.files.details.text()
    assert not dialog.import_button.isEnabled()
    dialog.files.drop.click()
    assert dialog.import_button.isEnabled()


def names_of(slides: Sequence[Any]) -> list[str]:
    return [slide.name for slide in slides]


def test_slides_and_annotations_that_are_dropped_together_go_where_they_belong(
    opened: MainWindow, slides: dict[str, Path], tmp_path: Path, qtbot
) -> None:
    new = tmp_path / "new.png"
    Image.fromarray(np.full((300, 300, 3), (215, 140, 185), np.uint8)).save(new)
    opened.session.predict_added = False
    drop(opened, new, outlines(tmp_path / "unknown.geojson", "gland"))
    dialog = dialog_of(opened)
    assert dialog.why.text() == "Choose the slide of unknown.geojson."
    qtbot.waitUntil(lambda: "new.png" in names_of(opened.session.slides()), timeout=JOB_MS)


def test_the_window_closes_while_a_file_is_read(opened: MainWindow, tmp_path: Path, qtbot) -> None:
    drop(opened, outlines(tmp_path / "benign.geojson", "gland"))
    assert dialog_of(opened).files.reading.isVisibleTo(dialog_of(opened))
    opened.close()
    assert opened.import_control.dialog is None


# --- what people may bring by mistake ---------------------------------------------------------------------------------

BOW = [[100, 100], [500, 500], [500, 100], [100, 500], [100, 100]]
FAR = [[40_000, 40_000], [50_000, 40_000], [50_000, 50_000], [40_000, 40_000]]
EIGHTFOLD = [[4000, 800], [14_000, 800], [14_000, 7900], [4000, 800]]
SQUARE = [[10, 10], [110, 10], [110, 110], [10, 110], [10, 10]]


def polygons(path: Path, *features: tuple[str, object]) -> Path:
    """A file of polygons: the class and the exterior of each."""
    listed = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"classification": {"name": name}},
        }
        for name, ring in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": listed}))
    return path


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        (FAR, "lie outside of benign.tiff"),
        (EIGHTFOLD, "They would fit at 0.125 times the size."),
        ([[1, 1], [float("nan"), 2], [3, 3], [1, 1]], "a coordinate is not a number"),
    ],
    ids=["another slide", "another size", "nan"],
)
def test_outlines_that_do_not_fit_are_refused_in_words_and_the_slide_stays_as_it_is(
    ring: object, words: str, project_folder: Path, tmp_path: Path, read: Callable[..., ImportAnnotationsDialog]
) -> None:
    dialog = read(polygons(tmp_path / "benign.geojson", ("gland", ring)))
    assert words in dialog.files.details.text()
    assert dialog.why.text().startswith("benign.geojson cannot be imported as it is")
    assert not dialog.import_button.isEnabled()
    assert finished(project_folder) == []


def test_a_mask_of_another_size_and_a_photograph_are_refused_in_words(
    project_folder: Path, tmp_path: Path, read: Callable[..., ImportAnnotationsDialog]
) -> None:
    Image.fromarray(np.ones((100, 100), np.uint8)).save(tmp_path / "benign_mask.png")
    noise = np.random.default_rng(0).integers(0, 255, (500, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "malignant_mask.png")
    dialog = read(tmp_path / "benign_mask.png", tmp_path / "malignant_mask.png")
    assert "is 100 x 100 pixels" in dialog.files.details.text()
    dialog.files.table.selectRow(1)
    assert "it is not a mask" in dialog.files.details.text()
    assert not dialog.import_button.isEnabled()
    assert finished(project_folder) == []


def test_an_outline_that_crosses_itself_and_names_with_marks_are_said_and_taken(
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
) -> None:
    dialog = read(polygons(tmp_path / "benign.geojson", ("gland", BOW), ("x" * 300, SQUARE), ("a, b/c", SQUARE)))
    assert "1 outline crosses itself" in dialog.files.details.text()
    dialog.classes.leave_out.click()
    bring(dialog)
    ((_person, counts),) = finished(project_folder)
    assert counts[1] == pytest.approx(80_000, rel=0.01)


def test_of_hundreds_of_classes_those_in_sight_have_boxes_and_the_limit_is_said(
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
    qtbot,
) -> None:
    dialog = read(polygons(tmp_path / "benign.geojson", *((f"kind {number}", SQUARE) for number in range(500))))
    classes = dialog.classes
    assert classes.table.rowCount() == 500
    assert "A project has at most 30 classes at a time: 28 more can be added here." in classes.note.text()

    def with_boxes() -> list[int]:
        return [row for row in range(500) if classes.table.cellWidget(row, 3) is not None]

    assert 0 < len(with_boxes()) < 12
    classes.table.verticalScrollBar().setValue(classes.table.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: with_boxes()[-1] == 499)
    assert len(with_boxes()) < 24
    with qtbot.waitSignal(classes.changed):
        choose(classes.box(classes.keys[-1]), "tumour")
    classes.leave_out.click()
    assert classes.undecided() == []
    bring(dialog)
    ((_person, counts),) = finished(project_folder)
    assert counts == [WHOLE_PX - 10_000, 0, 10_000]


def test_an_import_that_is_stopped_takes_whole_files_and_undo_takes_them_back(
    opened: MainWindow,
    project_folder: Path,
    tmp_path: Path,
    read: Callable[..., ImportAnnotationsDialog],
    bring: Callable[[ImportAnnotationsDialog], str],
    qtbot,
) -> None:
    jobs = opened.session.jobs
    jobs.started.connect(lambda job: jobs.cancel() if "malignant" in job.title else None)
    report = bring(
        read(outlines(tmp_path / "benign.geojson", "gland"), outlines(tmp_path / "malignant.geojson", "gland"))
    )
    stopped = "1 file was stopped part-way." in report  # unless it came to its end before it heard of it
    assert len(finished(project_folder)) == (1 if stopped else 2)
    assert all(counts[1] == 10_000 for _person, counts in finished(project_folder))
    while finished(project_folder):
        before = len(finished(project_folder))
        qtbot.waitUntil(lambda: opened.actions_["undo"].isEnabled(), timeout=JOB_MS)
        opened.actions_["undo"].trigger()
        qtbot.waitUntil(lambda before=before: len(finished(project_folder)) < before, timeout=JOB_MS)


def test_reading_that_is_stopped_says_so_and_another_look_goes_on(opened: MainWindow, tmp_path: Path, qtbot) -> None:
    drop(opened, outlines(tmp_path / "benign.geojson", "gland"))
    dialog = dialog_of(opened)
    dialog.files.stop.click()
    assert dialog.files.details.text() == "Reading was stopped."
    assert not dialog.import_button.isEnabled()
    dialog.placing.look_again.click()
    qtbot.waitUntil(dialog.import_button.isEnabled, timeout=JOB_MS)


# --- where the dialog stands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1600, 1000)])
def test_the_dialog_leaves_most_of_the_canvas_to_see_where_the_window_fills_the_screen(width: int, height: int) -> None:
    window, canvas = QRect(0, 0, width, height), QRect(250, 60, width - 590, height - 100)
    place = place_beside(QSize(480, 760), window=window, canvas=canvas, screen=window)
    assert window.contains(place)
    assert place.intersected(canvas).width() <= canvas.width() * 0.3


def test_the_dialog_goes_beside_the_window_where_there_is_room() -> None:
    window, canvas, screen = QRect(600, 0, 1200, 800), QRect(800, 60, 700, 700), QRect(0, 0, 2560, 1440)
    for moved in (0, 700):
        place = place_beside(
            QSize(480, 760), window=window.translated(moved, 0), canvas=canvas.translated(moved, 0), screen=screen
        )
        assert not place.intersects(window.translated(moved, 0))
        assert screen.contains(place)
