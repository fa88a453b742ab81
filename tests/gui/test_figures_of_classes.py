"""What is known of each class alone: the heatmap of its probability, and the Dice of the classes of a round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QAction

from histoloop.annotations.palette import TEMPLATES
from histoloop.annotations.records import ClassScheme
from histoloop.gui.canvas.mask_source import MaskSource
from histoloop.gui.panels.overlay_panel import OverlayPanel
from histoloop.network_config import NetworkConfig
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.mask_choices import LocalisationModel, own_choice
from histoloop.workflows.contents.rounds import CandidateModel

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

SCHEME = ClassScheme((), TEMPLATES["metastasis and lymphoid tissue"])


@pytest.fixture
def panel(qtbot) -> OverlayPanel:
    made = OverlayPanel(MaskSource(), QAction())
    qtbot.addWidget(made)
    made.set_scheme(SCHEME)
    made.show()
    return made


def choose(panel: OverlayPanel, text: str) -> None:
    panel.heat_of.setCurrentText(text)
    panel.heat_of.activated.emit(panel.heat_of.currentIndex())


def test_the_heatmap_is_that_of_all_classes_or_of_the_one_that_is_chosen(panel: OverlayPanel) -> None:
    assert not panel.heat_row.isVisible()
    panel.offer_classes(True)
    assert panel.heat_row.isVisible()
    assert [panel.heat_of.itemText(n) for n in range(panel.heat_of.count())] == [
        "All classes",
        "Metastasis",
        "Lymphoid tissue",
    ]
    assert panel.overlay_style.heat_of is None
    choose(panel, "Lymphoid tissue")
    assert panel.overlay_style.heat_of == "lymphoid tissue"
    assert panel.overlay_style.heatmap
    assert panel.heatmap.isChecked()
    choose(panel, "All classes")
    assert panel.overlay_style.heat_of is None


def test_a_model_that_does_not_tell_classes_apart_shows_the_heatmap_of_all(panel: OverlayPanel) -> None:
    panel.offer_classes(True)
    choose(panel, "Metastasis")
    panel.offer_classes(False)
    assert panel.overlay_style.heat_of is None
    assert not panel.heat_row.isVisible()


def test_the_class_of_the_heatmap_stays_when_classes_change_and_is_left_with_its_class(panel: OverlayPanel) -> None:
    panel.offer_classes(True)
    choose(panel, "Lymphoid tissue")
    panel.set_scheme(ClassScheme((), tuple(reversed(SCHEME.masks))))
    assert panel.heat_of.currentText() == "Lymphoid tissue"
    panel.set_scheme(ClassScheme((), SCHEME.masks[:1]))
    assert panel.overlay_style.heat_of is None
    assert panel.heat_of.currentText() == "All classes"


def test_a_class_that_was_hidden_stays_hidden_when_others_change(panel: OverlayPanel) -> None:
    panel._change_class(1, visible=False)
    panel.set_scheme(ClassScheme((), tuple(reversed(SCHEME.masks))))
    assert [style.visible for style in panel.overlay_style.classes] == [False, True]


@pytest.mark.parametrize(("mask_classes", "trained", "tells"), [(1, True, False), (2, True, True), (2, False, False)])
def test_a_model_tells_classes_apart_when_its_decoder_has_learned_them(
    mask_classes: int, trained: bool, tells: bool
) -> None:
    network = NetworkConfig(labels=1, mask_classes=mask_classes)
    model = LocalisationModel(1, "m", "m", ModelStatus.CURRENT, network, ("a",), 0.5, trained=trained)
    assert own_choice(model).tells_classes is tells


def test_the_dice_of_classes_stands_beside_the_dice_where_it_was_measured(window: MainWindow) -> None:
    decision = window.training_panel.decision
    measured = CandidateModel(
        2, 1, old_dice=0.61, new_dice=0.74, held_out=2, annotations=6, old_class_dice=0.4, new_class_dice=0.7
    )
    window.training_panel.show_candidate(measured, {})
    assert decision.class_dice.text() == "Mean Dice of the classes: 0.400 \N{RIGHTWARDS ARROW} 0.700"
    assert "mean over the classes" in decision.class_dice.toolTip()
    window.training_panel.show_candidate(CandidateModel(2, 1, 0.6, 0.7, 2, 6), {})
    assert decision.class_dice.isHidden()
