"""How much of what people annotated as gland or tumour lies on what is taken to be glass (slides/tissue.py).

    python tests/benchmarks/glass.py [--data FOLDER]

FOLDER holds `glas/` and `ebhi-seg/` (default: HISTOLOOP_DATA, else ../shared/data).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from histoloop.progress import finish
from histoloop.slides.tissue import specimen_of, tissue_of
from histoloop.training.datasets import read_dataset

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    options = parser.parse_args()
    print("| data set | pictures | annotated pixels | of them not tissue, % | of them on glass, % | glass, % |")
    print("|---|---|---|---|---|---|")
    for name in ("glas", "ebhi-seg"):
        dataset = finish(read_dataset(options.data / name, for_training=False))
        annotated = unstained = lost = glass = pixels = 0
        tiles = [tile for tile in (*dataset.training, *dataset.validation, *dataset.test) if tile.mask is not None]
        for tile in tiles:
            assert tile.mask is not None
            mask, specimen = tile.mask > 0, specimen_of(tile.pixels, pixel_um=dataset.mpp)
            annotated, pixels = annotated + int(mask.sum()), pixels + mask.size
            unstained += int((mask & ~tissue_of(tile.pixels)).sum())
            lost, glass = lost + int((mask & ~specimen).sum()), glass + int((~specimen).sum())
        shares = (100 * unstained / annotated, 100 * lost / annotated, 100 * glass / pixels)
        figures = " | ".join(f"{share:.4f}" for share in shares)
        print(f"| {dataset.name} | {len(tiles)} | {annotated} | {figures} |")


if __name__ == "__main__":
    main()
