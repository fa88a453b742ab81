"""Which slides a model takes to be unlike its training data: accepted and rejected shares, AUROC, cost.

    python tests/benchmarks/unlike_training_data.py [--model NAME|FOLDER] [--data FOLDER] [--every N] [--write]

FOLDER holds `ebhi-seg/`, `glas/` and `slides/` (default: HISTOLOOP_DATA, else ../shared/data). With --write the
statistics of the EBHI-Seg training tiles are computed anew and kept in the model's folder, and its sum in SHA256SUMS.
With --every the known sets are thinned to every N-th picture. EBHI-Seg's validation cases
and GlaS's test A are what should be accepted, all else what should not; photographs, fundus and the immunostain come
with scikit-image, the others are made of GlaS's test A.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hed2rgb, hsv2rgb, rgb2hed, rgb2hsv

from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.store.cards import CARD, card_text
from histoloop.store.model_folder import METRICS, STATISTICS, save_statistics
from histoloop.store.shipped import DEFAULT_MODEL, SUMS, is_shipped
from histoloop.training.datasets import read_dataset
from histoloop.training.recipe import load_recipe
from histoloop.training.statistics import learn_statistics, statistics_figures
from histoloop.workflows.prediction.loaded_model import LoadedModel, open_model
from histoloop.workflows.prediction.predict_slide import predict_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from histoloop.inference.likeness import TrainingStatistics

ROOT = Path(__file__).resolve().parents[2]
Pixels = NDArray[np.uint8]
PHOTOGRAPHS = (
    *("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "brick.png", "grass.png"),
    *("gravel.png", "coins.png", "page.png", "text.png", "hubble_deep_field.jpg", "color.png"),
)
SKIN = "CMU-1-Small-Region.svs (skin)"
OTHERS = ("retina.jpg", "microaneurysms.png", "cell.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    model = open_model(options.model, device="cpu")
    if options.write:
        write_statistics(model, options.data)
        model = open_model(options.model, device="cpu")
    if model.statistics is None:
        raise SystemExit(f"{model.folder} has no statistics (--write)")
    torch.set_num_threads(1)
    inside = {name: found[:: options.every] for name, found in known_sets(model, options.data).items()}
    outside = unlike_sets(model, options.data)
    skin = options.data / "slides" / "CMU-1-Small-Region.svs"
    measured = {name: np.array([distance(model, each) for each in found]) for name, found in inside.items()}
    measured[SKIN] = np.array([predicted(model, skin)[0]])
    measured |= {name: np.array([distance(model, each) for each in found]) for name, found in outside.items()}
    print("| pictures | number | called unlike, % | median distance |\n|---|---|---|---|")
    for name, values in measured.items():
        print(f"| {name} | {len(values)} | {100 * np.mean(values > 1):.0f} | {np.median(values):.2f} |")
    others = np.concatenate([measured[name] for name in outside])
    for name in inside:
        print(f"AUROC of {name} against all that is unlike: {auroc(measured[name], others):.3f}")
    with_it, without = (predicted(each, skin)[1] for each in (model, dataclasses.replace(model, statistics=None)))
    print(f"CPU seconds to predict {SKIN}: {with_it:.2f}, without telling how unlike it is {without:.2f}")


def write_statistics(model: LoadedModel, data: Path) -> None:
    """Keep those of the EBHI-Seg training part, and their figures on the card, in the model's folder."""
    dataset = finish(read_dataset(data / "ebhi-seg", for_training=False))
    augmentation = load_recipe(model.folder / "recipe.toml").augment
    statistics = finish(learn_statistics(model, dataset.training, augmentation, seed=0))
    assert statistics is not None
    keep_statistics(model, statistics)


def keep_statistics(model: LoadedModel, statistics: TrainingStatistics) -> None:
    """Write the file, the figures on the card, and the sum where the model is a shipped one."""
    save_statistics(model.folder, statistics.as_arrays())
    figures = {name: value for name, value in model.card.figures.items() if not name.startswith("training_like")}
    card = dataclasses.replace(model.card, figures={**figures, **statistics_figures()})
    (model.folder / CARD).write_text(card_text(card), encoding="utf-8", newline="\n")
    metrics = json.dumps(dict(card.figures), indent=2) + "\n"
    (model.folder / METRICS).write_text(metrics, encoding="utf-8", newline="\n")
    sums = model.folder.parent / SUMS
    if is_shipped(model.folder):
        name = f"{model.folder.name}/{STATISTICS}"
        kept = [line for line in sums.read_text(encoding="utf-8").splitlines() if not line.endswith(f"  {name}")]
        digest = hashlib.sha256((model.folder / STATISTICS).read_bytes()).hexdigest()
        sums.write_text("\n".join([*kept, f"{digest}  {name}"]) + "\n", encoding="utf-8", newline="\n")


