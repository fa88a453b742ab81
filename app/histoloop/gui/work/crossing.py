"""The cross-validation of a candidate, run as a job on wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.gui.work import tasks
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.gui.work.jobs import Job
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.cross_validation import CrossValidated


def cross_validate(session: Session, *, epochs: int | None = None) -> None:
    """Measure the candidate by cross-validation; `epochs` other than the recipe's. It is kept with the round.

    Nothing where none waits, or where it cannot be or was measured so.
    """
    candidate = session.candidate()
    if candidate is None or not candidate.can_be_crossed:
        return

    def show(found: CrossValidated) -> None:
        session.models_changed.emit()
        if session.candidate() is None:
            session.notice.emit(
                tr(
                    "Round {round} is cross-validated: Dice {dice:.3f}. See 'Rounds so far'.",
                    round=candidate.round,
                    dice=found.dice,
                )
            )

    arguments = {"model_id": candidate.model_id, "device": session.device, "seed": 0, "epochs": epochs}
    session.submit(tr("Cross-validating"), tasks.cross_validate, arguments, on_done=show)


def is_crossing(jobs: Iterable[Job]) -> bool:
    """Whether one of these is a cross-validation."""
    return any(job.task is tasks.cross_validate for job in jobs)
