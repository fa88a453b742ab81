"""What is asked: the unsure regions first, never the same pixels twice, never what was settled."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.acquisition.strategies import reason_of
from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.progress import Progress, finish
from histoloop.workflows.annotate import begin, cannot_tell, skip
from histoloop.workflows.annotate import finish as finish_annotation
from histoloop.workflows.contents.candidate_regions import MAX_REGION_PX, REGION_MAP_PX, region_side_px
from histoloop.workflows.contents.questions import query_thumbnail_path
from histoloop.workflows.propagate import PoolRegion, keep_pseudo_regions
from histoloop.workflows.queries.ask import THUMBNAIL_PX, ask
from histoloop.workflows.queries.shortage import why_fewer as why_there_are_fewer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import QueryRecord, SlideRecord

SIDE = REGION_MAP_PX
WIDE = {"width": 3 * SIDE, "height": SIDE}
"""A slide of three regions side by side."""


def asked(project: Project, *, strategy: str = "entropy", count: int = 6, seed: int = 0) -> tuple[QueryRecord, ...]:
    return finish(ask(project, strategy=strategy, count=count, seed=seed)).queries


def unsure_by_third(*probabilities: float) -> np.ndarray:
    """Foreground of a wide slide, one probability per region."""
    return np.repeat(np.array(probabilities, np.float32), SIDE)[None].repeat(SIDE, axis=0)


@pytest.fixture
def wide(add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideRecord:
    """A predicted slide: the model is sure on the left, less so on the right, and knows nothing in the middle."""
    slide = add_slide("wide.png", **WIDE)
    add_map(slide, unsure_by_third(0.99, 0.5, 0.1))
    return slide


# --- which regions ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
def test_the_regions_of_which_the_model_is_least_sure_are_asked_first(project: Project) -> None:
    queries = asked(project, count=2)
    assert [query.region for query in queries] == [Region(SIDE, 0, SIDE, SIDE), Region(2 * SIDE, 0, SIDE, SIDE)]
    assert queries[0].score == pytest.approx(math.log(2), rel=1e-3)
    assert queries[0].score > queries[1].score
    assert project.queries.open() == list(queries)


def test_a_pseudo_labelled_region_is_asked_about_when_the_others_are_used_up(
    project: Project, wide: SlideRecord
) -> None:
    middle = Region(SIDE, 0, SIDE, SIDE)  # of which the model is least sure
    parent = project.models.current().id
    project.rounds.add(parent, None, {}, 1)
    keep_pseudo_regions(project, 1, [], [PoolRegion(wide.id, middle, "a region")])
    for strategy in ("entropy", "random"):
        assert middle not in {query.region for query in asked(project, strategy=strategy, count=2)}
        assert [query.region for query in asked(project, strategy=strategy, count=3)][-1] == middle
    project.rounds.add(parent, None, {}, 1)  # a round that went without
    assert asked(project, count=1)[0].region == middle


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("strategy", ["cod", "cod-softmax"])
def test_what_compares_with_the_round_before_asks_at_random_in_the_first_and_says_so(
    project: Project, strategy: str
) -> None:
    report = finish(ask(project, strategy=strategy, count=2))
    assert [query.region for query in report.queries] == [
        one.region for one in asked(project, strategy="random", count=2)
    ]
    assert {query.strategy for query in report.queries} == {"random"}
    assert "no earlier round" in report.why_fewer


@pytest.mark.usefixtures("wide")
def test_the_reason_says_how_much_of_a_region_is_unsure(project: Project) -> None:
    first, second = asked(project, count=2)
    assert reason_of(first) == "The model is unsure about 100% of this region."
    assert reason_of(second) == "The model is unsure about 0% of this region."


def test_a_question_tells_of_its_slide_strategy_round_and_class(project: Project, wide: SlideRecord) -> None:
    project.predictions.add(wide.id, project.models.current().id, {"benign": 0.2, "malignant": 0.8})
    (query,) = asked(project, count=1)
    assert (query.slide_id, query.strategy, query.round) == (wide.id, "entropy", 1)
    assert (query.class_name, query.status) == ("malignant", QueryStatus.OPEN)
    project.rounds.add(project.models.current().id, None, {}, 0)
    assert asked(project, count=1)[0].round == 2


@pytest.mark.parametrize("strategy", ["entropy", "random"])
def test_questions_never_overlap_and_lie_inside_their_slides(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], strategy: str
) -> None:
    for name in ("a.png", "b.png"):  # squares at the right and lower edges are moved inwards, over others
        add_map(add_slide(name, width=900, height=520), 0.4)
    queries = asked(project, strategy=strategy, count=50)
    assert {query.slide_id for query in queries} == {slide.id for slide in project.slides.all()}
    for one, other in itertools.combinations(queries, 2):
        assert one.slide_id != other.slide_id or not one.region.overlaps(other.region)
    for query in queries:
        assert project.slides.get(query.slide_id).extent.contains(query.region)


def test_the_same_place_on_two_slides_is_asked_about_on_both(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    for name in ("a.png", "b.png"):
        add_map(add_slide(name, width=SIDE, height=SIDE), 0.4)
    queries = asked(project)
    assert len({query.slide_id for query in queries}) == 2
    assert {query.region for query in queries} == {Region(0, 0, SIDE, SIDE)}


def test_glass_is_not_asked_about(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    add_map(add_slide("a.png", until=SIDE, **WIDE), 0.5)
    assert [query.region for query in asked(project)] == [Region(0, 0, SIDE, SIDE)]


def test_what_the_model_says_of_glass_does_not_count(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    add_map(add_slide("a.png", until=3 * SIDE // 2, **WIDE), 0.5)
    whole, half = asked(project)
    assert whole.region == Region(0, 0, SIDE, SIDE)
    assert whole.score == pytest.approx(math.log(2), rel=1e-2)
    assert half.score == pytest.approx(math.log(2) / 2, rel=0.08)  # glass ends some micrometres from the tissue
    assert "about 100%" in reason_of(whole)
    assert any(f"about {percent}%" in reason_of(half) for percent in range(48, 56))


def test_a_slide_smaller_than_a_region_is_asked_about_whole(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    slide = add_slide("a.png", width=200, height=150)
    add_map(slide, 0.5)
    assert [query.region for query in asked(project)] == [slide.extent]


def test_regions_have_the_size_that_the_model_sees(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    add_map(add_slide("a.png", width=600, height=400), 0.5, downsample=0.5)
    queries = asked(project, count=20)
    assert len(queries) == 6
    assert {(query.region.width, query.region.height) for query in queries} == {(SIDE // 2, SIDE // 2)}


@pytest.mark.parametrize(("downsample", "side"), [(1.0, 384), (2.3, 883), (16.0, MAX_REGION_PX), (0.001, 1)])
def test_a_region_covers_what_the_model_sees_up_to_what_can_be_painted(downsample: float, side: int) -> None:
    assert region_side_px(downsample) == side


@pytest.mark.usefixtures("wide")
def test_there_are_fewer_questions_where_there_are_fewer_regions(project: Project) -> None:
    assert len(asked(project, count=50)) == 3


def why_fewer(project: Project, *, strategy: str = "entropy", count: int) -> str:
    return finish(ask(project, strategy=strategy, count=count)).why_fewer


@pytest.mark.usefixtures("wide")
def test_where_there_are_fewer_questions_it_says_why(project: Project) -> None:
    assert why_fewer(project, count=3) == ""
    assert why_fewer(project, count=6) == (
        "3 questions instead of 6. There is no other area with enough tissue. Smaller regions or more slides "
        "give more questions."
    )


def test_what_is_settled_and_the_slides_that_cannot_be_asked_about_are_among_the_reasons(
    project: Project, wide: SlideRecord, add_slide: Callable[..., SlideRecord]
) -> None:
    add_slide("unpredicted.png", **WIDE)
    add_slide("lost.png", **WIDE).path.unlink()
    first, second, _third = asked(project, count=3)
    finish_annotation(
        project, begin(project, slide_id=wide.id, region=first.region, query_id=first.id, person="Ada").id
    )
    skip(project, second.id, person="Ada")
    why = why_fewer(project, count=6)
    assert why.startswith("1 question instead of 6.")
    for reason in (
        "1 region is annotated already.",
        "1 region was skipped or marked 'Cannot tell'.",
        "1 slide file was not found.",
        "1 slide is not predicted yet.",
    ):
        assert reason in why


def test_a_strategy_that_looks_at_some_of_the_regions_says_so(project: Project) -> None:
    why = why_there_are_fewer(project, wanted=500, asked=400, considered=400)
    assert why == "400 questions instead of 500. This strategy compares 400 regions at a time, sampled at random."


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_slides(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> tuple[SlideRecord, SlideRecord]:
    """Two slides of three regions each; the model is unsure about all of the first."""
    first, second = add_slide("a.png", **WIDE), add_slide("b.png", **WIDE)
    add_map(first, 0.5)
    add_map(second, 0.01)
    model = project.models.current().id
    project.predictions.add(first.id, model, {"benign": 0.9, "malignant": 0.1})
    project.predictions.add(second.id, model, {"benign": 0.3, "malignant": 0.7})
    return first, second


def test_each_class_is_asked_about_equally_often(project: Project, two_slides: tuple[SlideRecord, SlideRecord]) -> None:
    first, second = two_slides
    queries = asked(project, count=4)
    assert [query.slide_id for query in queries] == [first.id, second.id, first.id, second.id]
    assert [query.class_name for query in queries] == ["benign", "malignant", "benign", "malignant"]


def test_what_a_person_said_of_a_slide_counts_more_than_the_model(
    project: Project, two_slides: tuple[SlideRecord, SlideRecord]
) -> None:
    first, second = two_slides
    project.slides.set_label(second.id, "benign", person="Ada")
    queries = asked(project, count=3)
    assert {query.slide_id for query in queries} == {first.id}
    assert {query.class_name for query in queries} == {"benign"}


# --- random -----------------------------------------------------------------------------------------------------------


def random_regions(project: Project, *, seed: int) -> list[Region]:
    return [query.region for query in asked(project, strategy="random", count=3, seed=seed)]


@pytest.mark.usefixtures("wide")
def test_random_questions_are_the_same_for_the_same_seed_and_differ_between_seeds(project: Project) -> None:
    orders = [random_regions(project, seed=seed) for seed in range(6)]
    assert orders == [random_regions(project, seed=seed) for seed in range(6)]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.usefixtures("wide")
def test_random_questions_are_drawn_anew_each_round(project: Project) -> None:
    later = [random_regions(project, seed=seed) for seed in range(1, 6)]
    project.rounds.add(project.models.current().id, None, {}, 0)
    assert [random_regions(project, seed=seed) for seed in range(5)] == later


@pytest.mark.usefixtures("wide")
def test_a_random_question_does_not_claim_that_the_model_is_unsure(project: Project) -> None:
    (query,) = asked(project, strategy="random", count=1)
    assert "random" in reason_of(query)
    assert "unsure" not in reason_of(query)


# --- what was settled -------------------------------------------------------------------------------------------------


def annotated(project: Project, query: QueryRecord) -> None:
    draft = begin(project, slide_id=query.slide_id, region=query.region, query_id=query.id, person="Ada")
    finish_annotation(project, draft.id)


def begun(project: Project, query: QueryRecord) -> None:
    begin(project, slide_id=query.slide_id, region=query.region, query_id=query.id, person="Ada")


def skipped(project: Project, query: QueryRecord) -> None:
    skip(project, query.id, person="Ada")


def not_told(project: Project, query: QueryRecord) -> None:
    cannot_tell(project, query.id, person="Ada")


@pytest.mark.parametrize("settle", [annotated, begun, skipped, not_told])
def test_a_region_that_was_settled_or_begun_is_not_asked_again(
    project: Project, wide: SlideRecord, settle: Callable[[Project, QueryRecord], None]
) -> None:
    (first,) = asked(project, count=1)
    settle(project, first)
    later = asked(project, count=50)
    assert {query.region.x for query in later} == {0, 2 * SIDE}
    assert all(query.slide_id == wide.id for query in later)


def test_a_region_annotated_by_hand_is_not_asked_about(project: Project, wide: SlideRecord) -> None:
    by_hand = Region(SIDE + 30, 20, 200, 200)
    finish_annotation(project, begin(project, slide_id=wide.id, region=by_hand, person="Ada").id)
    assert {query.region.x for query in asked(project)} == {0, 2 * SIDE}


def test_a_region_of_another_slide_that_was_skipped_is_still_asked_about(
    project: Project, wide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    (first,) = asked(project, count=1)
    skip(project, first.id, person="Ada")
    other = add_slide("other.png", **WIDE)
    add_map(other, unsure_by_third(0.99, 0.5, 0.1))
    (query,) = asked(project, count=1)
    assert (query.slide_id, query.region) == (other.id, first.region)
    assert first.slide_id == wide.id


@pytest.mark.usefixtures("wide")
def test_new_questions_supersede_those_that_nobody_answered(project: Project) -> None:
    old = asked(project, count=2)
    skip(project, old[1].id, person="Ada")
    new = asked(project, count=1)
    assert project.queries.get(old[0].id).status is QueryStatus.SUPERSEDED
    assert project.queries.get(old[1].id).status is QueryStatus.SKIPPED
    assert project.queries.open() == list(new)
    assert new[0].region == old[0].region
    assert new[0].id != old[0].id


# --- nothing to ask ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
def test_a_strategy_that_is_not_known_is_refused_with_the_choices_and_leaves_the_queue(project: Project) -> None:
    before = list(asked(project))
    with pytest.raises(ProjectError, match="no strategy 'entrophy'") as caught:
        asked(project, strategy="entrophy")
    assert "random, entropy" in caught.value.advice
    assert project.queries.open() == before


def test_before_a_prediction_there_is_nothing_to_ask_and_the_advice_is_to_predict(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    add_slide("a.png")
    with pytest.raises(ProjectError, match="no region to ask about yet") as caught:
        asked(project)
    assert "Predict the slides" in caught.value.advice


def test_maps_of_a_model_that_is_not_current_ask_nothing(project: Project, wide: SlideRecord) -> None:
    same = project.models.current().folder.name
    other = project.models.add(same, hash="other", parent=None, round=1)
    project.models.make_current(other.id)
    assert wide.exists()
    with pytest.raises(ProjectError, match="no region to ask about yet"):
        asked(project)


@pytest.mark.usefixtures("wide")
def test_when_everything_is_settled_there_is_nothing_to_ask(project: Project) -> None:
    for query in asked(project, count=50):
        skip(project, query.id, person="Ada")
    with pytest.raises(
        ProjectError, match="no region left to ask about: all have been answered, 3 of them skipped"
    ) as caught:
        asked(project)
    assert "import more slides" in caught.value.advice
    assert {query.status for query in project.queries.all()} == {QueryStatus.SKIPPED}


def test_when_nothing_is_left_the_open_questions_stay(project: Project, wide: SlideRecord) -> None:
    (query,) = asked(project, count=1)
    begin(project, slide_id=wide.id, region=wide.extent, person="Ada")
    assert [record.status for record in project.annotations.all()] == [AnnotationStatus.DRAFT]
    with pytest.raises(ProjectError, match="no region left"):
        asked(project)
    assert project.queries.open() == [query]


def test_a_slide_whose_file_is_missing_is_passed_over(
    project: Project, wide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    lost = add_slide("lost.png", width=SIDE, height=SIDE)
    add_map(lost, 0.5)
    lost.path.unlink()
    assert {query.slide_id for query in asked(project)} == {wide.id}


# --- pictures and progress --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
def test_every_question_has_a_picture_of_its_region(project: Project) -> None:
    for query in asked(project, count=3):
        with Image.open(query_thumbnail_path(project, query.id)) as picture:
            assert picture.size == (THUMBNAIL_PX, THUMBNAIL_PX)
            assert np.asarray(picture)[..., 1].mean() == pytest.approx(140, abs=3)


@pytest.mark.usefixtures("wide")
def test_asking_tells_of_each_slide_and_question(project: Project) -> None:
    steps: list[Progress] = []
    finish(ask(project, count=2), steps.append)
    assert [(step.stage, step.done, step.total, step.message) for step in steps] == [
        ("Looking for regions", 0, 1, "wide.png"),
        *(("Comparing regions", number, 3, "") for number in range(3)),
        ("Preparing the queue", 0, 2, ""), ("Preparing the queue", 1, 2, ""),
    ]  # fmt: skip


@pytest.mark.usefixtures("wide")
def test_asking_that_is_cancelled_while_it_looks_leaves_the_queue_as_it_was(project: Project) -> None:
    before = list(asked(project, count=1))
    work = ask(project, count=3)
    next(work)
    work.close()
    assert project.queries.open() == before


# --- slides that cannot be looked at ----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["chunk", "metadata", "picture"])
def test_a_slide_that_cannot_be_read_is_named_and_the_others_are_asked_about(
    project: Project, wide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], what: str
) -> None:
    other = add_slide("b.png", **WIDE)
    folder = add_map(other, unsure_by_third(0.5, 0.5, 0.5))
    file = {"chunk": folder / "foreground/0/c/0/0", "metadata": folder / "zarr.json", "picture": other.path}[what]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if what != "picture" else content)
    if what == "picture":
        other.path.chmod(0o000)
        other.path.unlink()
        other.path.mkdir()
    report = finish(ask(project, count=2))
    assert {query.slide_id for query in report.queries} == {wide.id}
    if what != "picture":
        ((name, reason),) = report.failed
        assert name == "b.png"
        assert "Predict the slide again." in reason


def test_when_no_slide_can_be_looked_at_the_reasons_are_told(project: Project, wide: SlideRecord) -> None:
    folder = project.maps.find(wide.id)
    assert folder is not None
    (folder / "zarr.json").write_text("{", encoding="utf-8")
    with pytest.raises(ProjectError, match="No predicted slide can be read: wide\\.png: The maps in"):
        asked(project)