def distance(model: LoadedModel, pixels: Pixels) -> float:
    """As of a slide: the median over its blocks."""
    assert model.statistics is not None
    return float(np.median(model.statistics.distances(model.block_features(pixels))))


def known_sets(model: LoadedModel, data: Path) -> dict[str, list[Pixels]]:
    """EBHI-Seg's validation cases and GlaS's test A at the model's resolution."""
    ebhi = finish(read_dataset(data / "ebhi-seg", for_training=False))
    glas = finish(read_dataset(data / "glas", model_mpp=model.card.mpp, for_training=False))
    return {
        "EBHI-Seg, validation cases": [tile.pixels for tile in ebhi.validation],
        "GlaS, test A (another laboratory)": [tile.pixels for tile in glas.test],
    }


def unlike_sets(model: LoadedModel, data: Path) -> dict[str, list[Pixels]]:
    """Other stains, fluorescence, photographs, noise, blank, and GlaS in other colours."""
    glas = known_sets(model, data)["GlaS, test A (another laboratory)"][::3]
    pictures = Path(skimage.__file__).parent / "data"
    grains = np.random.default_rng(0)
    made: Mapping[str, Callable[[Pixels], Pixels]] = {
        "GlaS as H-DAB": lambda pixels: stained(pixels, (0, 2), (0, 1)),
        "GlaS, haematoxylin alone": lambda pixels: stained(pixels, (0,), (0,)),
        "GlaS, eosin alone": lambda pixels: stained(pixels, (1,), (1,)),
        "GlaS as DAPI, blue": lambda pixels: np.stack([0 * (dark := dapi(pixels)), 0 * dark, dark], axis=2),
        "GlaS as DAPI, grey": lambda pixels: dapi(pixels)[..., None].repeat(3, axis=2),
        "GlaS in grey": lambda pixels: np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")),
        "GlaS inverted": lambda pixels: 255 - pixels,
        **{f"GlaS, hue turned by {turn}": functools.partial(hued, turn=turn) for turn in (0.1, 0.2, 0.33, 0.5)},
    }
    return {
        "immunostain (scikit-image, ihc)": [rgb(pictures / "ihc.png")],
        "photographs": [rgb(pictures / name) for name in PHOTOGRAPHS],
        "retina, cell in phase contrast": [rgb(pictures / name) for name in OTHERS],
        "noise": [grains.integers(0, 256, (448, 448, 3), dtype=np.uint8) for _ in range(4)],
        "blank": [np.full((448, 448, 3), level, np.uint8) for level in (255, 245, 230)],
        **{name: [change(pixels) for pixels in glas] for name, change in made.items()},
    }


def rgb(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def stained(pixels: Pixels, into: Iterable[int], of: Iterable[int]) -> Pixels:
    """Haematoxylin (0), eosin (1) and DAB (2): the stains `into` get what the stains `of` have."""
    found = rgb2hed(pixels)
    given = np.zeros_like(found)
    for target, source in zip(into, of, strict=True):
        given[..., target] = found[..., source]
    return (np.clip(hed2rgb(given), 0, 1) * 255).astype(np.uint8)


def dapi(pixels: Pixels) -> Pixels:
    return (np.clip(rgb2hed(pixels)[..., 0] / 0.15, 0, 1) * 255).astype(np.uint8)


def hued(pixels: Pixels, turn: float) -> Pixels:
    turned = rgb2hsv(pixels)
    turned[..., 0] = (turned[..., 0] + turn) % 1
    return (hsv2rgb(turned) * 255).astype(np.uint8)


def auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """How often one from outside is farther than one from inside."""
    return float((outside[:, None] > inside).mean() + 0.5 * (outside[:, None] == inside).mean())


def predicted(model: LoadedModel, path: Path) -> tuple[float | None, float]:
    """How unlike a slide is as `histoloop predict` has it, by its blocks with tissue, and CPU seconds."""
    started = time.process_time()
    with open_slide(path) as slide:
        found = finish(predict_slide(slide, model))
    return found.unlike, time.process_time() - started


if __name__ == "__main__":
    main()
