"""The cache of tensors: bounded, and nothing is lost with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch

from histoloop.store.tensors import TensorCache

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_put_comes_back_also_in_another_run(tmp_path: Path) -> None:
    tensor = torch.rand(3, 4).half()
    TensorCache(tmp_path / "cache").put("model|region 1", {"stage0": tensor})
    found = TensorCache(tmp_path / "cache").get("model|region 1")
    assert found is not None
    assert torch.equal(found["stage0"], tensor)
    assert TensorCache(tmp_path / "cache").get("model|region 2") is None


def test_beyond_the_limit_what_was_not_asked_for_longest_goes(tmp_path: Path) -> None:
    cache = TensorCache(tmp_path, limit_bytes=10_000)
    for number in range(2):
        cache.put(str(number), {"planes": torch.full((1000,), float(number))})
    for age, file in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
        os.utime(file, (1_000 + age, 1_000 + age))
    assert cache.get("0") is not None  # asked for: younger than 1 now
    cache.put("2", {"planes": torch.zeros(1000)})
    assert cache.get("1") is None
    assert cache.get("0") is not None
    assert cache.get("2") is not None


def test_a_broken_or_deleted_file_is_as_if_never_kept(tmp_path: Path) -> None:
    cache = TensorCache(tmp_path)
    cache.put("one", {"planes": torch.zeros(10)})
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"not tensors")
    assert cache.get("one") is None
    file.unlink()
    assert cache.get("one") is None
    cache.put("one", {"planes": torch.ones(10)})
    assert cache.get("one") is not None


def test_a_folder_that_cannot_be_made_does_not_stop_the_work(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    cache = TensorCache(blocked / "cache")
    cache.put("one", {"planes": torch.zeros(10)})
    assert cache.get("one") is None


def test_a_negative_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit_bytes"):
        TensorCache(tmp_path, limit_bytes=-1)
