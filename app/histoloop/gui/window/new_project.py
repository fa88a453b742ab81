"""Make a project as the user wants it, alone or for slides that came first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.gui.dialogs.new_project import NewProjectDialog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.work.session import Session


def ask_for_project(
    parent: QWidget,
    session: Session,
    settings: Settings,
    *,
    slides: Sequence[Path] = (),
    then: Callable[[], object] = lambda: None,
) -> None:
    """Ask what is to be found, how to begin, for name and place; make and open the project, and go on with `then`."""
    dialog = NewProjectDialog(parent, place=settings.projects, slides=slides)
    if not dialog.exec():
        return
    folder, name, beginning = dialog.folder(), dialog.name.text().strip(), dialog.beginning
    classes, labels = dialog.classes(), dialog.own_labels()
    if beginning.is_new:
        session.create_with_new_encoder(
            folder, name=name, weights=Path(beginning.start), classes=classes, labels=labels, then=then
        )
    elif session.create_project(
        folder,
        name=name,
        start=beginning.start,
        classes=classes,
        labels=labels,
        encoder_only=beginning.encoder_only,
    ):
        then()
