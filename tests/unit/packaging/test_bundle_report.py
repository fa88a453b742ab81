"""What the report of a build says of a folder."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from bundle_report import (
    BundleReport,
    PackageSize,
    Start,
    as_markdown,
    file_sizes,
    left_out,
    package_of,
    size_by_package,
    write_report,
)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("histoloop", "program and Python modules"),
        ("_internal/base_library.zip", "program and Python modules"),
        ("_internal/libxcb.so.1", "libraries of the system"),
        ("_internal/torch/lib/libtorch_cpu.so", "torch"),
        ("_internal/numpy.libs/libgfortran.so.5", "numpy"),
        ("_internal/nvidia/cu13/lib/libcublas.so.13", "CUDA"),
        ("_internal/torch-2.15.0.dist-info/LICENSE", "licences and versions"),
        ("_internal/models/colon/weights.safetensors", "models"),
    ],
)
def test_each_file_belongs_to_a_package(path: str, package: str) -> None:
    assert package_of(PurePosixPath(path)) == package


def test_packages_are_added_up_and_the_largest_comes_first() -> None:
    sizes = [("_internal/a/x", 1), ("_internal/b/y", 5), ("_internal/a/z", 3)]
    found = size_by_package((PurePosixPath(path), size) for path, size in sizes)
    assert found == (PackageSize("b", 5, 1), PackageSize("a", 4, 2))


def test_links_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "_internal").mkdir()
    (tmp_path / "_internal" / "library.so").write_bytes(b"12345")
    (tmp_path / "_internal" / "link.so").symlink_to("library.so")
    assert file_sizes(tmp_path) == [(PurePosixPath("_internal/library.so"), 5)]


def _report(*starts: Start) -> BundleReport:
    packages = (PackageSize("torch", 3_000_000, 20), PackageSize("napari", 1_000_000, 10))
    return BundleReport("1.2.3", "CPU", "Linux", 60.0, packages, starts, (("triton", "compilers"),))


def test_the_first_start_is_not_in_the_median() -> None:
    report = _report(Start(9.0, 30.0), Start(1.0, 4.0), Start(0.8, 5.0), Start(1.2, 3.0))
    assert report.median_start == Start(1.0, 4.0)


def test_one_start_has_no_median() -> None:
    assert _report(Start(9.0, 30.0)).median_start is None
    assert "was not measured" in as_markdown(_report())


def test_the_report_is_written_for_programs_and_for_people(tmp_path: Path) -> None:
    as_json, as_text = write_report(_report(Start(2.0, 6.0), Start(1.0, 4.0)), tmp_path / "build")
    content = json.loads(as_json.read_text("utf-8"))
    assert (content["size_bytes"], content["files"]) == (4_000_000, 30)
    assert content["median_start"] == {"splash_s": 1.0, "window_s": 4.0}
    text = as_text.read_text("utf-8")
    assert "4 MB in 30 files" in text
    assert "| torch | 3.0 | 20 |" in text
    assert "- compilers: `triton`" in text


def test_packages_beyond_the_largest_are_one_line() -> None:
    assert "| 1 more | 1.0 | 10 |" in as_markdown(_report(), packages=1)


def test_what_another_system_leaves_out_is_not_told() -> None:
    excluded = {
        "module": [{"names": ["a", "b"], "why": "unused"}],
        "file": [{"patterns": ["*.so"], "why": "the system's own", "platform": "linux"}],
    }
    assert left_out(excluded, "linux") == (("a, b", "unused"), ("*.so", "the system's own"))
    assert left_out(excluded, "win32") == (("a, b", "unused"),)
