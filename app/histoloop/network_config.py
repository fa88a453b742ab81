"""What a network is made of, as plain values: kept in recipes and cards, readable without torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from histoloop.errors import suggestion

PoolingName = Literal[
    "average", "max", "log-sum-exp", "wildcat", "deep-mil", "attention", "gated-attention", "generalised-mean"
]
POOLINGS: tuple[str, ...] = get_args(PoolingName)

OWN_BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
)
"""Backbones in torchvision's names."""

TIMM = "timm/"
"""What the names of timm's backbones begin with; timm's name of the architecture follows."""

ENCODER = "encoder/"
"""What the names of published encoders begin with; the name of one in resources/encoders follows."""

_NAME_OF_OTHERS = re.compile(rf"({TIMM}|{ENCODER})[A-Za-z0-9_-]{{1,80}}")


def check_backbone(name: str) -> None:
    """ValueError, with the choices, for what cannot be a backbone; that timm knows it is found when it is built."""
    if name not in OWN_BACKBONES and not _NAME_OF_OTHERS.fullmatch(name):
        raise ValueError(
            f"backbone must be one of {', '.join(OWN_BACKBONES)}, one of timm, such as {TIMM}convnext_tiny, or an "
            f"encoder, such as {ENCODER}uni, not {name!r}{suggestion(name, OWN_BACKBONES)}"
        )


ScoreKind = Literal["softmax", "sigmoid"]
"""What scores become probabilities by: labels that exclude each other, or labels that each stand on their own."""

CONSTANT = 1e-5
"""A map whose cells differ by no more than this part of its largest value is constant: the rest is rounding."""


def mask_logits(mask_classes: int) -> int:
    """Logits that a decoder of so many mask classes gives a pixel: 1 of one foreground, else K + 1."""
    return 1 if mask_classes == 1 else mask_classes + 1


@dataclass(frozen=True, slots=True)
class PoolingConfig:
    """Which pooling, with its numbers; each ignores the numbers of the others.

    WILDCAT: `kmax`, `kmin` below 1 are a fraction of the cells (at least one cell; exactly 0: none), from 1 on a
    count; `alpha` weighs the lowest cells; `dropout` of cells while training (min-max, appendix B.2). Log-sum-exp:
    `sharpness` is q, towards the mean at 0 and the maximum at infinity. Deep MIL: `zeroed` is the fraction d of
    scores set to 0 inside the softmax while training. Attention (deep MIL adapted): `hidden` is the width L of the
    scoring function. Generalised mean: `exponent` is r.
    """

    name: PoolingName = "wildcat"
    modalities: int = 5
    kmax: float = 0.1
    kmin: float = 0.1
    alpha: float = 0.6
    variant: Literal["sum", "half", "top"] = "sum"
    dropout: float = 0.0
    sharpness: float = 10.0
    zeroed: float = 0.0
    hidden: int = 128
    exponent: int = 4

    def __post_init__(self) -> None:
        if self.name not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {self.name!r}")
        if self.variant not in ("sum", "half", "top"):
            raise ValueError(f"WILDCAT's variant must be 'sum', 'half' or 'top', not {self.variant!r}")
        if self.modalities < 1:
            raise ValueError(f"modalities must be at least 1, not {self.modalities}")
        if self.kmax <= 0 or self.kmin < 0:
            raise ValueError(f"kmax must be above 0 and kmin at least 0, not {self.kmax} and {self.kmin}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must lie in [0, 1], not {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {self.dropout}")
        if not self.sharpness > 0:
            raise ValueError(f"sharpness must be above 0, not {self.sharpness}")
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, not {self.hidden}")
        if self.exponent < 1:
            raise ValueError(f"exponent must be at least 1, not {self.exponent}")
        if not 0 <= self.zeroed <= 1:
            raise ValueError(f"zeroed must be a fraction from 0 to 1, not {self.zeroed}")


