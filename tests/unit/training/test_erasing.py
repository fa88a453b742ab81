"""Recursive erasing: trust against the oracle, what is erased and shown, gradients part by part, and memory."""

from __future__ import annotations

import itertools
import math
import weakref
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import histoloop.networks.minmax
from histoloop.losses.minmax import label_cross_entropy, uniform_cross_entropy
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.backbone import Backbone
from histoloop.networks.minmax import MinMax, foreground_mask, posterior_map
from histoloop.training.erasing import erasing_parts, trust_coefficients

if TYPE_CHECKING:
    from collections.abc import Sequence

DETACHED = pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])


class Tiny(Backbone):
    """One strided convolution and one smooth activation: maps of stride 8."""

    def __init__(self) -> None:
        super().__init__((6,))
        self.convolution = nn.Conv2d(3, 6, kernel_size=8, stride=8)

    def forward(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh(self.convolution(tiles_BCHW)),)


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histoloop.networks.minmax, "build_backbone", lambda _name, **_stride: Tiny())


def network(*, detach: bool = True) -> MinMax:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    minmax = MinMaxConfig(detach=detach)
    config = NetworkConfig(labels=2, backbone="resnet18", pooling=pooling, decoder_channels=(), minmax=minmax)
    return MinMax(config).double()


def never_surprised(net: MinMax) -> MinMax:
    """Every tile is of class 0 with the same score, erased or not: nothing ever loses trust."""
    nn.init.zeros_(net.localizer.convolution.weight)
    with torch.no_grad():
        net.localizer.convolution.bias.copy_(torch.tensor([1.0, 0.0]))
    return net


def tiles(count: int = 6) -> Tensor:
    return torch.randn(count, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def trusting_labels(net: MinMax, tiles_BCHW: Tensor) -> Tensor:
    """The localizer's own answers, but a wrong label for the first tile."""
    with torch.no_grad():
        labels = net.localize(tiles_BCHW)[0].argmax(dim=1)
    labels[0] = 1 - labels[0]
    return labels


def trusts(posteriors: Sequence[float], correct: Sequence[bool]) -> list[float]:
    losses = -torch.tensor(posteriors, dtype=torch.float64).log()
    trust, found = torch.ones(1, dtype=torch.float64), []
    for step, right in enumerate(correct):
        trust = trust_coefficients(
            losses[step : step + 1], torch.tensor([right]), losses[:1], trust, step=step, sigma=10.0
        )
        found.append(float(trust))
    return found


@pytest.mark.parametrize(
    ("posteriors", "correct", "expected"),
    [
        ([0.9, 0.95, 0.8, 0.97], [1, 1, 1, 1], [0.9, 0.859595547134, 0.0, 0.0]),
        ([0.7, 0.3, 0.75, 0.8], [1, 0, 1, 1], [0.7, 0.0, 0.0, 0.0]),
        ([0.4, 0.9, 0.95, 0.99], [0, 1, 1, 1], [0.0, 0.0, 0.0, 0.0]),
        ([0.6, 0.6, 0.61, 0.9], [1, 1, 1, 1], [0.6, 0.542902450822, 0.499425759378, 0.666736398614]),
    ],
    ids=["loss rises", "wrong once", "wrong at first", "equal loss counts"],
)
def test_trust_has_the_values_of_the_paper(posteriors: list[float], correct: list[int], expected: list[float]) -> None:
    assert trusts(posteriors, [bool(right) for right in correct]) == pytest.approx(expected, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.booleans()), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_zero_trust_stays_zero_and_trust_is_at_most_the_decay(looks: list[tuple[float, bool]]) -> None:
    found = trusts([posterior for posterior, _ in looks], [right for _, right in looks])
    assert all(later == 0 for before, later in itertools.pairwise(found) if before == 0)
    assert all(0 <= trust <= math.exp(-step / 10) for step, trust in enumerate(found))


def by_hand(net: MinMax, tiles_BCHW: Tensor, labels_B: Tensor, depth: int) -> tuple[list[Tensor], Tensor]:
    """Algorithm 1 as the paper writes it, tile by tile, everything in one graph: localizer's losses, and R*."""
    losses: list[Tensor] = [torch.zeros((), dtype=torch.float64) for _ in range(depth + 1)]
    gathered = []
    for tile, label in zip(tiles_BCHW.split(1), labels_B.split(1), strict=True):
        erased, star, first = tile, torch.zeros(1, *tile.shape[2:], dtype=torch.float64), None
        for step in range(depth + 1):
            scores, maps = net.localize(erased)
            loss = label_cross_entropy(scores, label)[0]
            first = loss if first is None else first
            trusted = bool(scores.argmax() == label) and bool(loss <= first)
            if step == 0 or trusted:
                losses[step] = losses[step] + loss / len(tiles_BCHW)
            if not trusted:
                break
            mask = foreground_mask(posterior_map(maps, scores), (32, 32), net.minmax)
            star = torch.maximum(star, math.exp(-step / 10) * float(scores.detach().softmax(1)[0, label]) * mask)
            star = star.detach() if net.minmax.detach else star
            erased = erased * (1 - star.detach()).unsqueeze(1)
        gathered.append(star)
    return losses, torch.cat(gathered)


def classifier_losses(net: MinMax, tiles_BCHW: Tensor, labels_B: Tensor, star_BHW: Tensor) -> list[Tensor]:
    foreground, background = tiles_BCHW * star_BHW.unsqueeze(1), tiles_BCHW * (1 - star_BHW).unsqueeze(1)
    return [
        label_cross_entropy(net.classify(foreground), labels_B).mean(),
        uniform_cross_entropy(net.classify(background)).mean(),
    ]


def gradients(net: MinMax) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.parameters()]


