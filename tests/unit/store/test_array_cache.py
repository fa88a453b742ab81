"""The cache of arrays: bounded, and nothing is lost with it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.store.array_cache import ArrayCache

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_put_comes_back_also_in_another_run(tmp_path: Path) -> None:
    array = np.linspace(0, 1, 12, dtype=np.float16).reshape(3, 4)
    ArrayCache(tmp_path / "cache").put("model|region 1", {"stage0": array})
    found = ArrayCache(tmp_path / "cache").get("model|region 1")
    assert found is not None
    assert np.array_equal(found["stage0"], array)
    assert found["stage0"].dtype == np.float16
    assert ArrayCache(tmp_path / "cache").get("model|region 2") is None


def test_a_file_is_that_of_every_version(tmp_path: Path) -> None:
    ArrayCache(tmp_path).put(
        "a", {"z": np.array([1.5, 2.5], np.float16), "size": np.array([3, 4]), "s": np.array(2.5, np.float32)}
    )
    (file,) = tmp_path.iterdir()
    assert file.name == "ca978112ca1bbdcafac231b39a23dc4d.safetensors"
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    assert content == "0a897943fa0f668d94f401911cc08603cedd8b03f8753d2aa94fd82eb19239cb"


def test_beyond_the_limit_what_was_not_asked_for_longest_goes(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, limit_bytes=10_000)
    for number in range(2):
        cache.put(str(number), {"planes": np.full(1000, number, np.float32)})
    for age, file in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
        os.utime(file, (1_000 + age, 1_000 + age))
    assert cache.get("0") is not None  # asked for: younger than 1 now
    cache.put("2", {"planes": np.zeros(1000, np.float32)})
    assert cache.get("1") is None
    assert cache.get("0") is not None
    assert cache.get("2") is not None


def test_a_broken_or_deleted_file_is_as_if_never_kept(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.put("one", {"planes": np.zeros(10, np.float32)})
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"not tensors")
    assert cache.get("one") is None
    file.unlink()
    assert cache.get("one") is None
    cache.put("one", {"planes": np.ones(10, np.float32)})
    assert cache.get("one") is not None


def test_a_folder_that_cannot_be_made_does_not_stop_the_work(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    cache = ArrayCache(blocked / "cache")
    cache.put("one", {"planes": np.zeros(10, np.float32)})
    assert cache.get("one") is None


def test_a_negative_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit_bytes"):
        ArrayCache(tmp_path, limit_bytes=-1)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody else, with files that look like those of a cache."""
    folder = tmp_path / "elsewhere"
    ArrayCache(folder).put("a", {"a": np.zeros(4000, np.uint8)})
    (folder / "model.safetensors").write_bytes(b"x" * 9000)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_cache_that_is_a_link_out_of_the_project_is_not_used(tmp_path: Path, elsewhere: Path) -> None:
    before = contents(elsewhere)
    (tmp_path / "cache").symlink_to(elsewhere, target_is_directory=True)
    cache = ArrayCache(tmp_path / "cache", limit_bytes=100)
    cache.put("b", {"b": np.ones(4000, np.uint8)})
    assert cache.get("a") is None
    assert cache.get("b") is None
    assert contents(elsewhere) == before


def test_a_file_that_is_a_link_is_neither_read_nor_counted_nor_deleted(tmp_path: Path, elsewhere: Path) -> None:
    (name,) = (path.name for path in elsewhere.iterdir() if path.name != "model.safetensors")
    cache = ArrayCache(tmp_path / "cache", limit_bytes=5000)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / name).symlink_to(elsewhere / name)
    assert cache.get("a") is None
    for number in range(3):
        cache.put(f"other {number}", {"b": np.ones(3000, np.uint8)})
    assert (tmp_path / "cache" / name).is_symlink()
    assert (elsewhere / name).exists()


def test_only_files_that_the_cache_wrote_are_deleted(elsewhere: Path) -> None:
    cache = ArrayCache(elsewhere, limit_bytes=3000)
    cache.put("b", {"b": np.ones(2900, np.uint8)})
    assert (elsewhere / "model.safetensors").stat().st_size == 9000
    assert cache.get("a") is None
    assert cache.get("b") is not None


def test_a_project_behind_a_link_has_its_cache(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "project", target_is_directory=True)
    cache = ArrayCache(tmp_path / "link" / "cache")
    cache.put("a", {"a": np.zeros(3, np.uint8)})
    assert cache.get("a") is not None
