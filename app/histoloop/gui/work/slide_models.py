"""Which model suits which slide of the open project: found by a job without labels, offered, never chosen by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work import tasks
from histoloop.language import tr
from histoloop.workflows.contents.suited_models import SUITED_MODELS, SuitedModels, comparable_models, suited_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.gui.work.project_desk import ProjectDesk


@dataclass(frozen=True, slots=True)
class Suited:
    """What is known of a slide: `model_id` is of the one that moved least there, of `compared` models.

    None where the slide was not among those compared.
    """

    model_id: int | None
    compared: int


class SlideModels(QObject):
    """Finds it and keeps it with the project; `changed` is emitted when something else is known, or being found."""

    changed = Signal()

    def __init__(
        self, session: ProjectDesk, *, device: Callable[[], str], remember: Callable[[str, object], None]
    ) -> None:
        super().__init__(session)
        self._session, self._device, self._remember = session, device, remember
        self._found: SuitedModels | None = None
        self._comparable: tuple[int, ...] = ()
        session.project_changed.connect(self._begin)
        session.models_changed.connect(self._look)
        session.jobs.busy_changed.connect(lambda _busy: self.changed.emit())

    @property
    def can_find(self) -> bool:
        """Whether there are models to compare, and none are being compared."""
        busy = any(job.task is tasks.suit_slides for job in self._session.jobs.unfinished)
        return len(self._comparable) > 1 and not busy

    @property
    def is_known(self) -> bool:
        """Whether the models that there are have been compared."""
        return self._found is not None and self._found.models == self._comparable

    def of_slide(self, slide_id: int) -> Suited | None:
        """What is known of a slide; None while the models that there are have not been compared."""
        if self._found is None or not self.is_known:
            return None
        return Suited(self._found.slides.get(slide_id), len(self._found.models))

    def find(self) -> None:
        """Compare the models on every slide, in the background."""
        self._session.submit(
            tr("Comparing the models"),
            tasks.suit_slides,
            {"device": self._device()},
            on_done=self._on_found,
            writes=False,
        )
        self.changed.emit()

    def _on_found(self, found: SuitedModels) -> None:
        self._remember(SUITED_MODELS, found.as_setting())
        self._found = found
        self.changed.emit()

    def _begin(self) -> None:
        self._found = None
        self._look()

    def _look(self) -> None:
        project = self._session.project
        self._comparable = () if project is None else tuple(record.id for record in comparable_models(project))
        self._found = None if project is None else self._found_of(suited_models(project))
        self.changed.emit()

    def _found_of(self, kept: SuitedModels | None) -> SuitedModels | None:
        """What was found in this session may not be written yet, or not be written at all."""
        return kept if kept is not None or not self.is_known else self._found
