"""The window in other languages: nothing in it is left in English, and a change of language keeps what is open."""

from __future__ import annotations

import gettext
import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po
from PySide6.QtCore import QLocale, QObject, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QTabWidget,
    QWidget,
)

from histoloop import paths
from histoloop.gui.dialogs.add_model import AddModelDialog
from histoloop.gui.dialogs.keys_dialog import key_rows
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.dialogs.open_slides import OpenSlidesDialog
from histoloop.gui.dialogs.resolution_dialog import ResolutionDialog
from histoloop.gui.dialogs.similar_dialog import SimilarDialog
from histoloop.gui.kit.actions import SubmenuSpec
from histoloop.gui.kit.settings import Settings
from histoloop.gui.kit.translation import SYSTEM, speak_as_chosen
from histoloop.gui.window.menus import MENUS
from histoloop.gui.window.newcomers.first_steps import FirstSteps
from histoloop.gui.window.newcomers.five_steps import STEPS
from histoloop.gui.work.jobs import Job
from histoloop.language import ENGLISH, LANGUAGES, speak, speak_by, spoken
from histoloop.progress import Progress
from histoloop.store.cards import list_models, load_card

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PySide6.QtWidgets import QApplication

    from histoloop.gui.application import Program
    from histoloop.gui.window.main_window import MainWindow
    from histoloop.progress import Work

FRENCH = next(each for each in LANGUAGES if each.code == "fr")
JOB_MS = 240_000


class Bracketed(gettext.NullTranslations):
    """Another language for tests: every text that goes through the catalogues stands in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, count: int) -> str:
        return f"⟦{one if count == 1 else many}⟧"


@pytest.fixture
def english() -> Iterator[None]:
    """Whatever is spoken in the test, the next one is in English."""
    yield
    speak(ENGLISH.code)
    QLocale.setDefault(QLocale(ENGLISH.code))


@pytest.fixture
def bracketed(english: None) -> None:
    speak_by(Bracketed(), ENGLISH)


@pytest.fixture
def program(
    qapp: QApplication, delete_window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, english: None
) -> Iterator[Program]:
    """The program with its window open, in English."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own dependencies, as they are imported
        from histoloop.gui.application import Program
        from histoloop.gui.window.main_window import MainWindow

        assert MainWindow

    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    settings = Settings(tmp_path / "settings.ini")
    settings.set("language", ENGLISH.code)
    speak_as_chosen(qapp, settings)
    program = Program(qapp, settings)
    program.open_window()
    yield program
    delete_window(program.window)
    settings.set("language", ENGLISH.code)
    speak_as_chosen(qapp, settings)


def untranslated(text: str) -> str:
    """What of a text stands in no brackets, without markup."""
    before = None
    while before != text:
        before, text = text, re.sub(r"⟦[^⟦⟧]*(⟧|$)", "", text)
    return re.sub(r"<[^>]*>|&\w+;", " ", text)


def of_napari(part: QObject | None) -> bool:
    """Whether it belongs to the canvas, whose own controls are never shown."""
    return part is not None and (type(part).__module__.startswith("napari") or of_napari(part.parent()))


def texts(widget: QWidget) -> Iterator[str]:
    """All that a widget and those in it say, whether it is seen now or not."""
    for part in (widget, *widget.findChildren(QWidget)):
        if of_napari(part):
            continue
        yield part.toolTip()
        if part.isWindow() or part.inherits("QDockWidget"):
            yield part.windowTitle()
        if isinstance(part, QLabel | QAbstractButton):
            yield part.text()
        elif isinstance(part, QGroupBox):
            yield part.title()
        elif isinstance(part, QLineEdit):
            yield part.placeholderText()
        elif isinstance(part, QTabWidget):
            yield from (part.tabText(index) for index in range(part.count()))
        elif isinstance(part, QComboBox):
            yield from (part.itemText(index) for index in range(part.count()))
        elif isinstance(part, QAbstractItemView) and part.model() is not None:
            model = part.model()
            for row in range(model.rowCount()):
                for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
                    yield str(model.index(row, 0).data(role) or "")
    for action in widget.findChildren(QAction):
        if not of_napari(action):
            yield from (action.text(), action.toolTip())


