"""More rounds of the tour: questions unlike the first ones, similar regions, the learning curve, all rounds so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.gui.dialogs.similar_dialog import SimilarDialog
from histoloop.gui.panels.ask_options import HowToAsk

if TYPE_CHECKING:
    from histoloop.gui.tour.driver import Tour

LATER_ANNOTATIONS = 3


def learn_from_similar_regions(tour: Tour) -> None:
    """Ask about what looks unlike anything annotated; then similar regions train the model too."""
    tour.ask(HowToAsk("k-center", LATER_ANNOTATIONS))
    tour.picture("unlike", "Regions unlike anything annotated, each beside the annotated one most like it")
    window, decision = tour.window, tour.window.training_panel.decision
    candidate = tour.another_round(propagation=True)
    tour.figures["similar regions"] = candidate.pseudo
    if candidate.pseudo:
        decision.similar.click()
        (dialog,) = window.training_panel.findChildren(SimilarDialog)
        tour.picture("similar", "Regions that nobody annotated and the model learned from", of=dialog)
        dialog.close()
    window.actions_["keep"].trigger()


def show_the_learning_curve(tour: Tour) -> None:
    """A third round, and what the next annotations may be worth."""
    tour.ask(HowToAsk("entropy", LATER_ANNOTATIONS))
    candidate = tour.another_round(propagation=False)
    tour.figures["dice after three rounds"] = candidate.new_dice
    tour.picture("learning", "Three rounds, and what the next annotations may be worth")
    tour.window.actions_["keep"].trigger()


def show_all_rounds(tour: Tour) -> None:
    """Every round with its figures, and a model that may be used again."""
    window, rounds = tour.window, tour.window.training_panel.history
    window.work.bring_up(window.work.training)
    rounds.fold.head.setChecked(True)
    rounds.list.setCurrentRow(1)
    tour.settle()
    window.work.training.area.ensureWidgetVisible(rounds.use)
    tour.picture("rounds", "All rounds so far: figures, who, when, and a model to be used again")
