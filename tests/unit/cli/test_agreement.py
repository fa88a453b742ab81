"""`histoloop agreement`: lines, JSON, a table, and who of two readers counts."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tiny_model import write_tiny_model

from histoloop.annotations.records import Patch
from histoloop.cli import main
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.workflows import annotate
from histoloop.workflows.contents.readings import begin_reading
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from pathlib import Path

REGION = Region(8, 8, 40, 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in which Ada painted a region, and Bo half of it anew."""
    model = write_tiny_model(tmp_path / "tiny")
    Image.new("RGB", (128, 96), (205, 130, 180)).save(tmp_path / "a.png")
    with create_project(tmp_path / "project", name="Colon", start=str(model)) as project:
        slide = project.slides.add(tmp_path / "a.png", width=128, height=96, mpp=0.5, vendor="picture")
        mask = np.zeros((20, 40), np.uint8)
        mask[:10] = 1
        draft = project.drafts.start(slide.id, REGION, mask=mask, origin_model=None, person="Ada")
        first = annotate.finish(project, draft.id)
        reading = begin_reading(project, first.id, person="=Bo")
        project.drafts.append_patch(reading.id, Patch(0, 0, np.ones((5, 40), np.uint8)))
        annotate.finish(project, reading.id)
    return tmp_path / "project"


def test_two_readers_are_compared_in_lines_and_json(folder: Path, capsys) -> None:
    assert main(["agreement", str(folder)]) == 0
    line, over_all = capsys.readouterr().out.splitlines()
    figures = "Dice gland 0.667\tkappa 0.500"
    assert line == f"a.png\t8,8,40,20\t1 Ada\t2 =Bo\tdiffers\t{figures}"
    assert over_all == f"all 1 regions\t\t\t\t{figures}"
    assert main(["agreement", str(folder), "--json", "-"]) == 0
    region, total = json.loads(capsys.readouterr().out)["done"]
    assert region["dice"] == {"gland": pytest.approx(2 / 3), "tumour": None}
    assert (region["counts"], region["state"], region["first"]) == (1, "differs", {"id": 1, "person": "Ada"})
    assert (total["regions"], total["pixels"], total["kappa"]) == (1, 800, pytest.approx(0.5))


def test_a_table_has_a_row_for_each_region_and_no_formula(folder: Path, tmp_path: Path) -> None:
    assert main(["agreement", str(folder), "--table", str(tmp_path / "new" / "t.csv")]) == 0
    with (tmp_path / "new" / "t.csv").open(encoding="utf-8", newline="") as lines:
        region, total = csv.DictReader(lines)
    assert (region["second_person"], region["width"], region["dice tumour"]) == ("'=Bo", "40", "")
    assert float(region["kappa"]) == pytest.approx(0.5)
    assert (total["slide"], total["state"], total["pixels"]) == ("all", "", "800")


def test_the_one_that_is_chosen_counts_and_the_dispute_is_over(folder: Path, capsys) -> None:
    assert main(["agreement", str(folder), "--choose", "2", "--person", "Cy"]) == 0
    assert "\tdecided\t" in capsys.readouterr().out
    with Project.open(folder) as project:
        (counts,) = project.annotations.finished()
        assert (counts.id, counts.adjudicator) == (2, "Cy")


def test_bad_input_is_explained(folder: Path, tmp_path: Path, capsys) -> None:
    assert main(["agreement", str(folder), "--choose", "7"]) == 1
    assert "Annotation 7 is not one of two readings of a region." in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["agreement", str(folder), "--choose", "x"])
    assert stopped.value.code == 2
    (tmp_path / "file").write_text("")
    assert main(["agreement", str(folder), "--table", str(tmp_path / "file" / "t.csv")]) == 4
    assert main(["agreement", str(tmp_path / "nowhere")]) == 1


def test_a_project_with_one_reader_says_so(tmp_path: Path, capsys) -> None:
    model = write_tiny_model(tmp_path / "tiny")
    create_project(tmp_path / "project", name="Colon", start=str(model)).close()
    assert main(["agreement", str(tmp_path / "project")]) == 0
    assert capsys.readouterr().out == "no region was painted by two readers\n"
