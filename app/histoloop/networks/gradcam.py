"""Grad-CAM: where a class score comes from, at any layer of any classifier (Selvaraju et al. 2017)."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from histoloop.errors import ModelError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def grad_cam(
    network_scores: Callable[[Tensor], Tensor], layer: nn.Module, tiles_BCHW: Tensor, labels_B: Tensor
) -> Tensor:
    """(B, h, w) maps of one class a tile, 0 or above, at the resolution of the layer (thesis eq 1.15-1.16).

    `network_scores` gives scores (B, C) before softmax of whatever tiles it takes, each on its own (evaluation mode);
    `layer` is a module with an output (B, K, h, w) on its way; when it runs more than once, its last run counts.
    Under average pooling and a linear head after the layer, the map before the ReLU is the class activation map
    without its bias, divided by h * w.

    Frozen parameters, `no_grad` and `inference_mode` do not matter; neither gradients nor hooks are left behind.
    ValueError when the scores do not depend on the layer, or its output has another shape.
    """
    with torch.inference_mode(False), torch.enable_grad(), _outputs_of(layer) as outputs:
        tiles, labels = tiles_BCHW.detach().clone(), labels_B.clone()  # inference tensors have no gradients
        score = _class_scores(network_scores(tiles), labels).sum()
        features_BKHW = _last(outputs)
        gradient_BKHW = _gradient(score, features_BKHW).float()
    weights_BK = gradient_BKHW.mean(dim=(2, 3))
    return torch.einsum("bk,bkhw->bhw", weights_BK, features_BKHW.detach().float()).relu()


def normalised(maps_BHW: Tensor) -> Tensor:
    """Each map from 0 at its lowest to 1 at its highest value, on its own; a constant map is 0 everywhere."""
    lowest = maps_BHW.amin(dim=(1, 2), keepdim=True)
    span = maps_BHW.amax(dim=(1, 2), keepdim=True) - lowest
    return torch.where(span > 0, (maps_BHW - lowest) / span.where(span > 0, 1.0), 0.0)


def layer_named(network: nn.Module, name: str) -> nn.Module:
    """The module at a dotted name such as 'classifier.backbone.layer4'; ModelError with the nearest names."""
    layers: dict[str, nn.Module] = {path: module for path, module in network.named_modules() if path}
    if name in layers:
        return layers[name]
    near = difflib.get_close_matches(name, layers, n=5, cutoff=0.5)
    outermost = ", ".join(path for path, _ in network.named_children())
    advice = (
        tr("Did you mean one of {names}?", names=", ".join(near))
        if near
        else tr("The names of layers begin with {names}.", names=outermost)
    )
    raise ModelError(tr("The network has no layer {name!r}.", name=name), advice=advice)


@contextmanager
def _outputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what the layer puts out, as leaves that the rest of the network is differentiated with respect to."""
    outputs: list[Tensor] = []

    def watch(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"Grad-CAM needs a layer with an output (B, K, h, w), not {shape}")
        leaf = output.detach().clone().requires_grad_()
        outputs.append(leaf)
        return leaf.clone()  # what follows may work in place, which would change or break the leaf

    hook = layer.register_forward_hook(watch)
    try:
        yield outputs
    finally:
        hook.remove()


def _class_scores(scores_BC: Tensor, labels_B: Tensor) -> Tensor:
    if scores_BC.ndim != 2 or scores_BC.shape[:1] != labels_B.shape:
        raise ValueError(f"scores {tuple(scores_BC.shape)} do not fit {tuple(labels_B.shape)} labels: one a tile")
    if bool(((labels_B < 0) | (labels_B >= scores_BC.shape[1])).any()):
        raise ValueError(f"labels {labels_B.tolist()} are not all indices of {scores_BC.shape[1]} classes")
    return scores_BC.gather(1, labels_B[:, None])


def _last(outputs: list[Tensor]) -> Tensor:
    if not outputs:
        raise ValueError("the layer is not used when the network scores tiles")
    return outputs[-1]


def _gradient(score: Tensor, features_BKHW: Tensor) -> Tensor:
    independent = "the scores do not depend on the layer"
    if not score.requires_grad:
        raise ValueError(independent)
    (gradient,) = torch.autograd.grad(score, features_BKHW, allow_unused=True)
    if gradient is None:
        raise ValueError(independent)
    return gradient
