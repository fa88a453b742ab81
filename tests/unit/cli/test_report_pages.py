"""`histoloop report`: files, languages, and what is wrong with what was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tiny_model import write_tiny_model

from histoloop.cli import main
from histoloop.language import spoken
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two slides that nobody predicted."""
    place = tmp_path_factory.mktemp("report")
    model = write_tiny_model(place / "tiny")
    with create_project(place / "project", name="Colon", start=str(model)) as project:
        for seed, name in enumerate(("a.png", "b.png")):
            pixels = np.array((205, 130, 180)) + np.random.default_rng(seed).integers(-25, 26, (96, 128, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(place / name)
            project.slides.add(place / name, width=128, height=96, mpp=0.5, vendor="picture")
    return place / "project"


def test_all_pages_are_written_and_named_in_json(folder: Path, tmp_path: Path, capsys) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "out"), "--format", "html", "pdf", "--json", "-"]) == 0
    done = json.loads(capsys.readouterr().out)["done"]
    names = ["a-report.html", "a-report.pdf", "b-report.html", "b-report.pdf", "report.html", "report.pdf"]
    assert [one["file"] for one in done] == [str(tmp_path / "out" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_chosen_slides_in_another_language_leave_the_command_line_english(folder: Path, tmp_path: Path, capsys) -> None:
    assert main(["report", str(folder), "--slides", "b", "--out", str(tmp_path), "--language", "fr"]) == 0
    assert capsys.readouterr().out == f"1 files written to {tmp_path}\n"
    assert "Aucune." in (tmp_path / "b-report.html").read_text("utf-8")
    assert spoken().code == "en"


def test_bad_input_is_explained_and_nothing_is_written(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["report", str(folder), "--slides", "c.png", "--out", str(out)]) == 1
    assert "No slides are called 'c.png'. Name one by its name or path: a.png, b.png." in capsys.readouterr().err
    for arguments in (["--format", "docx"], ["--language", "it"], ["--format"], ["--slides"]):
        with pytest.raises(SystemExit) as stopped:
            main(["report", str(folder), "--out", str(out), *arguments])
        assert stopped.value.code == 2
    assert main(["report", str(tmp_path / "nowhere"), "--out", str(out)]) == 1
    assert not out.exists()
    (tmp_path / "file").write_text("")
    assert main(["report", str(folder), "--out", str(tmp_path / "file")]) == 4
