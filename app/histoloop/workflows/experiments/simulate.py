"""Whole sessions of active learning with known masks as the annotator: strategies x seeds x rounds, resumable."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from histoloop.acquisition.selection import select
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.strategies.at_random import random_scores
from histoloop.errors import DataError, RecipeError
from histoloop.exchange.curves import Curve, draw_curves, write_rounds
from histoloop.exchange.writing import export_to
from histoloop.inference.model import Model
from histoloop.localisation.methods import DECODER, localisation_methods
from histoloop.networks.build import with_decoder
from histoloop.progress import Progress, Work, finish, mapped
from histoloop.store.array_cache import GIB, ArrayCache
from histoloop.store.files import file_beside, write_beside
from histoloop.training.cached import CachedSettings
from histoloop.training.datasets import DataSet, Split, read_dataset, split_cases
from histoloop.training.loop import LoopSettings
from histoloop.training.measures.metrics import class_figures, mean_dice
from histoloop.training.samples import foreground, values_of
from histoloop.training.teacher import ConsistencySettings
from histoloop.workflows.cluster.spread import HERE, Spread, spread_over
from histoloop.workflows.experiments.sessions import (
    Round,
    SessionSettings,
    SimulationSetup,
    State,
    Way,
    advance,
    first_state,
    full_supervision,
)
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, device_of_worker, load_model
from histoloop.workflows.queries.score_regions import ScoringSettings
from histoloop.workflows.queries.vaal_scores import PAPER_VAAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme
    from histoloop.training.samples import TrainingTile

Preset = Literal["quick", "paper"]
FORMAT, VERSION = "histoloop-simulation", 1
VALIDATION_FRACTION = 0.2
SESSION_BYTES = 2 * GIB
"""Memory of a session beside others: torch, the tiles, the features."""


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """`pool` tiles at most are there to be asked about (0: all), `test` at most measure, both spread over classes."""

    session: SessionSettings
    pool: int = 0
    test: int = 0


PRESETS: Mapping[Preset, SimulationSettings] = {
    "quick": SimulationSettings(
        SessionSettings(
            score=ScoringSettings(passes=20),
            learn=CachedSettings(
                loop=LoopSettings(epochs=16, batch_size=4, learning_rate=4e-3, warmup_epochs=1),
                steps_per_epoch=15,
                crop_px=192,
            ),
        ),
        pool=240,
        test=240,
    ),
    # label-prop section 4 and Tab. 5; flips, and turns beside them, are views of kept features
    "paper": SimulationSettings(
        SessionSettings(
            rounds=25,
            first_per_class=4,
            per_class=1,
            decoder_channels=(96, 64, 48, 32, 16),
            score=ScoringSettings(vaal=PAPER_VAAL),
            learn=CachedSettings(
                loop=LoopSettings(
                    epochs=1000,
                    batch_size=20,
                    learning_rate=0.1,
                    optimiser="sgd",
                    schedule="steps",
                    step_epochs=100,
                    step_factor=0.9,
                    warmup_epochs=0,
                    validate_every=10,
                ),
                steps_per_epoch=0,
                crop_px=416,
                views=8,
                stain=0.0,
                consistency=ConsistencySettings(weight=0.05, recency=0.0, outputs="logit"),  # tod Tab. VIII
            ),
        ),
    ),
}


def adjusted(
    settings: SimulationSettings,
    *,
    passes: int | None = None,
    neighbours: int | None = None,
    pseudo_weight: float | None = None,
    vaal: Preset | None = None,
) -> SimulationSettings:
    """Settings with other numbers for a strategy, where they are given: see `SessionSettings` and `ScoringSettings`."""
    session = settings.session
    score = session.score
    if passes is not None:
        score = dataclasses.replace(score, passes=passes)
    if vaal is not None:
        score = dataclasses.replace(score, vaal=PRESETS[vaal].session.score.vaal)
    learn = session.learn
    if pseudo_weight is not None:
        learn = dataclasses.replace(learn, pseudo_weight=pseudo_weight)
    k = session.neighbours if neighbours is None else neighbours
    return dataclasses.replace(settings, session=dataclasses.replace(session, score=score, learn=learn, neighbours=k))


@dataclass(frozen=True, slots=True)
class Simulation:
    """The finished curves, the lower and upper bound (mean Dice in [0, 1]), and what to read with them."""

    curves: tuple[Curve, ...]
    lower: float
    upper: tuple[float, ...]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a worker needs to set up the same; plain values, to be sent to other processes."""

    model: Path
    data: Path
    split: Split
    mpp: float | None
    device: str
    settings: SimulationSettings
    work: Path
    classes: bool = False
    from_objective: bool = False