@dataclass(frozen=True, slots=True)
class MinMaxConfig:
    """How min-max entropy localisation makes a mask of the localizer's maps (min-max eq 10-11).

    `omega` is the steepness of the sigmoid and `threshold` (the paper's sigma') the place where it is one half.
    `mask_norm` 'none' thresholds the maps as they are (eq 11); 'image' first stretches each map to [0, 1] by its own
    lowest and highest cell. That is the default, because scores have no bound: only so is a threshold of 0.5 half way
    between the least and the most evidence. Its price: the strongest cell of every map is foreground, however weak.
    With `detach` the classifier takes the mask as given (footnote 5); without, its losses train the localizer too.
    The classifier sees masked tiles at `classifier_scale` of their size: 1 by the paper's text, 0.5 in its code.
    """

    omega: float = 8.0
    threshold: float = 0.5
    mask_norm: Literal["none", "image"] = "image"
    detach: bool = True
    classifier_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.classifier_scale <= 1:
            raise ValueError(f"classifier_scale must be above 0 and at most 1, not {self.classifier_scale}")
        if self.mask_norm not in ("none", "image"):
            raise ValueError(f"mask_norm must be 'none' or 'image', not {self.mask_norm!r}")
        if not 0 < self.omega < math.inf:
            raise ValueError(f"omega must be a number above 0, not {self.omega}")
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold must be a number, not {self.threshold}")
        if self.mask_norm == "image" and not 0 < self.threshold < 1:
            raise ValueError(f"the threshold of maps in [0, 1] must lie between 0 and 1, not at {self.threshold}")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """All that is needed to build the network; kept in the model's card.

    `labels` counts the label classes; without any there is no classifier, no class maps, and a decoder alone.

    `stride` is the input pixels per cell of the class maps, 32 or 16. `background` adds a map of what belongs to no
    label (size supervision). `scores` 'sigmoid' gives each label a probability of its own. No `decoder_channels`: no
    decoder, the masks come from the class maps. With `minmax` the network is a localizer and a classifier over one
    backbone.

    `mask_classes` K of the decoder: 1 is one foreground, a logit and its sigmoid (label-prop); from 2 on K + 1 logits,
    background first, and their softmax.

    Scores are divided by the `temperature` before they become probabilities (Guo et al. 2017); no label changes by it.
    """

    labels: int
    backbone: str = "resnet18"
    stride: int = 32
    pooling: PoolingConfig = field(default_factory=PoolingConfig)
    background: bool = False
    decoder_channels: tuple[int, ...] = (96, 64, 48, 32, 16)
    minmax: MinMaxConfig | None = None
    scores: ScoreKind = "softmax"
    mask_classes: int = 1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.labels < 0 or (self.labels == 0 and (not self.decoder_channels or self.background)):
            raise ValueError(f"a network needs at least one label class, or a decoder alone, not {self.labels}")
        check_backbone(self.backbone)
        if self.stride not in (16, 32):
            raise ValueError(f"stride must be 16 or 32, not {self.stride}")
        if self.decoder_channels and (self.stride != 32 or self.minmax is not None):
            raise ValueError("a decoder needs a stride of 32 and no minmax: leave decoder_channels empty")
        if self.decoder_channels and (len(self.decoder_channels) != 5 or min(self.decoder_channels) < 1):
            raise ValueError(f"decoder_channels must be five widths, or none, not {self.decoder_channels}")
        if self.mask_classes < 1 or (self.mask_classes > 1 and not self.decoder_channels):
            raise ValueError(f"mask_classes must be 1, or more with a decoder, not {self.mask_classes}")
        if self.background and self.attends:
            raise ValueError("a background map cannot be pooled by attention: choose another pooling")
        if self.minmax is not None and (self.attends or self.background):
            raise ValueError("min-max entropy takes neither attention pooling nor a background map")
        if self.scores not in get_args(ScoreKind):
            raise ValueError(f"scores must be 'softmax' or 'sigmoid', not {self.scores!r}")
        if self.minmax is not None and self.scores == "sigmoid":
            raise ValueError("min-max entropy weighs its maps by a softmax over the labels: scores cannot be 'sigmoid'")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a number above 0, not {self.temperature}")
        if self.minmax is not None and self.temperature != 1:
            raise ValueError("min-max entropy weighs its maps by the localizer's posterior as it is: no temperature")

    @property
    def decodes_classes(self) -> bool:
        """Whether the decoder tells mask classes apart; else it gives one foreground, or there is none."""
        return self.mask_classes > 1

    @property
    def mask_logits(self) -> int:
        """How many logits a pixel gets from the decoder: one, or one for the background and one a mask class."""
        return mask_logits(self.mask_classes)

    @property
    def attends(self) -> bool:
        """Whether attention energies follow the maps of the labels."""
        return self.pooling.name in ("attention", "gated-attention")

    def map_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the network's maps: the labels first, then the background or each label's attention, if any."""
        if self.attends and labels:
            return (*labels, *(f"attention of {label}" for label in labels))
        return (*labels, "background") if self.background else labels
