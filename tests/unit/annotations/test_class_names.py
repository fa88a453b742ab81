"""Classes are shown in the language spoken, and kept as the model names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.annotations.class_names import KNOWN, class_called, spoken_class, spoken_title
from histoloop.annotations.palette import TEMPLATES
from histoloop.language import ENGLISH, speak
from histoloop.store.cards import load_card
from histoloop.store.shipped import DEFAULT_MODEL, find_model
from histoloop.training.readers.classes import EBHI_SCHEME, FOREGROUND, GLAS_SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    speak(ENGLISH.code)


def test_classes_of_the_shipped_model_of_known_data_sets_and_of_templates_are_translated() -> None:
    schemes = (load_card(find_model(DEFAULT_MODEL)).scheme, EBHI_SCHEME, GLAS_SCHEME)
    names = {name for scheme in schemes for name in (*scheme.label_names, *scheme.mask_names)} | {FOREGROUND.name}
    assert names | {each.name for template in TEMPLATES.values() for each in template} == KNOWN


def test_a_class_is_shown_in_the_language_spoken() -> None:
    assert spoken_class("gland") == "gland"
    assert spoken_title("gland") == "Gland"
    speak("de")
    assert spoken_class("gland") == "Drüse"
    assert spoken_class("Adenocarcinoma") == "Adenokarzinom"
    speak("fr")
    assert spoken_class("tumour") == "tumeur"
    assert spoken_title("tumour") == "Tumeur"


def test_a_class_of_another_model_stays_as_it_is() -> None:
    speak("de")
    assert spoken_class("Stop") == "Stop"  # a text of the window, but no known class
    assert spoken_title("crypt of Lieberkühn") == "Crypt of Lieberkühn"


@pytest.mark.parametrize("name", ["Tumor?", "tumour ?", "?gland"])
def test_a_name_with_a_question_mark_means_no_class(name: str) -> None:
    assert class_called(name, ["gland", "tumour"]) is None
    assert class_called(name, [name]) == name