def simulate(
    *,
    data: Path,
    model: Path,
    strategies: Sequence[str],
    seeds: int = 3,
    rounds: int | None = None,
    json_file: Path,
    preset: Preset = "quick",
    settings: SimulationSettings | None = None,
    split: Split = "official",
    mpp: float | None = None,
    device: str = "auto",
    spread: Spread = HERE,
    classes: bool = False,
    mpp_from_objective: bool = False,
) -> Work[Simulation]:
    """Run sessions of every strategy with `seeds` seeds on a data set, from the frozen classifier of `model`.

    The training part is the pool, its masks answer; a fifth of its cases chooses epochs where the data set has no
    validation part beside the part that measures (test, else validation). Written as it comes: `json_file`, and beside
    it a CSV of all rounds and a PNG of the curves; what was stopped goes on when the same is asked again (the state is
    in the folder `<json_file>.work`, which can be deleted afterwards). RecipeError when `json_file` holds another
    simulation.

    Sessions run side by side as `spread` says, without `jobs` as many as cores and memory allow; on a cluster the
    folder of `json_file` must be on a disk that all workers have.

    With `classes` a mask has the mask class of its tile's label, decoders learn to tell the classes apart, and the
    curves are of the mean of the classes' Dice; DataError for data of one mask class.
    """
    ways = tuple(dict.fromkeys(Way.parse(text) for text in strategies))
    chosen = settings or PRESETS[preset]
    if rounds is not None:
        chosen = dataclasses.replace(chosen, session=dataclasses.replace(chosen.session, rounds=rounds))
    work = json_file.with_name(f"{json_file.name}.work")
    plan = _Plan(
        model.resolve(), data.resolve(), split, mpp, device, chosen, work.absolute(), classes, mpp_from_objective
    )
    own = dataclasses.replace(plan, device="auto") if spread.is_elsewhere else plan
    setup, dataset, loaded = yield from _setup(own)
    about = _about(plan, dataset, loaded, setup, preset)
    record = _Record.open(json_file, about)
    if record.lower is None:
        record.lower = yield from _class_map_dice(setup, loaded, dataset.scheme)
    while len(record.upper) < seeds:
        record.upper.append((yield from full_supervision(setup, chosen.session, len(record.upper))))
        record.write(json_file)
    left = [(way, seed) for seed in range(seeds) for way in ways if not record.has(way, seed)]
    done = _Done(record, json_file, total=len(ways) * seeds, count=len(ways) * seeds - len(left))
    yield Progress("Simulating", done.count, done.total)
    if not spread.dask:
        spread = Spread(_jobs(spread.jobs, len(left)))
    yield from _in_turn(plan, setup, left, done) if spread.is_here else _together(plan, left, spread, done)
    curves = tuple(record.curve(way, seeds) for way in ways)
    record.write(json_file)
    rows = [row for way in ways for seed in range(seeds) for row in record.rows(way, seed)]
    files = (json_file.with_suffix(".csv"), json_file.with_suffix(".png"))
    write_rounds(files[0], rows)
    draw_curves(files[1], curves, lower=record.lower, upper=float(np.mean(record.upper[:seeds])), title=dataset.name)
    warnings = (*dataset.warnings, *_of_first_rounds(ways))
    return Simulation(curves, record.lower, tuple(record.upper[:seeds]), warnings, (json_file, *files))


