"""Draw a foreground out of class maps: every way from a label to a mask that needs no decoder.

Maps are numpy arrays at any resolution, so that the masks of a slide can be made anew without running the network.
A localisation method gives each pixel a value in [0, 1]; above 0.5 it is foreground by the method's own rule. What
depends on the whole slide (its label, its posterior, the norm of an attention) is summed up first from the coarse maps,
what depends on the pixel is computed from the upsampled maps: the maps are resized, never the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp, softmax

from histoloop.language import mark
from histoloop.network_config import CONSTANT, NetworkConfig

Floats = NDArray[np.float32]

DECODER = "decoder"
MIN_MAX = "min-max"

_ABOVE_HALF = np.float32(0.5 + 2.0**-11)
"""The next value after one half in half precision, in which maps are stored: foreground stays foreground."""


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What a method needs to know of the whole slide (or tile).

    `label` is the index of the label whose foreground is found, and `others` sum up further labels to find with it;
    `posterior` (C,) of the labels; `low` and `high` the range of the quantity over the cells; `bias_C` what the head
    adds to the labels' maps (empty: nothing); `log_norm` the log of the sum of exp of the attention energies over the
    cells, less the log of their number.
    """

    label: int
    posterior: Floats
    low: float = 0.0
    high: float = 1.0
    bias_C: tuple[float, ...] = ()
    log_norm: float = 0.0
    others: tuple[Summary, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalisationMethod:
    """A way to draw: `title` for the user, `summarise` over a slide's cells, `values` of pixels (see the functions).

    `of_label` distinguishes methods that find the foreground of one label from those that find one foreground of all.
    """

    title: str
    summarise: Callable[[Floats, Summary, NetworkConfig], Summary]
    values: Callable[[Floats, Summary, NetworkConfig], Floats]
    of_label: bool = True


def localisation_methods(config: NetworkConfig) -> tuple[str, ...]:
    """The localisation methods a network offers; the first is the one it was made for. 'decoder' uses no class maps."""
    if not config.labels:
        return (DECODER,)
    if config.minmax is not None:
        return (MIN_MAX, "cam")
    if config.background:
        own: tuple[str, ...] = ("size",)
    elif config.attends:
        own = ("attention", "attention-half", "cam")
    elif config.pooling.name == "generalised-mean":
        own = ("sigmoid", "cam", "grad-cam")
    elif config.pooling.name == "wildcat" and config.pooling.alpha == 1:
        own = ("cam",)  # the highest and the lowest cells cancel each other in the gradient's mean
    else:
        own = ("cam", "grad-cam")
    if config.scores == "sigmoid" and "cam" in own and "sigmoid" not in own:
        place = own.index("cam")
        own = (*own[:place], "sigmoid", *own[place:])
    return (DECODER, *own) if config.decoder_channels else own


def summarise(
    name: str,
    maps_KN: Floats,
    config: NetworkConfig,
    *,
    posterior: Floats,
    bias_C: Sequence[float] = (),
    labels: Sequence[int] = (),
) -> Summary:
    """Sum up the predicted cells (K, N) of a slide for the foreground of `labels`; without any, of the predicted ones.

    `bias_C` is what the head adds to the labels' maps (nothing when left out): no part of Grad-CAM.
    """
    method = _method(name)

    def of(label: int) -> Summary:
        return method.summarise(maps_KN, Summary(label, posterior, bias_C=tuple(bias_C)), config)

    first, *others = labels or predicted_labels(posterior)
    return replace(of(first), others=tuple(map(of, others)) if method.of_label else ())


def localise(name: str, maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """Values (H, W) in [0, 1] of maps (K, H, W) that were upsampled to the pixels; above 0.5 is foreground.

    Of several labels, the highest value: foreground is what is foreground of any.
    """
    method = _method(name)
    drawn = [method.values(maps_KHW, own, config) for own in (summary, *summary.others)]
    values: Floats = np.maximum.reduce(drawn).astype(np.float32)
    return values


def title(name: str) -> str:
    """What a method is called in the window, in English; marked, for `tr`."""
    return mark("Decoder") if name == DECODER else _method(name).title


def takes_label(name: str) -> bool:
    """Whether a method finds one label, so that another label can be asked for."""
    return name != DECODER and _method(name).of_label


def weighs_both_sides(name: str) -> bool:
    """Whether what a method leaves is evidence against, R- = 1 - R+ (min-max eq 11), and not merely less evidence."""
    return name == MIN_MAX


def _method(name: str) -> LocalisationMethod:
    if name not in METHODS:
        raise ValueError(f"no localisation method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


# --- each method --------------------------------------------------------------------------------------------------


def _as_it_is(_maps_KN: Floats, summary: Summary, _config: NetworkConfig) -> Summary:
    return summary


def _cam(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """Softmax between the label and its strongest rival, pixel by pixel: above 0.5 where the label is the argmax.

    Of equals the lowest label is the argmax. With one label there is no rival: the sigmoid of its map.
    """
    maps = maps_KHW[: config.labels]
    if config.labels == 1:
        return _values(maps[0])
    rivals = np.delete(maps, summary.label, axis=0)
    return _decided(maps[summary.label] - rivals.max(axis=0), maps.argmax(axis=0) == summary.label)


def _sigmoid(maps_KHW: Floats, summary: Summary, _config: NetworkConfig) -> Floats:
    """The sigmoid of the label's map (Jia et al. 2017; thesis ch. 4)."""
    return _values(maps_KHW[summary.label])


def _size(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """Softmax between the strongest label and the background, the last map (thesis 4.3): argmax over all classes.

    The background comes last, so that equals are foreground.
    """
    margin = maps_KHW[: config.labels].max(axis=0) - maps_KHW[config.labels]
    return _decided(margin, margin >= 0)


def _attention_norm(maps_KN: Floats, summary: Summary, config: NetworkConfig) -> Summary:
    energies = maps_KN[config.labels + summary.label].astype(np.float64)  # equal energies are to have no foreground
    norm = float(logsumexp(energies) - np.log(energies.size))
    return replace(summary, log_norm=norm)


def _attention(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """With the attention a over the N cells, a N / (1 + a N): above 0.5 where a > 1 / N (thesis 1.4)."""
    return _values(maps_KHW[config.labels + summary.label] - summary.log_norm)


def _attention_half(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """2 a N / (1 + 2 a N): above 0.5 where a > 1 / (2 N), as in the code behind the thesis' figures (Tab. 2.7)."""
    return _values(maps_KHW[config.labels + summary.label] - summary.log_norm + np.float32(np.log(2)))


def _evidence(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """T, the maps weighed by the posterior (min-max eq 10)."""
    evidence: Floats = np.einsum("k,k...->...", summary.posterior, maps_KHW[: config.labels])
    return evidence


def _evidence_range(maps_KN: Floats, summary: Summary, config: NetworkConfig) -> Summary:
    evidence = _evidence(maps_KN, summary, config)
    return replace(summary, low=float(evidence.min()), high=float(evidence.max()))


def _minmax(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """R+ (min-max eq 11), foreground from 0.5 on; with the norm 'image', of T scaled to [0, 1] over all cells."""
    assert config.minmax is not None  # localisation_methods() offers it to no other network
    evidence = _evidence(maps_KHW, summary, config)
    if config.minmax.mask_norm == "image":
        evidence = _scaled(evidence, summary)
    above = evidence - config.minmax.threshold
    return _decided(config.minmax.omega * above, above >= 0)


def _grad_cam(maps_KHW: Floats, summary: Summary, config: NetworkConfig) -> Floats:
    """Grad-CAM of the last convolution (thesis eq 1.15-1.16): the argmax over the labels' positive maps, as for CAM.

    The head is linear, and every pooling here raises the score when all cells rise together, so that the gradient's
    mean weighs the features as the head does: the positive part of the class map without its bias, up to a factor that
    all labels share (but for the generalised mean, whose factors are left out). Where a map has no bias this is CAM
    (thesis 1.3), but that no label has what speaks for none. Maps are enlarged before the negative part is cut off, as
    before every other decision.
    """
    maps = maps_KHW[: config.labels]
    if summary.bias_C:
        maps = maps - np.array(summary.bias_C, np.float32)[:, None, None]
    positive = np.maximum(maps, 0)
    own = positive[summary.label]
    rival = np.delete(positive, summary.label, axis=0).max(axis=0, initial=0)
    return _decided(own - rival, (positive.argmax(axis=0) == summary.label) & (own > 0))


def _values(logits: Floats) -> Floats:
    values: Floats = expit(logits)
    return values


def _decided(logits: Floats, foreground: NDArray[np.bool_]) -> Floats:
    """As `_values`, and above 0.5 exactly in the foreground, in half precision too, however narrow the decision."""
    values = _values(logits)
    return np.where(foreground, np.maximum(values, _ABOVE_HALF), np.minimum(values, np.float32(0.5)))


def _scaled(values: Floats, summary: Summary) -> Floats:
    """Of the range of a summary to [0, 1]; 0 everywhere when the cells are constant up to rounding."""
    width = summary.high - summary.low
    if width <= CONSTANT * max(abs(summary.low), abs(summary.high)):
        return np.zeros_like(values)
    scaled: Floats = np.clip((values - summary.low) / width, 0, 1)
    return scaled


METHODS: Mapping[str, LocalisationMethod] = {
    "cam": LocalisationMethod(mark("Class activation map"), _as_it_is, _cam),
    "grad-cam": LocalisationMethod("Grad-CAM", _as_it_is, _grad_cam),
    "attention": LocalisationMethod(mark("Attention"), _attention_norm, _attention),
    "attention-half": LocalisationMethod(mark("Attention above half of the average"), _attention_norm, _attention_half),
    "sigmoid": LocalisationMethod(mark("Class activation map, one against the rest"), _as_it_is, _sigmoid),
    "size": LocalisationMethod(mark("Class map against background"), _as_it_is, _size, of_label=False),
    MIN_MAX: LocalisationMethod(mark("Min-max evidence"), _evidence_range, _minmax, of_label=False),
}


def posterior_of(scores_C: Floats, config: NetworkConfig) -> Floats:
    """The probability of each label from scores (C,), as the network was trained: by softmax or by sigmoid.

    At the network's temperature.
    """
    if not scores_C.size:
        return scores_C
    scaled = scores_C / np.float32(config.temperature)
    posterior: Floats = expit(scaled) if config.scores == "sigmoid" else softmax(scaled)
    return posterior


def predicted_labels(posterior_C: Floats, likeliest: int | None = None) -> tuple[int, ...]:
    """The likeliest label, and those others that are likelier than not, which a softmax never has."""
    first = int(posterior_C.argmax()) if likeliest is None else likeliest
    return (first, *(int(index) for index in np.flatnonzero(posterior_C > 0.5) if index != first))
