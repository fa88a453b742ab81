"""New project asks what is to be found and how to begin; a project that nobody has trained says what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up, press
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QColorDialog, QDialogButtonBox

from histoloop.annotations.records import LabelClass
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.mouse import drag
from histoloop.store.shipped import DEFAULT_ENCODER, DEFAULT_MODEL, find_model
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS = 30_000
JOB_MS = 180_000


@pytest.fixture
def dialog(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewProjectDialog:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    made = NewProjectDialog(None, place=tmp_path)
    qtbot.addWidget(made)
    made.show()
    bring_up(made)
    return made


def names(dialog: NewProjectDialog) -> list[str]:
    return [one.name for one in dialog.classes()]


def ok(dialog: NewProjectDialog):
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)


def choose_template(dialog: NewProjectDialog, title: str) -> None:
    dialog.template.setCurrentText(title)
    dialog.template.activated.emit(dialog.template.currentIndex())


def type_classes(dialog: NewProjectDialog, wanted: Sequence[str], qtbot) -> None:
    """As a person does: a name, Return, the next one."""
    choose_template(dialog, "Your own classes")
    for number, name in enumerate(wanted):
        field = dialog.table.rows[number].name
        qtbot.waitUntil(field.hasFocus, timeout=MS)
        qtbot.keyClicks(field, name)
        if number < len(wanted) - 1:
            qtbot.keyClick(field, Qt.Key.Key_Return)


def test_the_usual_project_finds_gland_and_tumour_with_the_model_that_draws_them(dialog: NewProjectDialog) -> None:
    assert names(dialog) == ["gland", "tumour"]
    assert dialog.beginning.card is not None
    assert dialog.beginning.card.name == DEFAULT_MODEL
    assert dialog.start.note.text() == "It finds gland, tumour from the start."
    assert dialog.own_labels() is None  # those of the model
    assert ok(dialog).isEnabled()


def test_classes_that_no_model_draws_begin_from_nothing(dialog: NewProjectDialog) -> None:
    choose_template(dialog, "tumour, stroma, necrosis, inflammation")
    assert names(dialog) == ["tumour", "stroma", "necrosis", "inflammation"]
    assert dialog.beginning.encoder_only
    assert dialog.beginning.title == DEFAULT_ENCODER
    assert "starts from scratch" in dialog.start.note.text()
    assert ok(dialog).isEnabled()
    choose_template(dialog, "gland and tumour")
    assert not dialog.beginning.encoder_only


def test_own_classes_are_typed_one_after_the_other_with_return(dialog: NewProjectDialog, qtbot) -> None:
    type_classes(dialog, ["tumour", "stroma", "fat"], qtbot)
    assert names(dialog) == ["tumour", "stroma", "fat"]
    assert [one.colour for one in dialog.classes()] == ["#d55e00", "#0072b2", "#009e73"]
    assert dialog.isVisible()  # Return makes no project here
    assert ok(dialog).isEnabled()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["tumour", "tumour"], "tumour already exists."),
        (["tumour", "Tumour"], "tumour already exists."),
        (["tumour", ""], "A class or label needs a name"),
        (["x" * 61], "cannot be a name"),
    ],
)
def test_what_is_wrong_with_the_classes_is_told_while_they_are_typed(
    dialog: NewProjectDialog, typed: list[str], told: str, qtbot
) -> None:
    type_classes(dialog, typed, qtbot)
    assert told in dialog.problem.text()
    assert dialog.problem.isVisible()
    assert not ok(dialog).isEnabled()
    last = dialog.table.rows[-1].name
    last.selectAll()
    qtbot.keyClicks(last, "stroma")
    assert not dialog.problem.isVisible()
    assert ok(dialog).isEnabled()


def test_thirty_classes_can_be_made_and_no_more(dialog: NewProjectDialog, qtbot) -> None:
    for number in range(2, 30):
        qtbot.mouseClick(dialog.table.add, Qt.MouseButton.LeftButton)
        dialog.table.rows[number].name.setText(f"class {number}")
    dialog._check()
    assert len(dialog.table.rows) == 30
    assert not dialog.table.add.isEnabled()
    assert dialog.table.add.toolTip() == "A project has at most 30 classes."
    assert ok(dialog).isEnabled()
    assert len({one.colour for one in dialog.classes()}) == 30


def test_classes_are_moved_removed_and_coloured(
    dialog: NewProjectDialog, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_template(dialog, "tumour, stroma, necrosis, inflammation")
    dialog.table.choose(2)
    qtbot.mouseClick(dialog.table.up, Qt.MouseButton.LeftButton)
    assert names(dialog) == ["tumour", "necrosis", "stroma", "inflammation"]
    assert dialog.table.current == 1
    qtbot.mouseClick(dialog.table.down, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dialog.table.remove, Qt.MouseButton.LeftButton)
    assert names(dialog) == ["tumour", "stroma", "inflammation"]
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#123456"))
    qtbot.mouseClick(dialog.table.rows[1].colour, Qt.MouseButton.LeftButton)
    assert dialog.classes()[1].colour == "#123456"
    for _rest in range(2):
        qtbot.mouseClick(dialog.table.remove, Qt.MouseButton.LeftButton)
    assert len(names(dialog)) == 1
    assert not dialog.table.remove.isEnabled()  # one there must be


def test_labels_are_named_with_commas_and_only_where_the_model_has_none(dialog: NewProjectDialog, qtbot) -> None:
    assert not dialog.labels.isEnabled()
    choose_template(dialog, "metastasis and lymphoid tissue")
    assert dialog.labels.isEnabled()
    qtbot.keyClicks(dialog.labels, "benign, malignant,")
    assert dialog.own_labels() == (LabelClass("benign"), LabelClass("malignant"))
    qtbot.keyClicks(dialog.labels, " benign")
    assert "benign already exists." in dialog.problem.text()
    assert not ok(dialog).isEnabled()


def test_a_model_that_finds_none_of_the_classes_cannot_be_chosen_and_says_so(dialog: NewProjectDialog, qtbot) -> None:
    choose_template(dialog, "metastasis and lymphoid tissue")
    dialog.start.choose_model(find_model(DEFAULT_MODEL))
    assert "finds gland, tumour, none of yours" in dialog.start.note.text()
    assert not ok(dialog).isEnabled()
    qtbot.mouseClick(dialog.start.take_classes, Qt.MouseButton.LeftButton)
    assert names(dialog) == ["gland", "tumour"]
    assert ok(dialog).isEnabled()


def test_a_model_that_finds_some_of_the_classes_says_which(dialog: NewProjectDialog) -> None:
    choose_template(dialog, "tumour, stroma, necrosis, inflammation")
    dialog.start.choose_model(find_model(DEFAULT_MODEL))
    assert "stroma, necrosis, inflammation once you have painted" in dialog.start.note.text()
    assert ok(dialog).isEnabled()


def test_a_folder_that_is_no_model_is_told_and_the_choice_stays(dialog: NewProjectDialog, tmp_path: Path) -> None:
    before = dialog.beginning
    dialog.start.choose_model(tmp_path)
    assert str(tmp_path) in dialog.start.note.text()
    assert dialog.beginning == before


def test_a_file_of_weights_is_to_be_added_first(dialog: NewProjectDialog, tmp_path: Path) -> None:
    dialog.start.choose_encoder(tmp_path / "uni.safetensors")
    assert dialog.beginning.is_new
    assert dialog.beginning.encoder_only


def test_a_place_that_has_a_project_is_told(dialog: NewProjectDialog, tmp_path: Path) -> None:
    create_project(tmp_path / "Mine", name="Mine", start=DEFAULT_MODEL).close()
    dialog.name.setText("Mine")
    assert "There is already a project in" in dialog.problem.text()
    assert not ok(dialog).isEnabled()


# --- in the window ----------------------------------------------------------------------------------------------------


def make_own(window: MainWindow, tmp_path: Path, qtbot, *, labels: str = "") -> None:
    """A project of three classes that no model fits, made through the menu."""
    window.settings.set("projects", str(tmp_path / "projects"))

    def fill() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, NewProjectDialog)
        bring_up(dialog)
        type_classes(dialog, ["tumour", "stroma", "fat"], qtbot)
        dialog.labels.setText(labels)
        qtbot.mouseClick(ok(dialog), Qt.MouseButton.LeftButton)

    QTimer.singleShot(0, fill)
    window.actions_["new_project"].trigger()
    assert window.session.project is not None


def test_a_project_of_own_classes_says_that_nobody_has_taught_it_and_predicts_nothing(
    window: MainWindow, tmp_path: Path, slides: dict[str, Path], qtbot
) -> None:
    make_own(window, tmp_path, qtbot)
    project = window.session.project
    assert project.scheme.mask_names == ("tumour", "stroma", "fat")
    assert not window.session.is_trained
    window.session.add_slides([slides["benign"]])
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=4 * MS)
    assert window.viewer.wait_until_loaded()
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=4 * MS)
    assert not window.banner.isVisible()  # nothing failed
    pane = window.split.first
    assert pane.hint.isVisible()
    assert "no model has been trained here" in pane.hint.text.text()
    assert "No model has been trained yet" in window.queue_panel.summary.text()
    assert not window.actions_["predict"].isEnabled()
    assert "No model has been trained yet" in window.actions_["predict"].toolTip()
    assert window.queue_panel.options.how().strategy == "k-center"
    assert window.slides_panel.list.texts()[0] == slides["benign"].name
    assert not window.slides_panel.details.predicted.isVisible()
    # no labels either: what is about them is not there
    assert not window.actions_.submenus["label"].menuAction().isVisible()
    assert not window.actions_["next_label"].isVisible()
    assert not window.slides_panel.details.picker.isVisible()
    window.help_commands.five_steps()
    assert "No model has been trained here yet" in window.five_steps.text.text()


def test_what_is_said_instead_of_masks_goes_by_whether_the_program_learns_while_one_paints(
    window: MainWindow, tmp_path: Path, slides: dict[str, Path], qtbot
) -> None:
    make_own(window, tmp_path, qtbot)
    window.session.add_slides([slides["benign"]])
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=4 * MS)
    hint, switch = window.split.first.hint, window.training_panel.live
    qtbot.waitUntil(hint.isVisible, timeout=MS)
    assert hint.text.text().endswith("then retrain.")
    assert switch.line.text() == "Off: your painting changes the masks only once you retrain."
    window.actions_["learn_live"].trigger()
    assert hint.text.text().endswith("live masks appear after the first finished region.")
    assert switch.line.text() == window.live_line.text().strip()
    assert switch.line.text() == "Live masks will appear after the first finished region"
    window.actions_["learn_live"].trigger()
    assert hint.text.text().endswith("then retrain.")
    assert window.live_line.text() == ""


def test_in_a_project_of_own_classes_any_place_is_painted_by_keys_and_the_hint_is_out_of_the_way(
    window: MainWindow, tmp_path: Path, slides: dict[str, Path], qtbot
) -> None:
    make_own(window, tmp_path, qtbot, labels="benign, malignant")
    window.session.add_slides([slides["benign"]])
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=4 * MS)
    assert window.viewer.wait_until_loaded()
    assert window.actions_.submenus["label"].menuAction().isVisible()
    assert window.slides_panel.details.picker.isVisible()
    window.actions_["annotate_visible"].trigger()
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=MS)
    assert window.viewer.painted_mask.max() == 0  # nothing is suggested
    assert not window.split.first.hint.isVisible()
    assert [window.annotation_panel.classes.button(n).accessibleName() for n in (1, 2, 3)] == [
        "Tumour",
        "Stroma",
        "Fat",
    ]
    window.session.annotating.leave()
    qtbot.waitUntil(window.split.first.hint.isVisible, timeout=MS)


def test_the_first_questions_of_own_classes_are_answered_with_keys(
    window: MainWindow, tmp_path: Path, slides: dict[str, Path], qtbot
) -> None:
    make_own(window, tmp_path, qtbot)
    window.session.add_slides([slides["malignant"]])
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=4 * MS)
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=4 * MS)
    window.queue_panel.options.count.setValue(2)
    window.actions_["ask"].trigger()
    qtbot.waitUntil(lambda: len(window.queue_panel.shown_ids()) == 2, timeout=JOB_MS)
    assert not window.banner.isVisible()
    window.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=MS)
    assert window.viewer.wait_until_loaded()
    region = window.viewer.annotating
    for value, row in ((3, region.y + region.height // 4), (1, region.y + region.height // 2)):
        press(window, Qt.Key(Qt.Key.Key_0 + value))
        drag(window.viewer.canvas, [window.viewer.to_canvas(region.x + region.width * n // 8, row) for n in (2, 4, 6)])
        qtbot.waitUntil(lambda value=value: (window.viewer.painted_mask == value).any(), timeout=MS)
    press(window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(window.session.project.annotations.finished()) == 1, timeout=MS)
    done = window.session.project.annotations.finished()[0]
    assert set(np.unique(window.session.project.annotations.load_mask(done.id)[0])) == {0, 1, 3}
    qtbot.waitUntil(lambda: window.actions_["retrain"].isEnabled(), timeout=MS)