@DETACHED
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_parts_and_their_gradients_are_those_of_algorithm_1_in_one_graph(depth: int, detach: bool) -> None:
    net, some = network(detach=detach), tiles()
    labels = trusting_labels(net, some)
    losses, star = by_hand(net, some, labels, depth)
    expected = [*losses, *classifier_losses(net, some, labels, star)]
    assert sum(bool(loss > 0) for loss in losses) > 1  # something is trusted after the first look
    sum(expected).backward()
    of_the_sum = gradients(net)
    net.zero_grad()
    found = []
    for part in erasing_parts(net, some, labels, depth=depth):
        part.backward()
        found.append(part.detach())
    assert float(sum(found)) == pytest.approx(float(sum(expected).detach()), rel=1e-9)
    for one, other in zip(gradients(net), of_the_sum, strict=True):
        torch.testing.assert_close(one, other)


def test_parts_back_propagated_one_by_one_equal_their_sum_back_propagated() -> None:
    net, some = network(), tiles()
    labels = trusting_labels(net, some)
    for part in erasing_parts(net, some, labels, depth=2):
        part.backward()
    one_by_one = gradients(net)
    net.zero_grad()
    sum(erasing_parts(net, some, labels, depth=2)).backward()
    for one, other in zip(gradients(net), one_by_one, strict=True):
        torch.testing.assert_close(one, other)


@DETACHED
def test_without_erasing_the_parts_are_eq_9(detach: bool) -> None:
    net, some = network(detach=detach), tiles()
    labels = trusting_labels(net, some)
    scores, maps = net.localize(some)
    mask = foreground_mask(posterior_map(maps, scores), (32, 32), net.minmax)
    mask = mask.detach() if detach else mask
    expected = [label_cross_entropy(scores, labels).mean(), *classifier_losses(net, some, labels, mask)]
    sum(expected).backward()
    of_the_sum = gradients(net)
    net.zero_grad()
    found = []
    for part in erasing_parts(net, some, labels, depth=0):
        part.backward()
        found.append(float(part.detach()))
    order = found if detach else [found[2], *found[:2]]
    assert order == pytest.approx([float(loss.detach()) for loss in expected])
    for one, other in zip(gradients(net), of_the_sum, strict=True):
        torch.testing.assert_close(one, other)


@DETACHED
def test_the_localizer_learns_from_the_classifier_only_where_masks_are_not_detached(detach: bool) -> None:
    net, some = network(detach=detach), tiles()
    labels = trusting_labels(net, some)
    weight = net.localizer.convolution.weight
    for part in erasing_parts(net, some, labels, depth=1):
        part.backward()
    found = gradients(net)[[id(p) for p in net.parameters()].index(id(weight))]
    net.zero_grad()
    sum(by_hand(net, some, labels, 1)[0]).backward()
    assert weight.grad is not None
    assert torch.allclose(found, weight.grad) == detach


def test_the_classifier_sees_the_original_tiles_and_the_localizer_the_erased_ones() -> None:
    net, some = never_surprised(network()), tiles()
    seen: dict[str, list[Tensor]] = {"localize": [], "classify": []}
    localize, classify = net.localize, net.classify

    def record(name: str, shown: Tensor) -> Tensor:
        seen[name].append(shown)
        return shown

    net.localize = lambda shown: localize(record("localize", shown))
    net.classify = lambda shown: classify(record("classify", shown))
    for part in erasing_parts(net, some, torch.zeros(6, dtype=torch.long), depth=2):
        part.backward()
    torch.testing.assert_close(seen["classify"][0] + seen["classify"][1], some)
    first, second, third = seen["localize"]
    torch.testing.assert_close(first, some)
    star = float(torch.sigmoid(torch.tensor(1.0))) * float(torch.sigmoid(torch.tensor(-4.0)))  # of a constant map
    torch.testing.assert_close(second, some * (1 - star), rtol=1e-6, atol=0)
    torch.testing.assert_close(third, some * (1 - star) ** 2, rtol=1e-6, atol=0)
    torch.testing.assert_close(seen["classify"][0], some * star, rtol=1e-6, atol=0)


def test_erasing_stops_when_no_tile_is_trusted() -> None:
    net, some = never_surprised(network()), tiles()
    wrong = torch.ones(6, dtype=torch.long)
    assert len(list(erasing_parts(net, some, wrong, depth=4))) == 3  # one look, and the classifier's two
    assert len(list(erasing_parts(net, some, wrong - 1, depth=4))) == 7


