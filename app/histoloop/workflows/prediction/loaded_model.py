"""Load models; choose the device they run on."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.errors import DeviceError, ModelError
from histoloop.inference.likeness import TrainingStatistics
from histoloop.inference.model import Model
from histoloop.language import tr
from histoloop.localisation.stitcher import mask_from_maps, mask_of_classes
from histoloop.networks.arrays import to_tensors
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.store.cards import Card, load_card, model_hash
from histoloop.store.encoders import weights_of_encoder
from histoloop.store.model_folder import BACKBONE, STATISTICS, load_earlier, load_statistics, load_weights
from histoloop.store.shipped import DEFAULT_MODEL, check_shipped, find_model, shipped_twin
from histoloop.training.pretrained import start_backbone
from histoloop.workflows.cluster.processes import own_place

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from histoloop.annotations.records import Mask
    from histoloop.networks.network import SlideNetwork
    from histoloop.slides.reader import Pixels
    from histoloop.store.records import ModelRecord


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel(Model):
    """A model with its card, in evaluation mode on its device; `hash` identifies the weights in its folder.

    `shown_as` are the mask values that its classes, in their order, count as; its own where it is empty.
    `statistics` are of the tiles that it was trained on; None where its folder does not keep them.
    """

    folder: Path
    card: Card
    hash: str
    shown_as: tuple[int, ...] = ()
    statistics: TrainingStatistics | None = None

    def predict_mask(self, pixels: Pixels) -> NDArray[np.bool_]:
        """The foreground (H, W) of a tile at the card's threshold."""
        mask: NDArray[np.bool_] = self.predict_tile(pixels).foreground() > self.card.threshold
        return mask

    def predict_classes(self, pixels: Pixels) -> Mask:
        """The mask (H, W) of a tile in the card's mask classes, or as these are shown.

        A decoder's that tells them apart; else of the foreground, with the classes of the class maps.
        """
        mask = self._own_classes(pixels)
        return np.array((0, *self.shown_as), np.uint8)[mask] if self.shown_as else mask

    def _own_classes(self, pixels: Pixels) -> Mask:
        output, config = self.predict_tile(pixels), self.network.config
        if config.decodes_classes and output.decoded is not None:
            return mask_of_classes(output.decoded, threshold=self.card.threshold)
        return mask_from_maps(
            output.foreground(),
            output.maps[: config.labels],
            self.card,
            threshold=self.card.threshold,
            stride_px=config.stride,
        )

    def with_network(self, network: SlideNetwork) -> LoadedModel:
        """The same with another network, which the card describes; in evaluation mode."""
        card = dataclasses.replace(self.card, network=network.config)
        return dataclasses.replace(self, network=network.eval(), card=card)


def choose_device(name: str) -> torch.device:
    """'auto' takes a working CUDA GPU if there is one; 'cuda:1' is the second one.

    DeviceError when 'cuda' is asked for and there is none, or none of that number.
    """
    number = name.removeprefix("cuda:")
    if name not in ("auto", "cpu", "cuda") and (number == name or not (number.isascii() and number.isdigit())):
        raise DeviceError(
            tr("There is no device {name!r}.", name=name), advice=tr("Choose auto, cpu, cuda, or cuda:0 and so on.")
        )
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda") if number == name else _gpu(int(number))
    if name != "auto":
        raise DeviceError(
            tr("No CUDA GPU can be used."),
            advice=tr("Run `histoloop doctor` to see why, or choose the device cpu or auto."),
        )
    return torch.device("cpu")


def _gpu(number: int) -> torch.device:
    if number >= (count := torch.cuda.device_count()):
        raise DeviceError(
            tr("There is no GPU number {number}.", number=number),
            advice=tr("This computer has {count}, counted from 0.", count=count),
        )
    return torch.device("cuda", number)


def nth_device(name: str, number: int) -> str:
    """The device of the `number`-th of several processes beside each other: where any GPU will do they take turns."""
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    return f"cuda:{number % torch.cuda.device_count()}"


def device_of_worker(name: str) -> str:
    """The device for this process among those beside it, which also gets its share of the threads."""
    if (place := own_place()) is None:
        return name
    torch.set_num_threads(place.threads)
    return nth_device(name, place.number)