def in_english(widget: QWidget, known: set[str]) -> list[str]:
    """The texts of a widget with words outside brackets that are not known data; longest words first."""
    found = []
    for text in texts(widget):
        rest = untranslated(text)
        for word in sorted(known, key=len, reverse=True):
            rest = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "", rest, flags=re.IGNORECASE)
        if re.search(r"[^\W\d_]{2}", rest):
            found.append(text)
    return sorted(set(found))


def data_of(window: MainWindow) -> set[str]:
    """Names in the window that are nobody's to translate."""
    project = window.session.project
    own = {
        "HistoLoop",
        *(language.name for language in LANGUAGES),
        "Ctrl",
        "Shift",
        "Return",
        "Esc",
        "Alt",
        "Backspace",
        "PgUp",
        "PgDown",
        "Left",
        "Right",
    }
    own |= {"CUDA", "GPU", "Dice", "Grad-CAM", window.session.person}
    own |= {QLocale().amText(), QLocale().pmText()}  # of times of day
    if project is not None:
        own |= {project.name}
        own |= {slide.name for slide in project.slides.all()} | {slide.path.stem for slide in project.slides.all()}
        own |= {str(slide.path) for slide in project.slides.all()} | {slide.vendor for slide in project.slides.all()}
        own |= {
            project.folder.name,
            str(project.folder),
            str(project.folder.parent),
            project.models.current_card().title,
        }
    return own


def test_nothing_in_the_empty_window_is_left_in_english(bracketed: None, window: MainWindow) -> None:
    assert in_english(window, data_of(window)) == []


def test_nothing_is_left_in_english_with_a_project_open(bracketed: None, opened: MainWindow) -> None:
    assert in_english(opened, data_of(opened)) == []


def test_nothing_is_left_in_english_while_painting(bracketed: None, painting: MainWindow) -> None:
    assert in_english(painting, data_of(painting)) == []


def test_nothing_in_the_dialogs_is_left_in_english(bracketed: None, opened: MainWindow, tmp_path: Path) -> None:
    project = opened.session.project
    assert project is not None
    slides, place = [tmp_path / "a.tiff", tmp_path / "b.tiff"], str(tmp_path)
    known = data_of(opened) | {load_card(folder).title for folder in list_models(paths.shipped_models())}
    known |= {str(tmp_path), "OK", "Open", "Cancel", "Close"}  # Qt's own buttons, in Qt's own words
    for dialog in (
        NewProjectDialog(opened, place=tmp_path),
        OpenSlidesDialog(opened, slides=slides, projects=[project.folder]),
        AddModelDialog(opened, project=project, place=place),
        ResolutionDialog(opened, slides=opened.session.slides()),
        SimilarDialog(opened, regions=[], names={}),
    ):
        assert in_english(dialog, known) == [], type(dialog)
        dialog.deleteLater()


def test_nothing_in_the_list_of_shortcuts_is_left_in_english(bracketed: None) -> None:
    keys = {"Ctrl", "Shift", "Alt", "Return", "Esc", "Backspace", "PgUp", "PgDown", "Left", "Up", "Right", "Down"}
    keys |= {"Tab", "Space"}
    texts = [f"{row.where} {row.what} {row.tip} {row.keys}" for row in key_rows(MENUS)]
    words = re.findall(r"[^\W\d_]{2,}", untranslated(" ".join(texts)))
    assert set(words) <= keys


def test_nothing_in_the_first_steps_is_left_in_english(bracketed: None, window: MainWindow) -> None:
    window.help_commands.first_steps()
    (dialog,) = window.findChildren(FirstSteps)
    known = data_of(window) | {str(window.settings.projects), "Language"}  # in English too, to be found by everybody
    assert in_english(dialog, known) == []
    dialog.reject()


