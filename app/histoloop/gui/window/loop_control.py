"""The loop's choices: how to ask and how to learn are kept with the project; what is known of the rounds is shown."""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.acquisition.advice import FIRST
from histoloop.gui.dialogs.similar_dialog import SimilarDialog
from histoloop.gui.panels.ask_options import HowToAsk, how_to_ask
from histoloop.gui.panels.training_options import how_to_learn
from histoloop.gui.work.crossing import is_crossing
from histoloop.gui.work.jobs import Place
from histoloop.language import tr
from histoloop.workflows.contents.budget import advised
from histoloop.workflows.contents.estimates import estimate
from histoloop.workflows.contents.history import past_models
from histoloop.workflows.contents.questions import query_evidence_path, query_thumbnail_path
from histoloop.workflows.contents.rounds import measured_rounds, training_counts
from histoloop.workflows.propagate import pseudo_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.geometry import Region
    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.panels.queue_panel import QueuePanel
    from histoloop.gui.panels.training_panel import TrainingPanel
    from histoloop.gui.work.jobs import Job
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.rounds import HowToLearn, TrainingCounts

HOW_TO_ASK, HOW_TO_LEARN = "how to ask", "how to learn"


class LoopControl(QObject):
    """Wires the panels of questions and of training to the session.

    `changed`: another learning setup was chosen; `slide_wanted`: a slide is to be shown.
    """

    changed = Signal()
    slide_wanted = Signal(int)

    def __init__(self, *, session: Session, pane: MaskPane, queue: QueuePanel, training: TrainingPanel) -> None:
        super().__init__(pane)
        self._session, self._queue, self._training = session, queue, training
        self._viewer, self._opener = pane.viewer, pane.opener
        self._going_to: tuple[int, Region] | None = None
        self.can_train = False
        """Whether there is enough to learn from in the chosen way, as of the last `refresh` or `show_training`."""
        self.is_trained = True
        """Whether the model in use has learned anything, as of then."""
        self.can_decide = self.can_cross = False
        """Whether a candidate waits for a decision, and may be cross-validated, as of then."""

    def can_now(self, jobs: Sequence[Job]) -> set[str]:
        """What there is for the actions of the loop while these jobs are not finished."""
        if any(job.place is Place.TRAINING for job in jobs):
            return set()
        crossable = self.can_cross and not is_crossing(jobs)
        found = {"annotated": self.can_train, "candidate": self.can_decide, "crossable": crossable}
        return {name for name, there in found.items() if there}

    def connect_all(self) -> None:
        """Begin to listen."""
        self._queue.options.changed.connect(self._ask_by)
        self._queue.questions_requested.connect(
            lambda strategy, count: self._session.ask(strategy=strategy, count=count)
        )
        self._training.options.changed.connect(self._learn_by)
        self._training.decision.similar.clicked.connect(self.show_similar_regions)
        self._training.history.use_requested.connect(self._session.use_again)
        self._opener.shown.connect(self._on_slide_shown)

    def begin(self) -> None:
        """Another project, or none: what was chosen in it before."""
        project = self._session.project
        self._going_to = None
        self.is_trained = self._session.is_trained
        ask = self._how_to_ask()
        learn = how_to_learn(None if project is None else project.settings.get(HOW_TO_LEARN))
        self._queue.options.take(ask)
        self._queue.set_trained(self.is_trained)
        self._training.options.take(learn)
        self._session.region_map_px, self._session.random_share = ask.region_map_px, ask.random_share
        self._session.how = learn

    def _how_to_ask(self) -> HowToAsk:
        """What was chosen in the project; where nothing was and nobody has trained a model, to cover the tissue."""
        kept = None if self._session.project is None else self._session.project.settings.get(HOW_TO_ASK)
        return how_to_ask(kept) if kept is not None or self.is_trained else HowToAsk(FIRST)

    def _ask_by(self, how: HowToAsk) -> None:
        larger = how.region_map_px != self._session.region_map_px
        self._session.region_map_px, self._session.random_share = how.region_map_px, how.random_share
        self._session.remember(HOW_TO_ASK, asdict(how))
        if larger:
            self.show_advice()

    def _learn_by(self, how: HowToLearn) -> None:
        self._session.how = how
        self._session.remember(HOW_TO_LEARN, asdict(how))
        self.show_training()
        self.changed.emit()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_queries(self) -> None:
        """The open questions, with their pictures."""
        project = self._session.project
        if project is not None:
            self._queue.show_queries(
                self._session.queries(),
                {slide.id: slide.name for slide in project.slides.all()},
                thumbnail=functools.partial(query_thumbnail_path, project),
                evidence=functools.partial(query_evidence_path, project),
            )
            self.show_advice()

    def show_advice(self) -> None:
        """What the papers would do with so few, or so many, annotations."""
        project = self._session.project
        if project is not None:
            self._queue.options.show_advice(advised(project, region_map_px=self._session.region_map_px))

    def show_training(self) -> None:
        """What there is to learn from, how long it may take, what came of the rounds, and the decision that waits."""
        project = self._session.project
        if project is None:
            return
        rounds, there, how = project.rounds.all(), training_counts(project), self._session.how
        self._note(there)
        self._training.show_training_counts(there, round_number=rounds[-1].number if rounds else 0)
        self._training.show_estimate(estimate(project, how).text if self.can_train else "")
        self._training.show_rounds(measured_rounds(project))
        self._training.history.show_models(past_models(project), why_not=self._why_not_again())
        self._training.show_candidate(self._session.candidate(), {one.id: one.name for one in project.classes.all()})

    def _why_not_again(self) -> str:
        """Why no earlier model can be used again now; empty where one can."""
        if self._session.read_only:
            return tr("The project is read-only.")
        return tr("Decide about the new model first.") if self.can_decide else ""

    def refresh(self) -> None:
        """Find out anew whether there is enough to learn from, and something to decide."""
        if self._session.project is not None:
            self._note(training_counts(self._session.project))

    def _note(self, there: TrainingCounts) -> None:
        self.can_train = there.suffice(self._session.how.learn_from)
        candidate = self._session.candidate()
        self.can_decide = candidate is not None
        self.can_cross = candidate is not None and candidate.can_be_crossed
        is_trained = self._session.is_trained
        if is_trained != self.is_trained:
            self.is_trained = is_trained
            self._queue.set_trained(is_trained)
            self._queue.options.take(self._how_to_ask())

    # --- regions that were learned from -------------------------------------------------------------------------------

    def show_similar_regions(self) -> None:
        """Show the regions that the candidate learned from with the model's own masks."""
        project, candidate = self._session.project, self._session.candidate()
        if project is None or candidate is None:
            return
        regions = pseudo_regions(project, candidate.round)
        if not regions:
            self._session.notice.emit(tr("The images of these regions are no longer in the project's folder."))
            return
        names = {slide.id: slide.name for slide in project.slides.all()}
        dialog = SimilarDialog(self._training, regions=regions, names=names)
        dialog.region_chosen.connect(self.go_to)
        dialog.show()

    def go_to(self, slide_id: int, region: Region) -> None:
        """Bring a region into sight, with its surroundings; on another slide once that is there."""
        if self._opener.current == slide_id:
            self._viewer.show_region(region.grown(region.width))
        else:
            self._going_to = (slide_id, region)
            self.slide_wanted.emit(slide_id)

    def _on_slide_shown(self, slide_id: int) -> None:
        if self._going_to is not None and self._going_to[0] == slide_id:
            _slide, region = self._going_to
            self._going_to = None
            self._viewer.show_region(region.grown(region.width))