def looks(net: MinMax, monkeypatch: pytest.MonkeyPatch, posteriors: Sequence[float]) -> None:
    """Let the localizer be so sure of class 0 at its successive looks, the same of every tile."""
    following = itertools.cycle(posteriors)

    def localize(shown: Tensor) -> tuple[Tensor, Tensor]:
        posterior = next(following)
        scores = net.localizer.convolution.bias * 0 + torch.tensor([posterior, 1 - posterior]).double().log()
        return scores.expand(len(shown), 2), torch.zeros(len(shown), 2, 4, 4, dtype=torch.float64)

    monkeypatch.setattr(net, "localize", localize)


@pytest.mark.parametrize(("trust_ends", "counted"), [(True, [0.6]), (False, [0.6, None, 0.9])])
def test_after_a_look_that_is_not_trusted_the_next_counts_by_the_authors_code_alone(
    trust_ends: bool, counted: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, some = network(), tiles()
    looks(net, monkeypatch, [0.6, 0.3, 0.9])
    parts = list(erasing_parts(net, some, torch.zeros(6, dtype=torch.long), depth=2, trust_ends=trust_ends))[:-2]
    expected = [0.0 if posterior is None else -math.log(posterior) for posterior in counted]
    assert [float(part.detach()) for part in parts] == pytest.approx(expected)


def test_untrusted_looks_teach_the_localizer_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    net, some = network(), tiles()
    looks(net, monkeypatch, [0.6, 0.3, 0.9])
    options = {"trust_ends": False, "untrusted_learn": True}
    parts = list(erasing_parts(net, some, torch.zeros(6, dtype=torch.long), depth=2, **options))[:-2]
    assert [float(part.detach()) for part in parts] == pytest.approx([-math.log(p) for p in (0.6, 0.3, 0.9)])


def test_every_tile_counts_at_the_first_look() -> None:
    net, some = never_surprised(network()), tiles()
    first = next(iter(erasing_parts(net, some, torch.ones(6, dtype=torch.long), depth=4)))
    assert float(first.detach()) == pytest.approx(math.log(1 + math.e))


def test_padding_is_neither_shown_as_foreground_nor_erased() -> None:
    net, some = network(), tiles()
    labels = trusting_labels(net, some)
    valid = torch.ones(6, 32, 32, dtype=torch.bool)
    valid[:, 24:] = False
    seen: list[Tensor] = []
    net.backbone.register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[0]))
    for part in erasing_parts(net, some, labels, depth=2, valid_BHW=valid):
        part.backward()
    assert len(seen) > 3  # erased at least once
    assert bool((seen[-2][:, :, 24:] == 0).all())  # tile * R*
    assert all(
        torch.equal(shown[:, :, 24:], some[:, :, 24:]) for number, shown in enumerate(seen) if number != len(seen) - 2
    )


@DETACHED
def test_half_precision_teaches_backbone_and_heads_alike(detach: bool) -> None:
    net, some = network(detach=detach).float(), tiles().float()
    labels = trusting_labels(net, some)
    parts = erasing_parts(net, some, labels, depth=2)
    while True:
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            part = next(parts, None)
        if part is None:
            break
        part.backward()
        assert part.dtype == torch.float32
        assert net.backbone.convolution.weight.grad is not None


def test_masks_that_learn_from_the_classifier_need_each_part_back_propagated() -> None:
    net, some = network(detach=False), tiles()
    with pytest.raises(RuntimeError, match="back-propagate each part"):
        list(erasing_parts(net, some, trusting_labels(net, some), depth=1))


@pytest.mark.parametrize(("depth", "sigma"), [(-1, 10.0), (2, 0.0), (2, float("nan"))])
def test_a_depth_or_sigma_without_meaning_is_refused_at_once(depth: int, sigma: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        erasing_parts(network(), tiles(), torch.zeros(6, dtype=torch.long), depth=depth, sigma=sigma)


class Kept(list[Tensor]):
    """What autograd keeps in place of a tensor; a plain list cannot be watched."""


class SavedBytes:
    """Bytes that graphs keep for their backward passes, now and at most, counted by autograd's own hooks."""

    def __init__(self) -> None:
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> Kept:
        kept, size = Kept([tensor.detach()]), tensor.nbytes
        weakref.finalize(kept, self.count, -size)
        self.count(size)
        return kept

    def count(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)

    @staticmethod
    def unpack(kept: Kept) -> Tensor:
        return kept[0]


@DETACHED
def test_memory_does_not_grow_with_the_depth(detach: bool) -> None:
    peaks = {}
    for depth in (0, 4):
        net, some, saved = never_surprised(network(detach=detach)), tiles(), SavedBytes()
        parts = 0
        with torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack):
            for part in erasing_parts(net, some, torch.zeros(6, dtype=torch.long), depth=depth):
                part.backward()
                assert saved.now == 0  # no part's graph outlives its backward pass
                parts += 1
        assert parts == depth + 3
        peaks[depth] = saved.peak
    assert peaks[0] > 0
    assert peaks[4] <= 1.1 * peaks[0]
