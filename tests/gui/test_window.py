"""What a user sees and does around the viewer."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDropEvent, QImage

from histoloop.gui.dialogs.text_dialog import GuideDialog
from histoloop.gui.kit.settings import Settings
from histoloop.gui.mouse import click
from histoloop.gui.panels.slides.slide_row import describe
from histoloop.gui.window.menus import MENUS, specs
from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job, Place
from histoloop.store.project import Project
from histoloop.store.records import ModelStatus, MppFrom

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000


def idle(window: MainWindow) -> bool:
    return window.session.jobs.current is None


def no_picture(_query_id: int) -> Path:
    return Path("no such picture.png")


def drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(20, 20),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.slides_panel.dropEvent(event)


def texts(window: MainWindow) -> list[str]:
    return window.slides_panel.list.texts()


def test_the_windows_process_never_loads_torch() -> None:
    script = (
        "import sys, histoloop.gui.application, histoloop.gui.tour.run\n"
        "import histoloop.gui.work.jobs, histoloop.workflows.reports\n"
        "print([name for name in ('torch', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_can_be_done_without_a_project(window: MainWindow) -> None:
    enabled = {spec.name for spec in specs() if window.actions_[spec.name].isEnabled()}
    assert {"new_project", "open_project", "open_demo", "quit", "about"} <= enabled
    assert not enabled & {"predict", "ask", "retrain", "export", "tool_brush", "finish", "keep", "fit"}
    assert window.welcome.isVisible()


def test_no_two_actions_share_a_shortcut() -> None:
    shortcuts = [spec.shortcut for spec in specs() if spec.shortcut]
    assert len(set(shortcuts)) == len(shortcuts)
    for name in ("finish", "accept", "skip", "next_question", "undo", "tool_brush", "retrain"):
        assert next(spec for spec in specs() if spec.name == name).shortcut
    names = {title.replace("&", "") for title in MENUS}
    assert names == {"File", "Project", "Slides", "View", "Loop", "Paint", "Annotate", "Settings", "Help"}


def test_slides_show_their_likeliest_class_and_its_probability_or_that_they_are_unlike(opened: MainWindow) -> None:
    for text, slide in zip(texts(opened), opened.session.slides(), strict=True):
        assert text == describe(slide)
        name = max(slide.predicted, key=slide.predicted.__getitem__)
        unlike, like = dataclasses.replace(slide, unlike=1.5), dataclasses.replace(slide, unlike=0.5)
        assert describe(unlike) == f"{slide.name}\nUnlike the training data"
        assert describe(like) == f"{slide.name}\n{name} {slide.predicted[name]:.0%}"


def test_masks_are_laid_over_the_slide_and_can_be_switched_off(opened: MainWindow) -> None:
    def pixels() -> np.ndarray:
        image = opened.viewer.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine()).astype(int)

    with_masks = pixels()
    opened.actions_["show_masks"].trigger()
    assert opened.viewer.wait_until_loaded()
    without = pixels()
    assert np.mean(np.abs(with_masks - without) > 10) > 0.02
    opened.actions_["show_heatmap"].trigger()
    assert opened.viewer.wait_until_loaded()
    assert np.mean(np.abs(pixels() - without) > 10) > 0.1
    assert opened.overlay_panel.heatmap.isChecked()


def test_choosing_a_question_brings_its_region_into_sight(opened: MainWindow, qtbot) -> None:
    last = opened.session.queries()[-1]
    opened.queue_panel.select(last.id)
    qtbot.waitUntil(lambda: opened.opener.current == last.slide_id, timeout=20_000)
    opened.queue_panel.query_selected.emit(last.id)
    assert opened.viewer.visible_region().intersection(last.region) is not None
    assert opened.slides_panel.current_id() == last.slide_id


def test_a_click_on_a_questions_outline_chooses_it_and_a_second_opens_it(opened: MainWindow, qtbot) -> None:
    shown = [query for query in opened.session.queries() if query.slide_id == opened.opener.current]
    query = next((query for query in shown if query.id != opened.queue_panel.current_id()), shown[0])
    for _click in range(2):
        click(opened.viewer.canvas, opened.viewer.to_canvas(*query.region.centre))
        qtbot.waitUntil(lambda: opened.queue_panel.current_id() == query.id)
        opened.viewer.wait_until_loaded()
    qtbot.waitUntil(lambda: opened.viewer.annotating == query.region, timeout=20_000)


def test_the_queue_can_be_narrowed_to_a_class_or_slide(opened: MainWindow) -> None:
    panel, queries = opened.queue_panel, opened.session.queries()
    panel.class_filter.setCurrentIndex(panel.class_filter.findData(queries[0].class_name))
    assert panel.shown_ids() == [query.id for query in queries if query.class_name == queries[0].class_name]
    panel.class_filter.setCurrentIndex(0)
    panel.slide_filter.setCurrentIndex(panel.slide_filter.findData(queries[-1].slide_id))
    assert panel.shown_ids() == [query.id for query in queries if query.slide_id == queries[-1].slide_id]


def test_without_questions_the_queue_offers_only_to_ask(opened: MainWindow) -> None:
    panel = opened.queue_panel
    answering = (panel.slide_filter, panel.class_filter, panel.list, panel.open, panel.skip)
    assert all(widget.isVisible() for widget in answering)
    panel.show_queries((), {}, thumbnail=no_picture, evidence=no_picture)
    assert not any(widget.isVisible() for widget in answering)
    assert panel.options.ask.isVisible()
    assert "No open questions" in panel.summary.text()


def test_training_comes_up_when_it_begins_but_not_over_a_region_being_painted(opened: MainWindow, qtbot) -> None:
    assert opened.work.currentWidget() is opened.work.questions
    opened.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=30_000)
    opened.session.jobs.started.emit(Job("Retraining", tasks.retrain, place=Place.TRAINING))
    assert opened.work.currentWidget() is opened.work.questions
    assert opened.work.tabText(0) == "Annotate"
    opened.session.annotating.leave()
    opened.session.jobs.started.emit(Job("Retraining", tasks.retrain, place=Place.TRAINING))
    assert opened.work.currentWidget() is opened.work.training
    assert opened.training_panel.curve.isVisible()


def test_dropped_slides_get_a_project_are_added_and_predicted_past_a_broken_one(
    window: MainWindow, slides: dict[str, Path], tmp_path: Path, entered: list[str], qtbot
) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"this is no slide")
    field = tmp_path / "field.png"
    Image.new("RGB", (300, 200), "white").save(field)
    drop(window, slides["benign"], broken, field)
    qtbot.waitUntil(lambda: window.session.project is not None)
    assert entered == ["A new project for 3 slides and folders"]
    qtbot.waitUntil(lambda: len(window.session.slides()) == 2, timeout=JOB_MS)
    qtbot.waitUntil(lambda: idle(window), timeout=JOB_MS)
    assert "broken.svs" in window.banner.text.text()
    assert [text.splitlines()[0] for text in texts(window)] == ["benign.tiff", "field.png"]
    assert "Unlike the training data" in texts(window)[0]
    assert texts(window)[1].endswith("No tissue found \N{MIDDLE DOT} resolution unknown")
    assert window.slides_panel.mpp_note.isVisible()
    window.session.set_resolutions({window.session.slides()[1].id: (0.5, MppFrom.GIVEN)})
    qtbot.waitUntil(lambda: idle(window), timeout=JOB_MS)
    assert not window.slides_panel.mpp_note.isVisible()
    assert texts(window)[1] == "field.png\nNo tissue found"


def test_a_path_that_does_not_exist_is_explained_and_makes_no_project(window: MainWindow, tmp_path: Path) -> None:
    window.opening.dropped([tmp_path / "absent.svs"])
    assert "absent.svs" in window.banner.text.text()
    assert window.session.project is None
    assert not (tmp_path / "home" / "projects").exists()


def test_retraining_shows_curves_then_old_against_new_dice_and_waits_for_a_decision(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    for _question in range(3):
        qtbot.waitUntil(lambda: painting.session.active is not None, timeout=20_000)
        before = painting.session.active.record.id
        painting.actions_["finish"].trigger()
        qtbot.waitUntil(
            lambda before=before: painting.session.active is None or painting.session.active.record.id != before,
            timeout=20_000,
        )
    painting.session.retrain(epochs=2)
    qtbot.waitUntil(lambda: idle(painting), timeout=JOB_MS)
    panel = painting.training_panel
    assert len(panel.curve.values("loss")) == 2
    assert len(panel.curve.values("dice")) >= 1
    candidate = painting.session.candidate()
    assert (candidate.annotations, candidate.held_out) == (2, 1)
    assert panel.decision.isVisible()
    rose = candidate.new_dice > candidate.old_dice
    assert (panel.decision.keep.objectName(), panel.retrain.objectName()) == ("primary" if rose else "", "")
    assert panel.decision.verdict.text().startswith("Too few to tell: 1 region is held out")
    assert panel.decision.dice.text() == f"Dice {candidate.old_dice:.3f} \N{RIGHTWARDS ARROW} {candidate.new_dice:.3f}"
    painting.actions_["roll_back"].trigger()
    assert not panel.decision.isVisible()
    assert panel.retrain.objectName() == "primary"
    with Project.open(project_folder) as project:
        assert project.models.get(candidate.model_id).status is ModelStatus.ROLLED_BACK
        assert project.models.current().id == project.models.first().id
    pace = panel.options.pace
    pace.setCurrentIndex(pace.findData("quick"))
    painting.session.retrain(epochs=1)
    qtbot.waitUntil(lambda: idle(painting), timeout=JOB_MS)
    kept = painting.session.candidate().model_id
    painting.actions_["keep"].trigger()
    with Project.open(project_folder) as project:
        assert project.models.current().id == kept
        assert all(slide.predicted for slide in project.slides.all())


def test_old_and_new_are_on_offer_before_the_slides_are_predicted_the_one_on_the_screen_first(
    painting: MainWindow, qtbot
) -> None:
    session = painting.session
    first = session.active.record.id
    painting.actions_["finish"].trigger()
    qtbot.waitUntil(lambda: session.active is not None and session.active.record.id != first, timeout=20_000)
    painting.actions_["leave"].trigger()
    shown = painting.opener.current
    (other,) = (slide.id for slide in session.slides() if slide.id != shown)
    session.retrain(epochs=1)
    qtbot.waitUntil(lambda: session.candidate() is not None and session.jobs.current is not None, timeout=JOB_MS)
    candidate = session.candidate().model_id
    qtbot.waitUntil(lambda: painting.training_panel.decision.isVisible(), timeout=JOB_MS)
    assert session.project.maps.find(other, candidate) is None
    assert session.will_predict(other, candidate)
    qtbot.waitUntil(lambda: session.project.maps.find(shown, candidate) is not None, timeout=JOB_MS)
    assert session.project.maps.find(other, candidate) is None
    painting.actions_["roll_back"].trigger()
    qtbot.waitUntil(lambda: idle(painting), timeout=JOB_MS)
    assert session.project.maps.find(other, candidate) is None
    assert session.project.models.get(candidate).status is ModelStatus.ROLLED_BACK


def test_what_was_chosen_is_there_again_in_the_next_session(window: MainWindow, delete_window, tmp_path: Path) -> None:
    from histoloop.gui.window.main_window import MainWindow

    window.preferences.set_theme("dark")
    window.annotation_panel.brush.setValue(77)
    window.actions_["predict_added"].trigger()
    window.actions_["predict_exactly"].trigger()
    window.close()
    again = MainWindow(Settings(tmp_path / "settings.ini"))
    assert again.annotation_panel.brush.value() == 77
    assert again.actions_["theme_dark"].isChecked()
    assert not again.session.predict_added
    assert again.session.predict_exactly
    assert again.actions_["predict_exactly"].isChecked()
    delete_window(again)


def test_panels_are_as_large_as_they_were_in_the_session_before(
    opened: MainWindow, delete_window, project_folder: Path, tmp_path: Path, qtbot
) -> None:
    from histoloop.gui.window.main_window import MainWindow

    opened.resizeDocks([opened.docks[0], opened.docks[1]], [360, 448], Qt.Orientation.Vertical)
    qtbot.wait(50)
    before = [(dock.width(), dock.height()) for dock in opened.docks]
    opened.close()
    again = MainWindow(Settings(tmp_path / "settings.ini"))
    again.show()
    qtbot.waitExposed(again)
    assert again.session.open_project(project_folder)
    qtbot.waitUntil(lambda: [(dock.width(), dock.height()) for dock in again.docks] == before, timeout=10_000)
    delete_window(again)


def test_a_project_opens_on_the_slide_that_was_shown_last(opened: MainWindow, project_folder: Path, qtbot) -> None:
    last = opened.session.slides()[-1].id
    opened.slides_panel.choose(last)
    qtbot.waitUntil(lambda: opened.opener.current == last, timeout=20_000)
    qtbot.waitUntil(lambda: opened.session.project.settings.get("last slide") == last)
    assert opened.session.open_project(project_folder)
    qtbot.waitUntil(lambda: opened.opener.current is not None, timeout=20_000)
    assert opened.opener.current == last


def test_a_project_that_cannot_be_opened_is_explained_and_the_open_one_stays(
    opened: MainWindow, tmp_path: Path
) -> None:
    assert not opened.session.open_project(tmp_path / "nothing")
    assert opened.session.project is not None
    assert "nothing" in opened.banner.text.text()
    assert "Choose the folder" in opened.banner.text.text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_icon_of_the_menus_exists_in_both_themes(window: MainWindow, theme: str) -> None:
    window.preferences.set_theme(theme)
    for spec in specs():
        if spec.icon:
            assert not window.actions_[spec.name].icon().isNull(), spec.name


def test_none_is_not_used_up_by_calls_into_qt(window: MainWindow) -> None:
    for _ in range(1000):
        window.queue_panel.summary.setText("again")
    assert sys.version_info >= (3, 12) or 1 << 39 < sys.getrefcount(None) < 1 << 43


@pytest.fixture
def asked_to_open(monkeypatch: pytest.MonkeyPatch) -> list[QUrl]:
    """What the desktop was asked to open; it could, unless the address is that of a folder called 'no browser'."""
    opened: list[QUrl] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return "no browser" not in url.toLocalFile()

    monkeypatch.setattr(QDesktopServices, "openUrl", open_url)
    return opened


@pytest.mark.parametrize("site", ["site", "build/site"])
def test_the_guide_opens_in_the_browser(
    site: str, window: MainWindow, asked_to_open: list[QUrl], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / site / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    monkeypatch.setattr("histoloop.paths.shipped_root", lambda: tmp_path)
    window.actions_["open_guide"].trigger()
    assert [Path(url.toLocalFile()) for url in asked_to_open] == [page]
    assert not window.banner.isVisible()


def test_without_a_browser_the_guide_says_where_it_is(
    window: MainWindow, asked_to_open: list[QUrl], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "no browser" / "site" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    monkeypatch.setattr("histoloop.paths.shipped_root", lambda: tmp_path / "no browser")
    window.actions_["open_guide"].trigger()
    assert asked_to_open
    assert str(page) in window.banner.text.text()


def test_without_the_built_site_the_text_of_the_guide_is_shown_and_its_links_lead_on(
    window: MainWindow, asked_to_open: list[QUrl], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    (pages / "index.md").write_text("# Guide\n\nRead [the tutorial](tutorial.md).\n", encoding="utf-8")
    (pages / "tutorial.md").write_text("# Once around\n", encoding="utf-8")
    monkeypatch.setattr("histoloop.paths.shipped_root", lambda: tmp_path)
    window.actions_["open_guide"].trigger()
    (dialog,) = window.findChildren(GuideDialog)
    assert "Read the tutorial." in dialog.text.toPlainText()
    dialog.text.setSource(dialog.text.source().resolved(QUrl("tutorial.md")))
    assert "Once around" in dialog.text.toPlainText()
    assert not asked_to_open
    dialog.close()


def test_an_installation_without_any_guide_says_what_helps(
    window: MainWindow, asked_to_open: list[QUrl], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoloop.paths.shipped_root", lambda: tmp_path)
    window.actions_["open_guide"].trigger()
    assert "Keyboard shortcuts" in window.banner.text.text()
    assert not asked_to_open