def test_nothing_in_the_five_steps_is_left_in_english(bracketed: None, window: MainWindow) -> None:
    window.five_steps.begin()
    for _step in STEPS:
        assert in_english(window.five_steps, data_of(window)) == []
        window.five_steps.next.click()


def say_hello() -> Work[str]:
    """A job that tells in which language it runs."""
    yield Progress("", 0, 1)
    return spoken().code


def test_work_in_the_background_speaks_the_language_of_the_window(english: None, window: MainWindow, qtbot) -> None:
    speak(FRENCH.code)
    spoken_there: list[str] = []
    window.session.jobs.submit(Job("test", say_hello, on_done=spoken_there.append))
    qtbot.waitUntil(lambda: bool(spoken_there), timeout=JOB_MS)
    assert spoken_there == [FRENCH.code]


def test_choosing_a_language_opens_the_window_anew_in_it(program: Program, qtbot) -> None:
    english = program.window
    assert english.menuBar().actions()[0].text() == "&File"
    english.actions_["language_fr"].trigger()
    qtbot.waitUntil(lambda: program.window is not english, timeout=30_000)
    assert program.window.isVisible()
    assert program.window.menuBar().actions()[0].text() == "&Fichier"
    assert program.window.actions_["language_fr"].isChecked()
    assert QLocale().decimalPoint() == ","


def test_the_language_is_kept(program: Program, qapp: QApplication, tmp_path: Path, qtbot) -> None:
    english = program.window
    english.actions_["language_fr"].trigger()
    qtbot.waitUntil(lambda: program.window is not english, timeout=30_000)
    speak(ENGLISH.code)
    assert speak_as_chosen(qapp, Settings(tmp_path / "settings.ini")) is FRENCH


def test_the_open_project_stays_open(program: Program, project_folder: Path, qtbot) -> None:
    english = program.window
    assert english.session.open_project(project_folder)
    qtbot.waitUntil(lambda: english.opener.current is not None, timeout=30_000)
    english.actions_["language_fr"].trigger()
    qtbot.waitUntil(lambda: program.window is not english, timeout=30_000)
    project = program.window.session.project
    assert project is not None
    assert project.folder == project_folder


def test_the_questions_say_why_in_the_new_language(program: Program, project_folder: Path, qtbot) -> None:
    def reasons() -> list[str]:
        listed = program.window.queue_panel.list
        return [listed.item(row).text().splitlines()[-1] for row in range(listed.count())]

    english = program.window
    assert english.session.open_project(project_folder)
    qtbot.waitUntil(lambda: english.opener.current is not None, timeout=30_000)
    before = reasons()
    assert before
    assert all("is unsure about" in reason for reason in before)
    english.actions_["language_fr"].trigger()
    qtbot.waitUntil(lambda: program.window is not english, timeout=30_000)
    assert len(reasons()) == len(before)
    assert all(reason.startswith("Le modèle hésite sur") for reason in reasons())


def test_a_language_chosen_in_the_first_steps_goes_on_with_them(program: Program, tmp_path: Path, qtbot) -> None:
    english = program.window
    english.help_commands.first_steps()
    (dialog,) = english.findChildren(FirstSteps)
    assert dialog.language.buttons[0].isChecked()
    dialog.folder.setText(str(tmp_path / "elsewhere"))
    dialog.language.buttons[LANGUAGES.index(FRENCH)].click()
    qtbot.waitUntil(lambda: program.window is not english, timeout=30_000)
    (again,) = program.window.findChildren(FirstSteps)
    assert again.language.buttons[LANGUAGES.index(FRENCH)].isChecked()
    assert again.windowTitle() == "Premiers pas"
    assert again.folder.text() == str(tmp_path / "elsewhere")
    again.reject()


def test_the_language_that_is_spoken_already_changes_nothing(program: Program, qtbot) -> None:
    window = program.window
    window.actions_["language_en"].trigger()
    qtbot.wait(50)
    assert program.window is window


