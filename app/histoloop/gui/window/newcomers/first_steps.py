"""What is asked once, before anything else: language, colours, where projects go; and what this machine can do."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QLayout, QLineEdit, QVBoxLayout, QWidget

from histoloop.gui.kit.texts import NOTICE
from histoloop.gui.kit.theme import THEMES
from histoloop.gui.kit.widgets import Switch, button, label, row, set_role
from histoloop.gui.work import tasks
from histoloop.gui.work.background import Worker
from histoloop.gui.work.jobs import Job
from histoloop.language import LANGUAGES, mark, spoken, tr
from histoloop.workflows.doctor import in_words
from histoloop.workflows.folders import FolderState, examine_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.preferences import Preferences
    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.jobs import JobRunner
    from histoloop.workflows.doctor import Finding

WIDTH_PX = 600
LINES = 6
THEME_NAMES = {"system": mark("Same as the desktop"), "light": mark("Light"), "dark": mark("Dark")}
LANGUAGE = mark("Language")
LOOKING = mark("Checking this computer… (the first time takes a while)")


class FirstSteps(QDialog):
    """Shown by itself once, and from the menu Help whenever wanted. What is chosen holds at once or when it is closed.

    Closed in whatever way it does not come again by itself; a folder that cannot be used is not taken over.
    """

    def __init__(
        self,
        parent: QWidget,
        *,
        settings: Settings,
        preferences: Preferences,
        jobs: JobRunner,
        begin_five_steps: Callable[[], object],
        show_problem: Callable[[str, str], object],
    ) -> None:
        super().__init__(parent)
        self._settings, self._begin_five_steps, self._show_problem = settings, begin_five_steps, show_problem
        self._open = True
        self._state: FolderState | None = None  # while it is being checked
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("First steps"))
        self.setMinimumWidth(WIDTH_PX)
        self.language = Switch([(language.name, "") for language in LANGUAGES])
        self.language.take(LANGUAGES.index(spoken()))
        self.language.chosen.connect(lambda index: preferences.set_language(LANGUAGES[index].code))
        self.theme = Switch([(tr(THEME_NAMES[theme]), "") for theme in THEMES])
        self.theme.take(THEMES.index(self._settings.text("theme", "system")))
        self.theme.chosen.connect(lambda index: preferences.set_theme(THEMES[index]))
        self.folder = QLineEdit(str(self._settings.projects))
        browse = button(tr("Browse…"))
        browse.clicked.connect(self._browse)
        self.folder_state = label(role="muted", wrap=True)
        self.machine = label(tr(LOOKING), role="muted", wrap=True)
        self.machine.setMinimumHeight(LINES * self.machine.fontMetrics().lineSpacing())
        self.machine.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox()
        self.begin = self.buttons.addButton(tr("Start"), QDialogButtonBox.ButtonRole.RejectRole)
        self.guided = self.buttons.addButton(
            tr("Show me the loop in five steps"), QDialogButtonBox.ButtonRole.AcceptRole
        )
        set_role(self.guided, "primary")
        self.guided.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        for part in (
            label(tr("Before you start"), role="title"),
            label(tr("All of this can be changed later. {notice}", notice=tr(NOTICE)), wrap=True),
            label(_language_heading(), role="heading"),
            self.language,
            label(tr("Colours"), role="heading"),
            self.theme,
            label(tr("Save new projects in"), role="heading"),
            row(self.folder, browse, stretch=0),
            self.folder_state,
            label(tr("This computer"), role="heading"),
            self.machine,
            self.buttons,
        ):
            _add(column, part)
        self._worker = Worker(self)
        self.folder.textChanged.connect(self._check)
        self.finished.connect(self._on_finished)
        self._examine(jobs)
        self._check()
        self.guided.setFocus()  # not the first button, whose frame would look like a choice

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Where to save new projects"), self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _chosen(self) -> Path:
        return Path(self.folder.text().strip()).expanduser()

    # --- the folder ---------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._state = None
        self.folder_state.setText("")
        folder = self._chosen()
        self._worker.request(
            functools.partial(examine_folder, folder),
            on_done=functools.partial(self._on_checked, folder),
            on_failed=lambda failure: self._show(FolderState(False, str(failure))),
            topic="folder",
        )

    def _on_checked(self, folder: Path, state: FolderState) -> None:
        if folder == self._chosen():
            self._show(state)

    def _show(self, state: FolderState) -> None:
        self._state = state
        self.folder_state.setText(state.said)
        set_role(self.folder_state, "muted" if state.usable else "bad")

    # --- the machine --------------------------------------------------------------------------------------------------

    def _examine(self, jobs: JobRunner) -> None:
        jobs.submit(
            Job(
                tr("Checking this computer"),
                tasks.examine,
                on_done=self._on_examined,
                on_failed=self._on_not_examined,
                expendable=True,
            )
        )

    def _on_examined(self, findings: Sequence[Finding]) -> None:
        if self._open:
            self.machine.setText("\n".join(in_words(findings)))

    def _on_not_examined(self, failure: Failure) -> None:
        self._show_problem(failure.message, failure.advice)
        if self._open:
            self.machine.setText(str(failure))

    # --- the end ------------------------------------------------------------------------------------------------------

    def _on_finished(self, result: int) -> None:
        self._open = False
        self._worker.stop()
        self._settings.set("first steps", True)
        if (self._state or examine_folder(self._chosen())).usable:
            self._settings.set("projects", str(self._chosen()))
        if result == QDialog.DialogCode.Accepted:
            self._begin_five_steps()


def _language_heading() -> str:
    """'Language' in the language spoken, and in English for who does not read that."""
    heading = tr(LANGUAGE)
    return heading if heading == LANGUAGE else f"{heading} / {LANGUAGE}"


def _add(column: QVBoxLayout, part: QWidget | QLayout) -> None:
    if isinstance(part, QWidget):
        column.addWidget(part)
    else:
        column.addLayout(part)