def _of_first_rounds(ways: Sequence[Way]) -> list[str]:
    """That a strategy which compares with the round before has none to compare with at first."""
    named = [way.name for way in ways if STRATEGIES[way.acquisition].needs.inputs == "earlier model"]
    if not named:
        return []
    return [f"{', '.join(named)}: the first questions are at random, for there is no earlier round to compare with."]


def simulation_setup(
    *, data: Path, model: Path, work: Path, settings: SimulationSettings | None = None, device: str = "auto"
) -> Work[SimulationSetup]:
    """The tiles that sessions of `simulate` on a data set have, and the classifier, whose features are kept in `work`.

    `settings` are those of the quick preset where none are given. DataError where there are no masks.
    """
    chosen = settings or PRESETS["quick"]
    plan = _Plan(model.resolve(), data.resolve(), "official", None, device, chosen, work.absolute())
    return (yield from _setup(plan))[0]


# --- the setup --------------------------------------------------------------------------------------------------------


def _setup(plan: _Plan) -> Work[tuple[SimulationSetup, DataSet, LoadedModel]]:
    """Tiles and classifier; the parts are split the same way each time."""
    loaded = load_model(plan.model, choose_device(plan.device))
    dataset = yield from read_dataset(
        plan.data,
        split=plan.split,
        mpp=plan.mpp,
        seed=0,
        model_mpp=loaded.card.mpp,
        from_objective=plan.from_objective,
    )
    parts = _parts(dataset, plan.settings)
    scheme = dataset.scheme
    if plan.classes:
        parts = _with_classes(parts[0], scheme), _with_classes(parts[1], scheme), _with_classes(parts[2], scheme)
    pool, validation, test = parts
    setup = SimulationSetup(
        Model(with_decoder(loaded.network), loaded.colours, loaded.device),
        pool=pool,
        validation=validation,
        test=test,
        label_names=dataset.scheme.label_names,
        cache=ArrayCache(plan.work / "kept", limit_bytes=32 * GIB),
        cache_key=loaded.hash,
        mask_classes=len(scheme.masks) if plan.classes else 1,
    )
    return setup, dataset, loaded


