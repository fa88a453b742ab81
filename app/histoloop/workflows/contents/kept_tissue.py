"""Where a project's slides have tissue, found once for each content of a file and kept in the project's cache.

A mask is found anew where the file has other content, the project knows another resolution, or another version of the
program looks. What is kept can be deleted at any time.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

import histoloop
from histoloop.slides.tissue import RULE, Survey, TissueMask, find_tissue, survey
from histoloop.store.array_cache import CACHE, ArrayCache, leads_elsewhere
from histoloop.workflows.contents.slides import check_slide, open_project_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from histoloop.slides.reader import Slide
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

    _Masks = dict[str, TissueMask]

LIMIT_BYTES = 256_000_000
"""Of all masks of a project together; those of a slide take some kilobytes."""


def tissue_of_slide(project: Project, record: SlideRecord, *, slide: Slide | None = None) -> TissueMask:
    """`find_tissue` of a slide; `slide` is it where it is open. SlideError as `open_project_slide` has it."""
    found = _kept(project, record, slide, "tissue", lambda opened: {"tissue": find_tissue(opened)})
    return found["tissue"]


def survey_of_slide(
    project: Project, record: SlideRecord, *, slide: Slide | None = None, sampled: bool = False
) -> Survey:
    """`survey` of a slide; `slide` is it where it is open. SlideError as `open_project_slide` has it.

    With `sampled` a survey of the whole slide will do as well, where one is kept.
    """

    def look(opened: Slide) -> _Masks:
        found = survey(opened, sampled=sampled)
        return {"tissue": found.tissue, "specimen": found.specimen}

    whole = _load(project, record, "survey") if sampled else None
    masks = whole or _kept(project, record, slide, "sampled survey" if sampled else "survey", look)
    return Survey(masks["tissue"], masks["specimen"])


def _kept(
    project: Project, record: SlideRecord, slide: Slide | None, kind: str, look: Callable[[Slide], _Masks]
) -> _Masks:
    if slide is None:
        check_slide(record)
    masks = _load(project, record, kind)
    if masks is None:
        if slide is not None:
            masks = look(slide)
        else:
            with open_project_slide(record) as opened:
                masks = look(opened)
        if not project.read_only and not leads_elsewhere(project.folder / CACHE):
            _cache(project).put(_key(record, kind), _packed(masks))
    return masks


def _load(project: Project, record: SlideRecord, kind: str) -> _Masks | None:
    if leads_elsewhere(project.folder / CACHE):
        return None
    arrays = _cache(project).get(_key(record, kind))
    return None if arrays is None else _unpacked(arrays)


def _cache(project: Project) -> ArrayCache:
    return ArrayCache(project.folder / CACHE / "tissue", limit_bytes=LIMIT_BYTES)


def _key(record: SlideRecord, kind: str) -> str:
    return f"{kind} by {histoloop.__version__}, rule {RULE}: {record.fingerprint} at {record.mpp}"


def _packed(masks: _Masks) -> dict[str, NDArray[np.generic]]:
    """Eight mask pixels in a byte, compressed; beside them height, width and level-0 pixels per mask pixel."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, found in masks.items():
        arrays[name] = np.frombuffer(zlib.compress(np.packbits(found.mask).tobytes()), np.uint8)
        arrays[f"{name} size"] = np.array([*found.mask.shape, found.downsample], np.float64)
    return arrays


def _unpacked(arrays: dict[str, NDArray[np.generic]]) -> _Masks | None:
    """The masks; None where what was kept is damaged."""
    masks: _Masks = {}
    try:
        for name in [name for name in arrays if not name.endswith(" size")]:
            height, width, downsample = (float(value) for value in arrays[f"{name} size"])
            shape = int(height), int(width)
            bits = np.frombuffer(zlib.decompress(arrays[name].tobytes()), np.uint8)
            mask = np.unpackbits(bits, count=math.prod(shape)).reshape(shape).astype(np.bool_)
            masks[name] = TissueMask(mask, downsample)
    except (KeyError, ValueError, zlib.error):
        return None
    return masks
