"""What the menu Help opens: the guide, first steps, the loop in five steps, pages about machine, model and program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog

from histoloop import paths
from histoloop.gui.dialogs.about import AboutDialog
from histoloop.gui.dialogs.keys_dialog import KeysDialog
from histoloop.gui.dialogs.text_dialog import GuideDialog, TextDialog, findings_html
from histoloop.gui.window.newcomers.first_steps import FirstSteps
from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job
from histoloop.language import tr
from histoloop.log import log_folder
from histoloop.workflows.about import releases_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.actions import Row
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.newcomers.five_steps import FiveSteps
    from histoloop.gui.window.preferences import Preferences
    from histoloop.gui.work.session import Session
    from histoloop.workflows.doctor import Finding


REPORT_NAME = "histoloop-report.txt"


class HelpCommands:
    """Opens dialogs over `parent`. `menus` are those of the window, `open_demo` opens the demo project."""

    def __init__(
        self,
        *,
        parent: QWidget,
        session: Session,
        settings: Settings,
        preferences: Preferences,
        five_steps: FiveSteps,
        menus: Mapping[str, Sequence[Row[Any]]],
        open_demo: Callable[[], object],
        show_problem: Callable[[str, str], object],
    ) -> None:
        self._parent, self._session, self._settings, self._preferences = parent, session, settings, preferences
        self._five_steps, self._menus = five_steps, menus
        self._open_demo, self._show_problem = open_demo, show_problem

    def open_guide(self) -> None:
        """Show the guide in the browser, or its text in a window of our own where the site is not built."""
        page = paths.guide()
        if page is None:
            self._show_problem(
                tr("The guide is not part of this installation."),
                tr(
                    "See Help > Keyboard shortcuts for what can be done here, or histoloop COMMAND --help on a "
                    "command line."
                ),
            )
        elif page.suffix == ".md":
            GuideDialog(self._parent, page=page).open()
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(page))):
            self._show_problem(tr("No browser could be opened."), tr("The guide is in {page}.", page=page))

    def first_steps(self) -> None:
        """Language, theme, folder of the projects, what the machine can do; from there into the five steps."""
        FirstSteps(
            self._parent,
            settings=self._settings,
            preferences=self._preferences,
            jobs=self._session.jobs,
            begin_five_steps=self.five_steps,
            show_problem=self._show_problem,
        ).open()

    def leave_first_steps(self) -> bool:
        """Close the first steps, keeping what was chosen there; whether they were open."""
        dialogs_open = [dialog for dialog in self._parent.findChildren(FirstSteps) if dialog.isVisible()]
        for dialog in dialogs_open:
            dialog.reject()
        return bool(dialogs_open)

    def five_steps(self) -> None:
        """Go through the loop in five steps, on the project that is open or on the demo once it is made."""
        if self._session.project is not None:
            self._five_steps.begin()
            return
        self._session.project_changed.connect(self._five_steps.begin, Qt.ConnectionType.SingleShotConnection)
        self._open_demo()

    def new_version(self) -> None:
        """Open the page of releases in the user's browser: the only thing that ever reaches for a network."""
        if page := releases_page():
            QDesktopServices.openUrl(QUrl(page))

    def about(self) -> None:
        """Versions and licences."""
        AboutDialog(self._parent).open()

    def shortcuts(self) -> None:
        """Show all keys, to be searched."""
        dialog = KeysDialog(self._parent, self._menus, preset=self._preferences.keys)
        dialog.preset_chosen.connect(self._preferences.set_keys)
        dialog.open()

    def examine_machine(self) -> None:
        """Examine the machine in the background, then show what was found."""
        self._session.jobs.submit(
            Job(
                tr("Checking this computer"),
                tasks.examine,
                on_done=self._show_findings,
                on_failed=lambda failure: self._show_problem(failure.message, failure.advice),
                expendable=True,
            )
        )

    def _show_findings(self, findings: Sequence[Finding]) -> None:
        html = findings_html(findings)
        TextDialog(self._parent, title=tr("This computer"), html=html).open()

    def save_report(self) -> None:
        """Ask where the report for support goes, and write it in the background."""
        suggested = str(Path.home() / REPORT_NAME)
        chosen, _filter = QFileDialog.getSaveFileName(self._parent, tr("Save a report for support"), suggested)
        if chosen:
            self._session.jobs.submit(
                Job(
                    tr("Saving a report for support"),
                    tasks.save_report,
                    {"path": Path(chosen)},
                    on_done=lambda path: self._session.notice.emit(tr("The report is in {path}.", path=path)),
                    on_failed=lambda failure: self._show_problem(failure.message, failure.advice),
                    expendable=True,
                )
            )

    def model_card(self) -> None:
        """Show the card of the current model."""
        if self._session.project is not None:
            card = self._session.project.models.current_card()
            TextDialog(self._parent, title=card.title, markdown=card.description).open()

    def open_log(self) -> None:
        """Open the folder of the log in the desktop's file manager."""
        folder = log_folder()
        folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