def open_model(name_or_folder: str | Path = DEFAULT_MODEL, *, device: str = "auto") -> LoadedModel:
    """A model by the name of a shipped one or by its folder, on 'auto', 'cpu', 'cuda' or 'cuda:N'.

    ModelError when there is none or it is broken, DeviceError when the device is not there.
    """
    return load_model(find_model(name_or_folder), choose_device(device))


def load_project_model(record: ModelRecord, device: torch.device) -> LoadedModel:
    """A model of a project; ModelError when its weights are not those that the project keeps."""
    return load_model(record.folder, device, expected=record.hash)


def load_model(folder: Path, device: torch.device, *, expected: str | None = None) -> LoadedModel:
    """Build the network of a model's card and fill in its weights; ModelError when they do not fit.

    `expected` is the hash of its weights, where it is known: others are refused.
    """
    card = load_card(folder)
    digest = model_hash(folder)
    check_shipped(folder, digest)
    if expected is not None and digest != expected:
        raise ModelError(
            tr("The weights in {folder} are not those that the project keeps: they were changed.", folder=folder),
            advice=tr("Restore this folder from a backup, or choose another model."),
        )
    network = _filled(card, folder, to_tensors(load_weights(folder)))
    colours = Colours(card.mean, card.std)
    _log.info("model %s on %s", digest[:12], device)
    statistics = _statistics(folder, network, digest)
    return LoadedModel(
        network.eval().to(device), colours, device, folder=folder, card=card, hash=digest, statistics=statistics
    )


def _statistics(folder: Path, network: SlideNetwork, digest: str) -> TrainingStatistics | None:
    """Those in a model's folder; ModelError when they are broken or of another network.

    A copy of a shipped model that an earlier version made without has the shipped ones.
    """
    arrays = load_statistics(folder)
    if arrays is None and (twin := shipped_twin(digest)) is not None:
        folder, arrays = twin, load_statistics(twin)
    if arrays is None:
        return None
    try:
        found = TrainingStatistics.of_arrays(arrays)
        widths = tuple(depth.middles.shape[1] for depth in found.depths[1:])
        if widths != tuple(network.backbone.channels):
            raise ValueError(f"depths of {widths} channels")
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(
            tr("{path} is broken, or not of the weights beside it.", path=folder / STATISTICS),
            advice=tr("Copy the model folder again in full."),
        ) from error
    return found


def one_epoch_earlier(model: LoadedModel) -> LoadedModel:
    """The model as it was an epoch or more before it was kept; ModelError where its folder does not keep that."""
    network = _filled(model.card, model.folder, to_tensors(load_earlier(model.folder)))
    return dataclasses.replace(model, network=network.eval().to(model.device))


def check_trained(card: Card) -> None:
    """Raise ModelError for a model that nobody has trained: what it would predict means nothing."""
    if not card.trained:
        raise ModelError(
            tr("{title} predicts nothing.", title=card.title),
            advice=tr("Ask for regions, annotate them, and retrain: the first trained model predicts."),
        )


def _filled(card: Card, folder: Path, tensors: dict[str, Tensor]) -> SlideNetwork:
    """The network of a card with these weights; ModelError when they do not fit.

    The backbone may come from an encoder's file. Of a model that is not trained the rest is random, the same each time.
    """
    network = build_network(card.network) if card.trained else _untrained(card)
    if card.encoder is not None:
        path = weights_of_encoder(card.encoder)
        finish(start_backbone(network.backbone, card.network.backbone, str(path)))
    try:
        fitted = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise _unfit(folder) from error
    lacking = [name for name in fitted.missing_keys if not _may_lack(card, name)]
    if lacking or fitted.unexpected_keys:
        raise _unfit(folder)
    return network


def _may_lack(card: Card, name: str) -> bool:
    """Whether the weights of a model may be without a tensor, which comes from elsewhere."""
    return card.encoder is not None if name.startswith(BACKBONE) else not card.trained


def _untrained(card: Card) -> SlideNetwork:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build_network(card.network)


def _unfit(folder: Path) -> ModelError:
    return ModelError(
        tr("The weights in {folder} do not fit the network its card describes.", folder=folder),
        advice=tr("Copy the model folder again in full, or choose another model."),
    )