def _parts(
    dataset: DataSet, settings: SimulationSettings
) -> tuple[list[TrainingTile], list[TrainingTile], list[TrainingTile]]:
    """Pool, tiles that choose, tiles that measure; all with masks. DataError where that leaves nothing."""
    training = [tile for tile in dataset.training if tile.mask is not None]
    validation = [tile for tile in dataset.validation if tile.mask is not None]
    test = [tile for tile in dataset.test if tile.mask is not None]
    if not test:
        test, validation = validation, []
    if not training or not test:
        raise DataError(
            f"{dataset.name} has no masks to answer questions with, or none to measure with.",
            advice="A simulation needs masks in the training part and in the test or validation part.",
        )
    if not validation:
        labels = [(str(tile.label),) for tile in training]
        aside = set(split_cases([t.case or t.name for t in training], labels, fraction=VALIDATION_FRACTION, seed=0))
        validation = [tile for index, tile in enumerate(training) if index in aside]
        training = [tile for index, tile in enumerate(training) if index not in aside]
    some_validation = _subsampled(validation, settings.test // 4)
    return _subsampled(training, settings.pool), some_validation, _subsampled(test, settings.test)


def _with_classes(tiles: Sequence[TrainingTile], scheme: ClassScheme) -> list[TrainingTile]:
    """The tiles with values in their masks: the mask class of their label; DataError where that tells nothing apart."""
    if len(scheme.masks) < 2:
        raise DataError(
            f"The data has one mask class, {scheme.masks[0].name}: there is nothing to tell apart.",
            advice="Leave --classes away, or give data whose labels have several mask classes.",
        )
    found = []
    for tile in tiles:
        if tile.mask is None or tile.label is None:
            raise DataError(
                f"{tile.name} has no label.", advice="Give every tile a label: it says what its mask is of."
            )
        value = np.uint8(scheme.mask_value_of_label(tile.label))
        found.append(dataclasses.replace(tile, mask=(foreground(tile.mask) * value).astype(np.uint8)))
    return found


def _subsampled(tiles: Sequence[TrainingTile], most: int) -> list[TrainingTile]:
    """At most so many tiles (0: all), equal numbers of each label as far as there are any; the same ones each time."""
    if not most or len(tiles) <= most:
        return list(tiles)
    scores = random_scores(len(tiles), seed=0)
    return [tiles[index] for index in sorted(select(scores, [str(tile.label) for tile in tiles], count=most))]


def _class_map_dice(setup: SimulationSetup, loaded: LoadedModel, scheme: ClassScheme) -> Work[float]:
    """Mean Dice of the classifier's own class maps on the test tiles: where annotation starts from (WSL).

    Of classes the mean of their Dice, the mask classes going by name.
    """
    pairs = []
    classes = []
    for number, tile in enumerate(setup.test_tiles):
        yield Progress("Measuring class maps", number, len(setup.test_tiles))
        output = loaded.predict_tile(tile.pixels, decode=False)
        method = next(name for name in localisation_methods(loaded.card.network) if name != DECODER)
        assert tile.mask is not None  # by _parts
        pairs.append((output.foreground(method) > 0.5, foreground(tile.mask)))
        if setup.mask_classes > 1:
            values = _named_in(scheme, loaded.card.scheme)[output.classes()]
            classes.append((np.where(pairs[-1][0], values, 0).astype(np.uint8), values_of(tile.mask)))
    return class_figures(classes, mask_classes=setup.mask_classes)["class_dice"] if classes else mean_dice(pairs)


def _named_in(scheme: ClassScheme, models: ClassScheme) -> NDArray[np.uint8]:
    """For each label of a model the value of its mask class in the data's scheme; 0 where that has none of the name."""
    names = [label.mask for label in models.labels]
    return np.array([scheme.mask_value(name) if name in scheme.mask_names else 0 for name in names], np.uint8)


# --- sessions ---------------------------------------------------------------------------------------------------------


def _jobs(wanted: int | None, sessions: int) -> int:
    """How many sessions side by side: as asked, else as many as there are cores and memory for; one on a GPU."""
    if wanted is not None:
        return max(1, min(wanted, sessions))
    if torch.cuda.is_available():
        return 1
    room = int(psutil.virtual_memory().available // SESSION_BYTES)
    return max(1, min(os.cpu_count() or 1, room, sessions))


def _in_turn(plan: _Plan, setup: SimulationSetup, sessions: Sequence[tuple[Way, int]], done: _Done) -> Work[None]:
    """One session after the other, with a report of each of their steps."""
    for way, seed in sessions:
        report = functools.partial(done.progress, way, seed)
        rounds = yield from mapped(run_session(plan, setup, way, seed), report)
        done.keep(way, seed, rounds)
        yield report()


def _together(plan: _Plan, sessions: Sequence[tuple[Way, int]], spread: Spread, done: _Done) -> Work[None]:
    """Sessions elsewhere, with a report as they are done, and now and then while none is."""
    parts = [_Session(plan, way, seed) for way, seed in sessions]
    with closing(spread_over(spread, run_elsewhere, parts)) as finished:
        for one in finished:
            if one is None:
                yield done.progress(*sessions[0])
                continue
            done.keep(one.part.way, one.part.seed, one.result())
            yield done.progress(one.part.way, one.part.seed)


@dataclass(frozen=True, slots=True)
class _Session:
    """A session that another process runs."""

    plan: _Plan
    way: Way
    seed: int


_ONE_SESSION = threading.Lock()
"""A worker with several threads runs one session at a time."""


def run_elsewhere(session: _Session) -> list[Round]:
    """All rounds of a session, in a process that is there for such."""
    with _ONE_SESSION:
        return finish(run_session(session.plan, _setup_here(session.plan), session.way, session.seed))


@functools.lru_cache(maxsize=1)
def _setup_here(plan: _Plan) -> SimulationSetup:
    """Tiles and classifier, once in a process."""
    return finish(_setup(dataclasses.replace(plan, device=device_of_worker(plan.device))))[0]


def run_session(plan: _Plan, setup: SimulationSetup, way: Way, seed: int) -> Work[list[Round]]:
    """All rounds of a session; each is kept when it is done, and a session that was stopped goes on after it."""
    settings = plan.settings.session
    consistency = dataclasses.asdict(settings.learn.consistency) if way.consistency else None
    kept = _Kept(plan.work / f"{way.name}-{seed}.safetensors", consistency)
    state, rounds = kept.load(setup, settings, seed) or (first_state(setup, settings, seed), [])
    while state.round < settings.rounds:
        state, found = yield from advance(setup, way, state, settings, seed)
        rounds.append(found)
        kept.save(state, rounds)
    return rounds


@dataclass(frozen=True, slots=True)
class _Kept:
    """A session's state on disk: the decoder's weights, and all else as JSON in the same file.

    One that was consistent by other settings is none.
    """

    file: Path
    consistency: Mapping[str, Any] | None

    def save(self, state: State, rounds: Sequence[Round]) -> None:
        assert state.decoder is not None
        content = {
            "annotated": state.annotated,
            "pseudo": state.pseudo,
            "round": state.round,
            "threshold": state.threshold,
            "rounds": [one.as_json() for one in rounds],
            "consistency": self.consistency,
        }
        weights = {name: tensor.contiguous().cpu() for name, tensor in state.decoder.state_dict().items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with file_beside(self.file) as partial:
            save_file(weights, partial, metadata={"session": json.dumps(content)})

    def load(self, setup: SimulationSetup, settings: SessionSettings, seed: int) -> tuple[State, list[Round]] | None:
        if not self.file.exists():
            return None
        with safe_open(self.file, framework="pt") as opened:
            content = json.loads(opened.metadata()["session"])
            if content.get("consistency") != self.consistency:
                return None
        decoder = setup.fresh_decoder(settings, seed)
        decoder.load_state_dict(load_file(self.file))
        state = State(
            tuple(content["annotated"]), tuple(content["pseudo"]), content["round"], decoder, content["threshold"]
        )
        return state, [_round(one) for one in content["rounds"]]


def _round(content: Mapping[str, Any]) -> Round:
    return Round(**{**content, "asked": tuple(content["asked"])})


# --- the record -------------------------------------------------------------------------------------------------------


def _about(
    plan: _Plan, dataset: DataSet, loaded: LoadedModel, setup: SimulationSetup, preset: Preset
) -> dict[str, Any]:
    """What a simulation is of; another one cannot go on in its file."""
    settings = dataclasses.asdict(plan.settings)
    about = {
        "data_set": dataset.name,
        "split": plan.split,
        "model": loaded.card.name,
        "model_hash": loaded.hash,
        "mpp": dataset.mpp,
        "pool": len(setup.pool),
        "validation": len(setup.validation_tiles),
        "test": len(setup.test_tiles),
        "preset": preset,
        "settings": json.loads(json.dumps(settings)),
    }
    return about | {"mask_classes": list(dataset.scheme.mask_names)} if plan.classes else about


def _less_consistency(about: Mapping[str, Any]) -> dict[str, Any]:
    """All that sessions without consistency go by."""
    session = about["settings"]["session"]
    learn = {name: value for name, value in session["learn"].items() if name != "consistency"}
    return {**about, "settings": {**about["settings"], "session": {**session, "learn": learn}}}


@dataclass(slots=True)
class _Record:
    """The JSON file of a simulation."""

    about: Mapping[str, Any]
    lower: float | None
    upper: list[float]
    sessions: dict[tuple[str, int], list[Round]]

    @staticmethod
    def open(path: Path, about: Mapping[str, Any]) -> _Record:
        """What is there already; RecipeError when it is of something else.

        Sessions that were consistent by other settings are left out, and so are played again.
        """
        if not path.exists():
            return _Record(about, None, [], {})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            same = content["format"] == FORMAT and _less_consistency(content["about"]) == _less_consistency(about)
            steady = content["about"] == about
            sessions = {
                (one["strategy"], one["seed"]): [_round(found) for found in one["rounds"]]
                for one in content["sessions"]
                if steady or not Way.parse(one["strategy"]).consistency
            }
        except (OSError, ValueError, KeyError, TypeError):
            same, sessions = False, {}
        if not same:
            raise RecipeError(
                f"{path} holds something else than this simulation.",
                advice="Give another file, or the same data, model, preset and rounds as before to go on.",
            )
        return _Record(about, content["lower"], list(content["upper"]), sessions)

    def has(self, way: Way, seed: int) -> bool:
        return (way.name, seed) in self.sessions

    def add(self, way: Way, seed: int, rounds: Sequence[Round]) -> None:
        self.sessions[way.name, seed] = list(rounds)

    def curve(self, way: Way, seeds: int) -> Curve:
        runs = [self.sessions[way.name, seed] for seed in range(seeds)]
        return Curve(
            way.name,
            annotated=tuple(one.annotated for one in runs[0]),
            dice=tuple(tuple(one.goal for one in run) for run in runs),
            seconds_training=float(np.mean([one.seconds_training for run in runs for one in run])),
            seconds_asking=float(np.mean([one.seconds_asking for run in runs for one in run[:-1]] or [0])),
        )

    def rows(self, way: Way, seed: int) -> list[dict[str, object]]:
        """A row per round, for the CSV."""
        rows = []
        for one in self.sessions[way.name, seed]:
            row: dict[str, object] = {"strategy": way.name, "seed": seed, **one.as_json()}
            rows.append({**row, "asked": " ".join(one.asked)})
        return rows

    def write(self, path: Path) -> None:
        """The whole file anew, with the curves of the strategies whose seeds are all there."""
        names = {name for name, _seed in self.sessions}
        seeds = {name: [seed for other, seed in self.sessions if other == name] for name in names}
        curves = {
            name: self.curve(Way.parse(name), len(found)).summary()
            for name, found in sorted(seeds.items())
            if sorted(found) == list(range(len(found)))
        }
        sessions = [
            {"strategy": name, "seed": seed, "rounds": [one.as_json() for one in rounds]}
            for (name, seed), rounds in sorted(self.sessions.items())
        ]
        content = {
            "format": FORMAT,
            "version": VERSION,
            "about": self.about,
            "lower": self.lower,
            "upper": self.upper,
            "curves": curves,
            "sessions": sessions,
        }
        with export_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(path, json.dumps(content, indent=1) + "\n")


@dataclass(slots=True)
class _Done:
    """How many of all sessions are done and in the record."""

    record: _Record
    json_file: Path
    total: int
    count: int

    def keep(self, way: Way, seed: int, rounds: Sequence[Round]) -> None:
        """Write a session that is done."""
        self.record.add(way, seed, rounds)
        self.record.write(self.json_file)
        self.count += 1

    def progress(self, way: Way, seed: int, _step: Progress | None = None) -> Progress:
        """Of all sessions, in one of which a step was taken."""
        return Progress("Simulating", self.count, self.total, f"{way.name}, seed {seed}")
