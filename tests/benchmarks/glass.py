"""How much of what people annotated as gland or tumour lies on what is taken to be glass (slides/tissue.py).

    python tests/benchmarks/glass.py [--data FOLDER] [--sample NUMBER]

FOLDER holds `glas/` and `ebhi-seg/` (default: HISTOLOOP_DATA, else ../shared/data); of each at most NUMBER pictures are
looked at. The pictures are fields full of tissue, most without glass. Therefore each is also laid on glass: lumens
that its border cuts are open to that glass then, which is harder than any slide.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.progress import finish
from histoloop.slides.tissue import specimen_of, tissue_of
from histoloop.training.datasets import read_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
AROUND_UM, COARSE_UM, GLASS = 170.0, 1.15, (243, 240, 243)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--sample", type=int, metavar="NUMBER")
    options = parser.parse_args()
    print("| data set | pictures | annotated pixels | not tissue, % | on glass | glass, % | so laid on glass, % |")
    print("|---|---|---|---|---|---|---|")
    for name in ("glas", "ebhi-seg"):
        dataset = finish(read_dataset(options.data / name, for_training=False))
        annotated = unstained = lost = glass = pixels = laid = lost_laid = 0
        tiles = [tile for tile in (*dataset.training, *dataset.validation, *dataset.test) if tile.mask is not None]
        if options.sample is not None and options.sample < len(tiles):
            chosen = np.random.default_rng(0).permutation(len(tiles))[: options.sample]
            tiles = [tiles[index] for index in sorted(chosen)]
        for tile in tiles:
            assert tile.mask is not None
            mask, specimen = tile.mask > 0, specimen_of(tile.pixels, pixel_um=dataset.mpp)
            annotated, pixels = annotated + int(mask.sum()), pixels + mask.size
            unstained += int((mask & ~tissue_of(tile.pixels)).sum())
            lost, glass = lost + int((mask & ~specimen).sum()), glass + int((~specimen).sum())
            on_glass, mask_there, pixel_um = laid_on_glass(tile.pixels, mask, dataset.mpp)
            laid += int(mask_there.sum())
            lost_laid += int((mask_there & ~specimen_of(on_glass, pixel_um=pixel_um)).sum())
        shares = (100 * glass / pixels, 100 * lost_laid / laid)
        figures = " | ".join((f"{100 * unstained / annotated:.1f}", str(lost), *(f"{share:.4f}" for share in shares)))
        print(f"| {dataset.name} | {len(tiles)} | {annotated} | {figures} |")


def laid_on_glass(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], mpp: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], float]:
    """A picture and its mask on glass, in pixels of about a micrometre, whose width is the last."""
    pixel_um = max(mpp, COARSE_UM)
    size = (round(pixels.shape[1] * mpp / pixel_um), round(pixels.shape[0] * mpp / pixel_um))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    small_mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    around = round(AROUND_UM / pixel_um)
    on_glass = np.full((size[1] + 2 * around, size[0] + 2 * around, 3), GLASS, np.uint8)
    on_glass[around:-around, around:-around] = small
    return on_glass, np.pad(small_mask, around), pixel_um


if __name__ == "__main__":
    main()
