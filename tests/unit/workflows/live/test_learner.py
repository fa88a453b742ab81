"""The live loop learns from regions as they are done, from what a retraining would learn, and shows the view first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, MaskClass, Origin
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import finish
from histoloop.store.cards import CARD, model_hash, read_card
from histoloop.store.model_folder import save_model
from histoloop.workflows.contents.live_masks import LiveMap, LiveProgress, LiveReport
from histoloop.workflows.live.decoder_file import path_of
from histoloop.workflows.live.learner import LiveLearner, LiveSettings
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.project import Project

SIDE = 128
WHOLE = Region(0, 0, SIDE, SIDE)
POOLING = PoolingConfig(name="average", modalities=1)
CONFIG = NetworkConfig(2, backbone="mobilenet_v2", pooling=POOLING, decoder_channels=(8, 8, 8, 8, 8))
QUICK = LiveSettings(
    widths=(8, 8, 8), views=1, crop_px=64, learning_rate=1e-2, fewest_steps=60, steps=60, seconds=60, rounds=0
)


def network(*, seed: int) -> torch.nn.Module:
    """Of random weights, which has seen noise, so that what comes of its features is of usual size."""
    torch.manual_seed(seed)
    made = build_network(CONFIG)
    made.train()
    with torch.no_grad():
        for _batch in range(20):
            made(torch.randn(2, 3, 64, 64) + torch.randn(2, 3, 1, 1))
    return made.eval()


@pytest.fixture
def project(tmp_path: Path, make_model: Callable[..., Path], request: pytest.FixtureRequest) -> Iterator[Project]:
    """Of four slides that are dark on the left and light on the right, with a first model of random weights.

    With the parameter 'untrained' only its encoder is taken, for classes of the project's own.
    """
    untrained = getattr(request, "param", "") == "untrained"
    classes = [MaskClass("tumour", "#d01020"), MaskClass("stroma", "#00a0ff"), MaskClass("necrosis", "#444444")]
    card = read_card((make_model(tmp_path / "tiny", network=CONFIG) / CARD).read_text(encoding="utf-8"), source="tiny")
    model = save_model(tmp_path / "given", card, to_arrays(network(seed=0).state_dict()), recipe="", half=True)
    options: dict[str, Any] = {"encoder_only": True, "classes": classes, "labels": []} if untrained else {}
    with create_project(tmp_path / "project", name="Colon", start=model, **options) as made:
        for number in range(4):
            noise = np.random.default_rng(number).integers(-12, 13, (SIDE, SIDE, 3))
            pixels = np.array((225, 150, 195)) + noise
            pixels[:, : SIDE // 2] -= (110, 90, 60)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
            made.slides.add(tmp_path / f"{number}.png", width=SIDE, height=SIDE, mpp=1.0, vendor="picture")
        yield made


def paint(project: Project, number: int, *, left: int = 1, right: int = 0, origin: Origin = Origin.HUMAN) -> int:
    """One value on the left of the slide of a number, another one on the right."""
    mask = np.full((SIDE, SIDE), right, np.uint8)
    mask[:, : SIDE // 2] = left
    slide_id = project.slides.all()[number].id
    draft = project.drafts.start(slide_id, WHOLE, mask=mask, origin_model=None, person="test", origin=origin)
    return project.drafts.finish(draft.id, AnnotationStatus.DONE).id


def update(
    learner: LiveLearner, project: Project, number: int = 0, **options: Any
) -> tuple[LiveReport, LiveMap | None]:
    """The report, and the live masks that came."""
    steps: list[LiveProgress] = []
    view = options.pop("view", WHOLE)
    slide_id = project.slides.all()[number].id
    work = learner.update(project, slide_id=slide_id, view=view, **options)
    report = finish(work, lambda step: steps.append(step) if isinstance(step, LiveProgress) else None)
    found = None
    for step in steps:
        if step.tile is not None and step.grid is not None:
            found = found or LiveMap(step.grid)
            found.add(step.grid, step.tile)
    return report, found


def mean_of(live: LiveMap | None, columns: slice) -> float:
    assert live is not None
    return float(live.read_masks(WHOLE)[0, :, columns].mean())


LEFT, RIGHT = slice(8, SIDE // 2 - 8), slice(SIDE // 2 + 8, SIDE - 8)


def test_without_a_painted_region_nothing_is_shown(project: Project) -> None:
    report, live = update(LiveLearner(settings=QUICK, device="cpu"), project)
    assert (report.regions, live) == (0, None)


def test_a_painted_region_changes_the_masks_where_it_was_painted_and_on_a_slide_alike(project: Project) -> None:
    paint(project, 0)
    learner = LiveLearner(settings=QUICK, device="cpu")
    report, live = update(learner, project)
    assert (report.regions, report.new, report.tiles, report.done) == (1, 1, 1, 1)
    assert mean_of(live, LEFT) > 0.7
    assert mean_of(live, RIGHT) < 0.3
    _report, other = update(learner, project, 3)
    assert mean_of(other, LEFT) > mean_of(other, RIGHT) + 0.4


def test_classes_are_learned_as_they_are_painted(project: Project) -> None:
    paint(project, 0, left=2, right=1)
    _report, live = update(LiveLearner(settings=QUICK, device="cpu"), project)
    assert live is not None
    assert live.mask_classes == ("gland", "tumour")
    gland, tumour = live.read_masks(WHOLE)
    assert gland[:, RIGHT].mean() > 0.6 > 0.4 > gland[:, LEFT].mean()
    assert tumour[:, LEFT].mean() > 0.6 > 0.4 > tumour[:, RIGHT].mean()


@pytest.mark.parametrize("project", ["untrained"], indirect=True)
def test_a_project_whose_model_was_never_taught_gets_its_first_masks_so(project: Project) -> None:
    assert project.scheme.labels == ()
    paint(project, 0, left=3, right=0)
    _report, live = update(LiveLearner(settings=QUICK, device="cpu"), project)
    assert live is not None
    assert live.mask_classes == ("tumour", "stroma", "necrosis")
    necrosis = live.read_masks(WHOLE)[2]
    assert necrosis[:, LEFT].mean() > necrosis[:, RIGHT].mean() + 0.4


def test_a_held_out_region_is_never_learned_from(project: Project) -> None:
    ids = [paint(project, number) for number in range(3)]
    held_out = [number for number in ids if project.annotations.get(number).held_out]
    assert len(held_out) == 1  # else this test says nothing
    learner = LiveLearner(settings=QUICK, device="cpu")
    report, _live = update(learner, project)
    assert report.regions == 2
    assert set(learner.learned_from) == set(ids) - set(held_out)


def test_pixels_that_were_left_out_teach_nothing(project: Project) -> None:
    paint(project, 0, origin=Origin.LEFT_OUT)
    learner = LiveLearner(settings=QUICK, device="cpu")
    report, live = update(learner, project)
    assert (report.regions, learner.version, live) == (0, 0, None)


def test_a_second_update_without_news_learns_nothing_and_sends_nothing(project: Project) -> None:
    paint(project, 0)
    learner = LiveLearner(settings=QUICK, device="cpu")
    update(learner, project)
    version = learner.version
    report, live = update(learner, project)
    assert (learner.version, report.new, report.done, live) == (version, 0, 1, None)
    _report, again = update(learner, project, afresh=True)
    assert again is not None


def test_what_was_learned_outlasts_the_process(project: Project) -> None:
    paint(project, 0)
    _report, before = update(LiveLearner(settings=QUICK, device="cpu"), project)
    assert before is not None
    later = LiveLearner(settings=QUICK, device="cpu")
    report, after = update(later, project)
    assert after is not None
    assert (report.new, later.version) == (0, 1)
    np.testing.assert_array_equal(after.read_masks(WHOLE), before.read_masks(WHOLE))


def test_a_new_region_is_learned_from_where_the_decoder_is(project: Project) -> None:
    paint(project, 0)
    learner = LiveLearner(settings=QUICK, device="cpu")
    update(learner, project)
    paint(project, 1)
    report, live = update(learner, project, 1)
    assert (report.regions, report.new, learner.version) == (2, 1, 2)
    assert mean_of(live, LEFT) > mean_of(live, RIGHT) + 0.4


def test_once_an_annotation_is_gone_nothing_of_it_stays(project: Project) -> None:
    """Painted the wrong way round, then taken back."""
    first = paint(project, 0, left=0, right=1)
    learner = LiveLearner(settings=QUICK, device="cpu")
    update(learner, project)
    project.history.undo("test")
    assert project.annotations.get(first).status is AnnotationStatus.DRAFT
    report, live = update(learner, project)
    assert (report.regions, live) == (0, None)
    assert not path_of(project.folder).exists()
    paint(project, 1)
    _report, live = update(learner, project, 1)
    assert mean_of(live, LEFT) > 0.8


@pytest.mark.parametrize("change", ["model", "widths", "damage"])
def test_a_decoder_of_another_basis_is_not_used(change: str, project: Project) -> None:
    paint(project, 0)
    update(LiveLearner(settings=QUICK, device="cpu"), project)
    settings = QUICK
    if change == "model":
        model = project.models.current()
        other = network(seed=5)
        folder = project.models.new_folder(1)
        card = read_card((model.folder / CARD).read_text(encoding="utf-8"), source="other")
        save_model(folder, card, to_arrays(other.state_dict()), recipe="", half=True)
        record = project.models.add(folder.name, hash=model_hash(folder), parent=model.id, round=1)
        project.models.make_current(record.id)
    elif change == "widths":
        settings = LiveSettings(widths=(8, 8), views=1, crop_px=64, fewest_steps=5, rounds=0)
    else:
        path_of(project.folder).write_bytes(b"no tensors")
    learner = LiveLearner(settings=settings, device="cpu")
    report, live = update(learner, project)
    assert (report.new, learner.version) == (1, 1)
    assert live is not None


def test_stopped_while_it_learns_it_is_as_it_was(project: Project) -> None:
    paint(project, 0)
    learner = LiveLearner(settings=QUICK, device="cpu")
    work = learner.update(project, slide_id=project.slides.all()[0].id, view=WHOLE)
    learning = [next(work) for _ in range(8)]
    assert learning[-1].done > 0
    work.close()
    assert (learner.version, learner.learned_from) == (0, ())
    report, _live = update(learner, project)
    assert (report.new, report.regions) == (1, 1)


def test_glass_carries_no_live_mask(project: Project, tmp_path: Path) -> None:
    """A slide like the others, but for a wide margin of glass; all of the dark is one class."""
    paint(project, 0, left=1, right=1)
    pixels = np.full((SIDE, 1200, 3), 245)
    pixels[:, :SIDE] = np.array((115, 60, 135)) + np.random.default_rng(9).integers(-12, 13, (SIDE, SIDE, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "glass.png")
    project.slides.add(tmp_path / "glass.png", width=1200, height=SIDE, mpp=1.0, vendor="picture")
    _report, live = update(LiveLearner(settings=QUICK, device="cpu"), project, 4, view=Region(0, 0, 1200, SIDE))
    assert live is not None
    assert live.covers(Region(0, 0, 1200, SIDE))
    found = live.read_masks(Region(0, 0, 1200, SIDE))[0]
    assert found[:, 8 : SIDE - 8].mean() > 0.5
    assert not found[:, SIDE + 200 :].any()
