"""What is said of packages, licences, new versions, folders and the machine."""

from __future__ import annotations

from collections import namedtuple
from email.message import Message
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from histoloop.workflows import about, folders
from histoloop.workflows.doctor import Finding, in_words, self_test

if TYPE_CHECKING:
    from pathlib import Path

Mount = namedtuple("Mount", "mountpoint fstype opts")


class Fake(metadata.Distribution):
    """A distribution of some metadata lines."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self._message = Message()
        for key, value in lines:
            self._message[key] = value

    @property
    def metadata(self):
        return self._message

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([("License-Expression", "MIT AND Zlib"), ("License", "other")], "MIT AND Zlib"),
        ([("License", "BSD 3-Clause")], "BSD 3-Clause"),
        ([("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved :: ISC License")], "ISC License"),
        ([("License", "Copyright (c) 2001 Somebody"), ("Classifier", "License :: OSI Approved :: X")], "X"),
        ([("License", "=====\nA long text\n"), ("Classifier", "License :: OSI Approved :: BSD")], "BSD"),
        ([("Classifier", "Topic :: Y")], "see its licence text"),
    ],
)
def test_a_licence_is_named_as_the_package_names_it(lines: list[tuple[str, str]], said: str) -> None:
    assert about.licence_name(Fake(*lines)) == said


def test_packages_that_are_needed_indirectly_are_listed_once_and_with_their_text() -> None:
    names = [package.name for package in about.packages()]
    assert names == sorted(set(names))
    assert {"numpy", "torch", "napari", "pydantic"} <= set(names)  # the last by way of napari
    assert "Redistribution" in about.licence_text("numpy")
    assert about.licence_text("no-such-package") == ""


@pytest.mark.parametrize(
    ("lines", "page"),
    [
        (["Homepage, https://a.example", "Releases, https://b.example/releases"], "https://b.example/releases"),
        (["releases, https://b.example/x,y"], "https://b.example/x,y"),
        (["Homepage, https://a.example"], None),
        (["Releases, http://b.example"], None),
        (["Releases, file:///etc/passwd"], None),
        (["Releases, https://"], None),
        ([], None),
    ],
)
def test_the_page_of_releases_is_the_publishers_and_over_https(lines, page, monkeypatch) -> None:
    fake = Fake(*(("Project-URL", line) for line in lines))
    monkeypatch.setattr(about.metadata, "metadata", lambda _name: fake.metadata)
    assert about.releases_page() == page


def test_without_metadata_there_is_no_page(monkeypatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(about.metadata, "metadata", absent)
    assert about.releases_page() is None


def test_a_folder_to_be_made_where_one_may_write_is_usable_and_not_made(tmp_path: Path) -> None:
    state = folders.examine_folder(tmp_path / "a" / "b")
    assert state.usable
    assert "free there" in state.said
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used_are_told_apart(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert "is a file" in folders.examine_folder(file).said
    assert "whole path" in folders.examine_folder(type(tmp_path)("projects")).said

    def refuse(**_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refuse)
    state = folders.examine_folder(tmp_path)
    assert not state.usable
    assert "may not write" in state.said
    assert "Permission denied" in state.said


@pytest.mark.parametrize(("fstype", "network"), [("ext4", False), ("nfs4", True), ("cifs", True), ("NTFS", False)])
def test_the_nearest_mount_says_whether_a_folder_is_on_a_network(
    fstype: str, network: bool, tmp_path: Path, monkeypatch
) -> None:
    mounts = [Mount("/", "ext4", "rw"), Mount(str(tmp_path), fstype, "rw")]
    monkeypatch.setattr(folders.psutil, "disk_partitions", lambda all: mounts)
    assert folders.is_on_network(tmp_path) is network
    assert ("network" in folders.examine_folder(tmp_path / "x").said) is network


def test_a_device_that_computes_as_the_processor_passes_and_one_that_is_not_there_is_told() -> None:
    assert self_test("cpu") == ""
    assert "cannot compute" in self_test("cuda:99")


def test_the_machine_is_told_in_words_problems_too() -> None:
    def find(name: str, state: str, value: str, advice: str = "") -> Finding:
        return Finding(name, state, value, advice)  # type: ignore[arg-type]

    good = in_words([find("GPU", "ok", "A100, CUDA 13"), find("OpenGL", "ok", "4.6 (NVIDIA)")])
    assert good == (
        "The GPU works (A100, CUDA 13): predicting and retraining run on it.",
        "Slides are rendered by the GPU.",
    )
    poor = in_words([find("GPU", "note", "none", "Install a driver."), find("OpenGL", "ok", "4.5 (llvmpipe)")])
    assert "only more slowly. Install a driver." in poor[0]
    assert "zooming is slower" in poor[1]
    assert in_words([find("GPU", "problem", "X: it computes wrongly", "Update.")]) == (
        "GPU: X: it computes wrongly. Update.",
    )