def test_work_that_may_not_be_stopped_puts_the_change_off(program: Program, qtbot, monkeypatch) -> None:
    window = program.window
    window.help_commands.first_steps()
    monkeypatch.setattr(QMessageBox, "question", lambda *_asked: QMessageBox.StandardButton.No)
    window.session.jobs.submit(Job("test", say_hello))
    window.actions_["language_fr"].trigger()
    qtbot.waitUntil(lambda: "next time the window is opened" in window.banner.text.text(), timeout=30_000)
    assert program.window is window
    assert spoken() is ENGLISH
    assert window.help_commands.leave_first_steps()


def test_qt_speaks_the_language_too(program: Program, qapp: QApplication, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "french.ini")
    settings.set("language", FRENCH.code)
    speak_as_chosen(qapp, settings)
    assert qapp.translate("QPlatformTheme", "Cancel") == "Annuler"
    settings.set("language", ENGLISH.code)
    speak_as_chosen(qapp, settings)
    assert qapp.translate("QPlatformTheme", "Cancel") == "Cancel"


def test_without_a_choice_the_language_of_the_desktop_is_spoken(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, english: None
) -> None:
    settings = Settings(tmp_path / "new.ini")
    monkeypatch.setattr(QLocale, "uiLanguages", lambda _self: ["fr-CA", "fr"])
    assert speak_as_chosen(qapp, settings) is FRENCH
    monkeypatch.setattr(QLocale, "uiLanguages", lambda _self: ["ja-JP"])
    assert speak_as_chosen(qapp, settings) is ENGLISH
    assert settings.text("language", SYSTEM) == SYSTEM


@pytest.mark.parametrize("code", [language.code for language in LANGUAGES])
def test_each_entry_of_a_menu_has_a_letter_of_its_own(code: str) -> None:
    catalogue = gettext.NullTranslations()
    if code != ENGLISH.code:
        with (paths.resources() / "languages" / f"{code}.mo").open("rb") as file:
            catalogue = gettext.GNUTranslations(file)
    menus = {title: [row.text for row in rows if row is not None] for title, rows in MENUS.items()}
    within = [row for rows in MENUS.values() for row in rows if isinstance(row, SubmenuSpec)]
    inner = {menu.text: [row.text for row in menu.rows] for menu in within}
    for title, texts in (*menus.items(), *inner.items(), ("the menus", list(menus))):
        said = [catalogue.gettext(text) for text in texts]
        keys = [found[1].lower() for text in said if (found := re.search(r"&(\w)", text))]
        assert [text for text in said if "&" not in text] == [], f"{code}: {title}"
        assert [key for key, count in Counter(keys).items() if count > 1] == [], f"{code}: {title}"


BETWEEN = re.compile(r"[^\w{}>-]")
"""Quotes and spaces, which each language sets in its own way."""
OF_NAPARI = "(File > Open)"


@pytest.mark.parametrize("code", [language.code for language in LANGUAGES if language is not ENGLISH])
def test_a_text_that_sends_one_to_a_menu_names_an_entry_of_it_in_each_language(code: str) -> None:
    with (paths.resources() / "languages" / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    titles = {plain(title): title for title in MENUS}
    named = 0
    for message in catalogue:
        texts = zip(*(one if isinstance(one, tuple) else (one,) for one in (message.id, message.string)), strict=False)
        for text, translated in texts:
            for found in re.finditer(rf"\b({'|'.join(titles)}) > '?(?=[A-Z])", text.replace(OF_NAPARI, "")):
                title, rest = titles[found[1]], text.replace(OF_NAPARI, "")[found.end() :]
                entries = [row.text for row in MENUS[title] if row is not None and rest.startswith(plain(row.text))]
                assert entries, f"{text}: no such entry"
                entry = max(entries, key=len)
                wanted = ">".join(plain(catalogue[one].string) for one in (title, entry))
                assert BETWEEN.sub("", wanted) in BETWEEN.sub("", translated), f"{code}: {translated}"
                named += 1
    assert named > 5


def plain(text: str) -> str:
    """An entry of a menu without its mark and dots."""
    return text.replace("&", "").rstrip("…")
