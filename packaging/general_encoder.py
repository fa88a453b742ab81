"""Make the general encoder in models/ out of ImageNet weights, and write its hash into models/SHA256SUMS.

    python packaging/general_encoder.py WEIGHTS EBHI-SEG

WEIGHTS is a .safetensors file of a MobileNetV2 in torchvision's names, whose input is (x - 128) / 128 and whose batch
norms may be folded into the convolutions; these get the statistics of EBHI-SEG's training tiles, under which the
network computes the same and can be trained on. The backbone alone goes into the model, in half precision.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import UTC, datetime
from pathlib import Path

import torch

from histoloop import paths
from histoloop.annotations.records import ClassScheme, MaskClass
from histoloop.network_config import NetworkConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import finish
from histoloop.store.cards import Card, model_hash
from histoloop.store.files import write_beside
from histoloop.store.model_folder import BACKBONE, save_model
from histoloop.store.shipped import DEFAULT_ENCODER, SUMS
from histoloop.training.datasets import read_dataset
from histoloop.training.pretrained import is_folded, start_backbone, unfold

HALF = 128 / 255
MPP = 1.15
TILES = 64

DESCRIPTION = """An encoder for projects of any tissue and any classes: a MobileNetV2 that has seen everyday pictures
(ImageNet) and nothing else. It finds nothing by itself. A project that begins with it asks its first questions where
they cover the tissue, and a decoder over it learns the classes that people paint; docs/results.md compares it with
other encoders. The resolution of 1.15 um per pixel is the one at which it was compared.

Its batch norms, which the published weights have folded into the convolutions, were given the statistics of {tiles}
training tiles of EBHI-Seg; what the network computes is the same. Research use only: not a diagnostic device.
"""
ATTRIBUTION = (
    "MobileNetV2 (Sandler et al. 2018) with ImageNet weights, Apache-2.0. Statistics of its batch norms from EBHI-Seg "
    "(Shi et al. 2023), CC BY 4.0."
)


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("tiles", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = Hybrid(NetworkConfig(labels=0, backbone="mobilenet_v2"))
    finish(start_backbone(network.backbone, "mobilenet_v2", str(options.weights)))
    colours = Colours((HALF,) * 3, (HALF,) * 3)
    tiles = finish(read_dataset(options.tiles, model_mpp=MPP)).training
    some = tiles[:: max(1, len(tiles) // TILES)]
    if is_folded(network.backbone):
        pictures = (torch.from_numpy(tile.pixels).permute(2, 0, 1)[None].float() / 255 for tile in some)
        unfold(network.backbone, map(colours.normalise, pictures))
    card = Card(
        name=DEFAULT_ENCODER,
        title="General encoder: MobileNetV2, ImageNet",
        description=DESCRIPTION.format(tiles=len(some)),
        licence="Apache-2.0",
        attribution=ATTRIBUTION,
        network=network.config,
        scheme=ClassScheme((), (MaskClass("foreground", ""),)),  # a scheme has one at least; a project brings its own
        mpp=MPP,
        mean=colours.mean,
        std=colours.std,
        training={},
        figures={},
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        trained=False,
        knows_labels=False,
    )
    folder = paths.shipped_models() / DEFAULT_ENCODER
    shutil.rmtree(folder, ignore_errors=True)
    weights = {name: one for name, one in network.state_dict().items() if name.startswith(BACKBONE)}
    save_model(folder, card, to_arrays(weights), recipe="", half=True)
    sums = paths.shipped_models() / SUMS
    others = [line for line in sums.read_text("utf-8").splitlines() if f"  {DEFAULT_ENCODER}/" not in line]
    write_beside(sums, "\n".join([*others, f"{model_hash(folder)}  {DEFAULT_ENCODER}/weights.safetensors"]) + "\n")


if __name__ == "__main__":
    main()
