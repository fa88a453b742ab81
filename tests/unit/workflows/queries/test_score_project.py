"""Asking with the network: every strategy on a small project, and clear words where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from PIL import Image

from histoloop.acquisition.strategies import STRATEGIES, reason_of
from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.array_cache import CACHE
from histoloop.workflows.contents.questions import query_evidence_path
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.decisions import keep
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.queries import score_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.queries.score_regions import NetworkInputs, ScoringSettings
from histoloop.workflows.queries.vaal_scores import PAPER_VAAL
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.store.records import QueryRecord
    from histoloop.workflows.reports import AskReport

SIDE = 128


@pytest.fixture(scope="module")
def models(discs: Path, write_recipe: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a decoder and one without."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("hybrid", "labels"):
        recipe = write_recipe(folder, kind)
        finish(train_model(recipe=recipe, data=discs, out=folder / kind, device="cpu", mpp=1.0))
    return folder


@pytest.fixture
def start(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Project]]:
    """A predicted project of four slides with two candidate regions each; the first two slides are labelled."""
    monkeypatch.setattr(score_project, "PASSES", 2)
    opened = []

    def make(kind: str) -> Project:
        rng = np.random.default_rng(1)
        paths = []
        for number in range(4):
            pixels = rng.integers(120, 200, (SIDE, 2 * SIDE, 3)).astype(np.uint8)
            pixels[..., 1] //= 2
            paths.append(tmp_path / f"slide{number}.png")
            Image.fromarray(pixels).save(paths[-1])
        project = create_project(tmp_path / "project", name="Test", start=models / kind)
        opened.append(project)
        finish(import_slides(project, paths))
        finish(predict_project(project, device="cpu"))
        for slide, label in zip(project.slides.all(), ("benign", "malignant"), strict=False):
            project.slides.set_label(slide.id, label, person="test")
        return project

    yield make
    for project in opened:
        project.close()


def questions(work: Work[AskReport]) -> tuple[QueryRecord, ...]:
    return finish(work).queries


def paint(project: Project, number: int) -> None:
    """Annotate the left half of a slide."""
    slide = project.slides.all()[number]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:80, 30:90] = 1
    draft = project.drafts.start(
        slide.id, Region(0, 0, SIDE, SIDE), mask=mask, origin_model=None, person="test", query_id=None,
        origin=Origin.HUMAN,
    )  # fmt: skip
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_strategy_asks_about_regions_nobody_annotated_and_says_why(
    strategy: str, start: Callable[[str], Project]
) -> None:
    project = start("hybrid")
    paint(project, 0)
    paint(project, 1)
    if STRATEGIES[strategy].needs.inputs == "earlier model":
        candidate = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
        keep(project, candidate.model_id)
        finish(predict_project(project, device="cpu"))
    queries = questions(ask(project, strategy=strategy, count=3, region_map_px=SIDE, device="cpu"))
    assert len(queries) == 3
    assert {query.strategy for query in queries} == {strategy}
    annotated = {slide.id for slide in project.slides.all()[:2]}
    for query in queries:
        assert reason_of(query).endswith(".")
        assert query.slide_id not in annotated or query.region.x == SIDE
        shown = query_evidence_path(project, query.id)
        assert shown.exists() == (strategy not in ("random", "learned-loss", "svm-margin"))


def test_the_same_question_is_asked_again_for_the_same_seed(start: Callable[[str], Project]) -> None:
    project = start("hybrid")
    paint(project, 0)
    first, again = (
        [query.region for query in questions(ask(project, strategy="mc-dropout", count=2, region_map_px=SIDE))]
        for _ in range(2)
    )
    assert first == again


def test_as_many_passes_are_taken_as_it_is_said(
    start: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, taken = start("hybrid"), []

    def score(inputs: NetworkInputs, *_: object) -> NoReturn:
        taken.append(inputs.settings)
        raise ProjectError("enough", advice="stop")

    monkeypatch.setattr(NetworkInputs, "score", score)
    for settings in (None, ScoringSettings(passes=50, vaal=PAPER_VAAL)):
        with pytest.raises(ProjectError, match="enough"):
            questions(ask(project, strategy="mc-dropout", count=2, region_map_px=SIDE, settings=settings))
    assert taken == [ScoringSettings(passes=2), ScoringSettings(passes=50, vaal=PAPER_VAAL)]


def test_features_are_kept_with_the_project_and_can_be_deleted(
    start: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = start("hybrid")
    first = [query.region for query in questions(ask(project, strategy="k-center", count=2, region_map_px=SIDE))]
    kept = list((project.folder / CACHE).glob("*.safetensors"))
    assert len(kept) == 8
    with monkeypatch.context() as patch:
        patch.setattr("histoloop.inference.model.Model.features", None)  # no forward pass is made again
        assert [q.region for q in questions(ask(project, strategy="k-center", count=2, region_map_px=SIDE))] == first
    for file in kept:
        file.unlink()
    assert [q.region for q in questions(ask(project, strategy="k-center", count=2, region_map_px=SIDE))] == first


@pytest.mark.parametrize("strategy", [name for name, strategy in STRATEGIES.items() if strategy.needs.decoder])
def test_a_model_that_has_learned_no_masks_is_told_of_with_what_to_do(
    strategy: str, start: Callable[[str], Project]
) -> None:
    project = start("labels")
    paint(project, 0)
    paint(project, 1)
    with pytest.raises(ProjectError, match="trained on masks") as error:
        questions(ask(project, strategy=strategy, count=2, region_map_px=SIDE))
    assert "Retrain" in error.value.advice
    assert len(questions(ask(project, strategy="k-center", count=2, region_map_px=SIDE))) == 2


@pytest.mark.parametrize(("strategy", "words"), [("vaal", "one annotated"), ("learned-loss", "2 annotated"),
                                                 ("svm-margin", "2 annotated")])  # fmt: skip
def test_a_strategy_that_compares_says_what_it_needs(
    strategy: str, words: str, start: Callable[[str], Project]
) -> None:
    project = start("hybrid")
    with pytest.raises(ProjectError, match=words):
        questions(ask(project, strategy=strategy, count=2, region_map_px=SIDE))
    assert project.queries.open() == []


def test_a_margin_between_classes_needs_two_of_them(start: Callable[[str], Project]) -> None:
    project = start("hybrid")
    for slide in project.slides.all():
        project.slides.set_label(slide.id, "benign", person="test")
    paint(project, 0)
    paint(project, 1)
    with pytest.raises(ProjectError, match="two classes"):
        questions(ask(project, strategy="svm-margin", count=2, region_map_px=SIDE))


def test_a_share_of_the_questions_is_random_and_says_so(start: Callable[[str], Project]) -> None:
    project = start("hybrid")
    queries = questions(ask(project, strategy="entropy", count=4, region_map_px=SIDE, random_share=0.5))
    assert [query.strategy for query in queries].count("random") == 2
    assert all("at random" in reason_of(query) for query in queries if query.strategy == "random")
    assert len({(query.slide_id, query.region) for query in queries}) == 4


def test_after_a_round_the_change_is_that_of_the_decoder_and_regions_that_changed_come_first(
    start: Callable[[str], Project],
) -> None:
    project = start("hybrid")
    paint(project, 0)
    candidate = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    keep(project, candidate.model_id)
    finish(predict_project(project, device="cpu"))
    queries = questions(ask(project, strategy="cod", count=6, region_map_px=SIDE, device="cpu"))
    assert queries[0].score > 0
    assert "since the last round" in reason_of(queries[0])


@pytest.mark.parametrize("side", [64, 2000])
def test_regions_of_an_odd_size_are_refused(side: int, start: Callable[[str], Project]) -> None:
    with pytest.raises(ValueError, match="128 to 1024"):
        questions(ask(start("hybrid"), strategy="random", count=2, region_map_px=side))


def test_regions_asked_about_again_are_said_to_be_less_work(start: Callable[[str], Project]) -> None:
    project = start("hybrid")
    steps: list[list[float]] = []
    for _time in range(2):
        totals: list[float] = []
        finish(
            ask(project, strategy="mc-dropout", count=2, device="cpu"),
            lambda step, totals=totals: totals.append(step.total) if step.stage == "Comparing regions" else None,
        )
        steps.append(totals)
    first, again = (set(totals) for totals in steps)
    assert len(first) == len(again) == 1
    assert max(again) < max(first)
