"""Which strategy the papers would take at this budget, in words for the user, with the figures and their source.

ssl-al (Zolfaghari Bengar et al. 2021, section 5) measured strategies against random at 0.1 to 50 % annotated, with
and without self-supervised pre-training, on CIFAR-10, CIFAR-100 and Tiny ImageNet:

- with it, random was ahead below 1 % on CIFAR-10 (the only set measured that low), the others from 1 % on; on CIFAR-100
  random stayed ahead up to about 10 %, on Tiny ImageNet throughout, ever less so. The authors call under 2 % low, and
  find only a marginal gain, at high budgets.
- without it, the others need more than 10 % on CIFAR-10 and Tiny ImageNet; self-supervision saves far more annotation.
- the more classes, the more annotations per class are needed (section 6, Fig. 6).

Those are whole pictures of everyday things. On tissue masks label-prop (Belharbi et al. 2020, Table 3) has, as the
mean Dice over 25 rounds on GlaS, random 78.57, entropy 79.13, MC dropout 77.92, and random with label propagation
81.48.
"""

from __future__ import annotations

from enum import Enum

from histoloop.language import mark, tr, tr_plural

LOWEST_SHARE = 0.01
"""Below this share of annotated regions random was ahead even after self-supervision (ssl-al, Fig. 3)."""

HIGH_SHARE = 0.10
"""Up to this share random was as good on most sets; without self-supervision on all (ssl-al, section 5)."""

_SOURCE = mark("(Zolfaghari Bengar et al. 2021, section 5, measured on everyday photographs.)")
_ON_TISSUE = mark(
    "On colon glands, asking at random and where the model is unsure ended within 0.6 Dice points of each "
    "other; training on similar regions with the model's own masks added 2.9. (Belharbi et al. 2020, Table 3, "
    "GlaS.)"
)


class _Budget(Enum):
    LOWEST = "lowest"
    LOW = "low"
    HIGH = "high"


_WITH_SELF_SUPERVISION = {
    _Budget.LOWEST: mark(
        "Ask at random: after self-supervised pretraining on the slides, no other choice did better below 1%."
    ),
    _Budget.LOW: mark(
        "Ask at random, or try another choice: after self-supervised pretraining on the slides, random stayed "
        "ahead up to about 10% on two of three data sets, while on the one with the fewest classes the others "
        "led from 1% on."
    ),
    _Budget.HIGH: mark(
        "Ask where the model is unsure: at this budget the choice of regions gains a little over random, even "
        "after self-supervised pretraining on the slides."
    ),
}
_WITHOUT_SELF_SUPERVISION = {
    _Budget.LOWEST: mark(
        "Ask at random, and pretrain the model on the slides first (self-supervised): that saved far more "
        "annotation than any choice of regions, and below 1% no other choice did better than random."
    ),
    _Budget.LOW: mark(
        "Ask at random, and pretrain the model on the slides first (self-supervised): that saved far more "
        "annotation than any choice of regions, and without it other choices beat random only above 10%."
    ),
    _Budget.HIGH: mark(
        "Ask where the model is unsure: above 10% other choices beat random. Self-supervised pretraining on "
        "the slides still helps, but less and less as the share of annotated regions approaches one half."
    ),
}

FIRST = "k-center"
"""The strategy to ask by before a model has learned anything: by coverage of the tissue."""


def advice(annotated: int, candidates: int, self_supervised: bool) -> str:
    """What the papers advise with `annotated` regions done and `candidates` still unlabelled: text, figures, source.

    `self_supervised` tells whether the model began with self-supervised training on the project's own tiles.
    ValueError when a number is negative.
    """
    budget = _budget(annotated, candidates)
    texts = _WITH_SELF_SUPERVISION if self_supervised else _WITHOUT_SELF_SUPERVISION
    sentences = [tr(texts[budget]), tr(_SOURCE), tr(_ON_TISSUE)]
    if total := annotated + candidates:
        state = tr_plural(
            "{annotated:,} of {count:,} region is annotated ({share:.1%}).",
            "{annotated:,} of {count:,} regions are annotated ({share:.1%}).",
            total,
            annotated=annotated,
            share=annotated / total,
        )
        sentences.insert(0, state)
    return " ".join(sentences)


def advised_strategy(annotated: int, candidates: int) -> str:
    """Name of the strategy that `advice` begins with: 'random' below 10% annotated, else 'entropy'."""
    return "entropy" if _budget(annotated, candidates) is _Budget.HIGH else "random"


def _budget(annotated: int, candidates: int) -> _Budget:
    if annotated < 0 or candidates < 0:
        raise ValueError(f"numbers of regions are not negative, got {annotated} annotated and {candidates} candidates")
    share = annotated / max(1, annotated + candidates)
    if share < LOWEST_SHARE:
        return _Budget.LOWEST
    return _Budget.LOW if share < HIGH_SHARE else _Budget.HIGH
