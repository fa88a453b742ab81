"""What people may give the commands of classes by mistake: refused in words, and the project as it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.annotations.palette import MAX_CLASSES
from histoloop.annotations.records import QueryStatus
from histoloop.cli import main
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.store.records import NewQuery

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "x" * 300
COMPOSED, DECOMPOSED = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"


def content(folder: Path) -> tuple[list[str], dict[str, bytes]]:
    """All rows of a project, and all its other files."""
    with closing(sqlite3.connect(folder / "project.db")) as database:
        rows = list(database.iterdump())
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("project.db")
    }
    return rows, files


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a painted slide; a question about tumour is open."""
    tmp_path = tmp_path_factory.mktemp("made")
    folder = tmp_path / "p"
    assert (
        main(["new", str(folder), "--classes", f"tumour,stroma,{COMPOSED}", "--labels", "benign,malignant=tumour"]) == 0
    )
    Image.fromarray(np.full((96, 160, 3), (215, 140, 185), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 1, np.uint8)).save(tmp_path / "mask.png")
    assert main(["import", str(folder), str(tmp_path / "a.png"), "--mpp", "0.5"]) == 0
    place = ["--slide", "a.png", "--region", "0,0,4,4", "--mask", str(tmp_path / "mask.png")]
    assert main(["annotate", str(folder), *place]) == 0
    with Project.open(folder) as project:
        (slide,) = project.slides.all()
        asked = NewQuery(slide.id, Region(0, 0, 64, 64), "random", 0.0, 1, {}, "tumour")
        project.queries.add([asked])
    return folder


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Path:
    """A copy of that project to work in."""
    return Path(shutil.copytree(made_once, tmp_path / "p"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "TUMOUR"], "tumour already exists."),
        (["add", "  tumour\t"], "tumour already exists."),
        (["add", DECOMPOSED], f"{COMPOSED} already exists."),
        (["add", DECOMPOSED.upper()], f"{COMPOSED} already exists."),
        (["add", "tum\N{FULLWIDTH LATIN SMALL LETTER O}ur"], "tumour already exists."),
        (["add", ""], "Enter a name."),
        (["add", LONG], "Enter a name of at most 60 visible letters, on one line."),
        (["add", "a\nb" + LONG], "on one line."),
        (["add", "background"], "is reserved"),
        (["add", "Ignore*"], "is reserved"),
        (["add", "ignored"], "is reserved"),
        (["rename", "tumour", " "], "Enter a name."),
        (["rename", "tumour", LONG], "at most 60 visible letters"),
        (["rename", "tumour", "Background"], "is reserved"),
        (["rename", "tumour", "Stroma"], "stroma already exists."),
        (["rename", "tumor", "nerve"], "did you mean 'tumour'?"),
        (["merge", "tumour", "--into", "Tumour"], "tumour cannot be merged into itself."),
        (["merge", "tumour", "--into", "nerve"], f"The classes are tumour, stroma, {COMPOSED}."),
        (["merge", "nerve", "--into", "tumour"], f"The classes are tumour, stroma, {COMPOSED}."),
        (["remove", "nerve"], "There is no class nerve"),
        (["recolour", "tumour", "red"], "hexadecimal"),
        (["order", "tumour", "stroma"], "The new order must name each class once."),
        (["undo"], "There is no change of the classes to undo."),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_change_that_cannot_be_leaves_every_row_and_file_as_it_was(
    arguments: list[str], words: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(made)
    assert main(["classes", str(made), *arguments]) == 1
    assert words in capsys.readouterr().err
    assert content(made) == before


def test_the_last_class_and_the_thirty_first_are_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4, MAX_CLASSES + 1):
        assert main(["classes", str(made), "add", f"class {number}"]) == 0
    before = content(made)
    assert main(["classes", str(made), "add", "one more"]) == 1
    assert "at most 30 classes at a time. Merge two of them, or remove one." in capsys.readouterr().err
    assert content(made) == before
    with Project.open(made) as project:
        names = project.scheme.mask_names
    for name in names[1:]:
        assert main(["classes", str(made), "remove", name]) == 0
    before = content(made)
    assert main(["classes", str(made), "remove", "tumour"]) == 1
    assert "tumour is the last class. Add another class first, or rename it." in capsys.readouterr().err
    assert content(made) == before


def test_a_class_that_a_question_waits_for_goes_and_comes_back_with_all_that_was_of_it(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classes", str(made), "remove", "tumour"]) == 0
    told = capsys.readouterr().err
    assert "It is painted in 1 finished region" in told
    assert "1 open question is about it, and stays." in told
    assert "The label malignant paints no class any more." in told
    with Project.open(made) as project:
        assert [query.status for query in project.queries.all()] == [QueryStatus.OPEN]
    assert main(["query", str(made), "--strategy", "random", "--count", "1", "--side", "128"]) in (0, 1)  # no trace
    assert "Traceback" not in capsys.readouterr().err
    assert main(["classes", str(made), "undo"]) == 0
    with Project.open(made) as project:
        assert project.scheme.labels[1].mask == "tumour"
        (record,) = project.annotations.finished()
        assert (project.annotations.load_mask(record.id)[0] == 1).all()


@pytest.mark.parametrize("name", ['stroma, "loose"', "a/b\\c", "a=b", "../..", "CON", "%s{name}", "<b>"])
def test_a_name_with_marks_that_files_and_tables_use_is_kept_as_it_is(
    name: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classes", str(made), "rename", "tumour", name]) == 0
    capsys.readouterr()
    assert main(["classes", str(made), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["done"][0]["name"] == name
    assert main(["classes", str(made), "undo"]) == 0
    with Project.open(made) as project:
        assert project.scheme.mask_names[0] == "tumour"


@pytest.mark.parametrize("option", ["--classes", "--labels"])
def test_names_that_are_given_twice_are_wrong_usage_and_no_project_is_made(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [] if option == "--classes" else ["--classes", "a"]
    with pytest.raises(SystemExit, match="2"):
        main(["new", str(tmp_path / "p"), *others, option, "x", option, "y"])
    assert f"argument {option}: give it once, with commas between the names" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--classes", f"{COMPOSED},{DECOMPOSED}"], 2, "already"),
        (["--classes", "a b,a  B"], 2, "already"),
        (["--classes", "a,,b"], 2, "Enter a name."),
        (["--classes", "a,"], 2, "Enter a name."),
        (["--classes", LONG], 2, "at most 60 visible letters"),
        (["--classes", "a,Ignore*"], 2, "is reserved"),
        (["--classes", "a", "--labels", "x, X"], 2, "x already exists"),
        (["--classes", "a", "--labels", "x,"], 2, "Enter a name."),
        (["--classes", "nerve", "--model", "colon-ebhi-resnet18"], 1, "Start from its encoder alone"),
        (["--classes", "gland", "--labels", "a,b", "--model", "colon-ebhi-resnet18"], 1, "has other labels: Normal"),
    ],
)
def test_a_project_of_names_that_cannot_be_together_is_not_begun(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path / "p"), *arguments]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_two_processes_that_change_classes_at_once_both_keep_their_change(made: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-m", "histoloop", "classes", str(made), "add", name], stderr=subprocess.PIPE)
        for name in ("nerve", "vessel")
    ]
    told = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    with Project.open(made) as project:
        assert {"nerve", "vessel"} < set(project.scheme.mask_names)


@pytest.fixture
def annotate(made: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`histoloop annotate` of the whole slide by a file; the exit code and what it says."""

    def run(file: Path, *options: str) -> tuple[int, str]:
        code = main(["annotate", str(made), "--slide", "a.png", "--mask", str(file), "--replace", *options])
        return code, capsys.readouterr().err

    return run


def collection(path: Path, *features: tuple[str, object]) -> Path:
    """A GeoJSON file of polygons: the class and the exterior of each."""
    listed = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"classification": {"name": name}},
        }
        for name, ring in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": listed}))
    return path


SQUARE = [[10, 10], [50, 10], [50, 50], [10, 50], [10, 10]]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (
            [("tumour", [[40000, 40000], [50000, 40000], [50000, 50000], [40000, 40000]])],
            "the slide has 160 x 96 pixels",
        ),
        ([("tumour", [[500, 100], [1200, 100], [1200, 700], [500, 100]])], "would fit at 0.125 times the size"),
        ([(f"class {number}", SQUARE) for number in range(500)], "and 492 more"),
        ([(LONG, SQUARE)], "--map-class"),
        ([("a, b/c", SQUARE)], "'a, b/c' (1)"),
        ([("tumour", [[1, 1], [float("nan"), 2], [3, 3], [1, 1]])], "not a number"),
    ],
    ids=["other slide", "other size", "500 classes", "long name", "marks", "nan"],
)
def test_outlines_that_do_not_fit_are_refused_and_nothing_is_lost(
    features: list[tuple[str, object]], words: str, made: Path, tmp_path: Path, annotate: Callable[..., tuple[int, str]]
) -> None:
    before = content(made)
    code, told = annotate(collection(tmp_path / "a.geojson", *features))
    assert code == 1
    assert words in told
    assert content(made) == before


def test_outlines_in_micrometres_lie_where_their_unit_says(
    made: Path, tmp_path: Path, annotate: Callable[..., tuple[int, str]]
) -> None:
    code, told = annotate(collection(tmp_path / "a.geojson", ("tumour", SQUARE)), "--mask-mpp", "1")
    assert code == 0, told
    with Project.open(made) as project:
        mask, _origin = project.annotations.load_mask(project.annotations.finished()[-1].id)
    assert (mask == 1).sum() == 80 * 76  # 20 to 100 px, and the slide ends at 96


def test_an_outline_that_crosses_itself_is_taken_and_said(
    tmp_path: Path, annotate: Callable[..., tuple[int, str]]
) -> None:
    bow = [[10, 10], [50, 50], [50, 10], [10, 50], [10, 10]]
    code, told = annotate(collection(tmp_path / "a.geojson", ("tumour", bow)))
    assert code == 0
    assert "1 outline crosses itself" in told


def test_an_outline_of_a_million_points_is_taken(
    made: Path, tmp_path: Path, annotate: Callable[..., tuple[int, str]]
) -> None:
    angle = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    ring = np.round(np.stack([80 + 40 * np.cos(angle), 48 + 40 * np.sin(angle)], axis=1), 4).tolist()
    code, told = annotate(collection(tmp_path / "a.geojson", ("tumour", ring)))
    assert code == 0, told
    with Project.open(made) as project:
        mask, _origin = project.annotations.load_mask(project.annotations.finished()[-1].id)
    assert (mask == 1).sum() == pytest.approx(np.pi * 1600, rel=0.01)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.ones((100, 100), np.uint8), "100 x 100 pixels; the region is 160 x 96"),
        (np.full((96, 160), 77, np.uint8), "contains the value 77; the project has 3 mask classes"),
        (np.arange(96 * 160, dtype=np.int64).reshape(96, 160) % 40, "the project has 3 mask classes"),
        (np.random.default_rng(0).integers(0, 255, (96, 160, 3)), "it is not a mask"),
        (np.repeat([[[200, 30, 30], [0, 200, 0]]], 96, axis=0).repeat(80, axis=1), "that are not those of the classes"),
    ],
    ids=["other size", "value without a class", "more values than classes", "photograph", "colours"],
)
def test_a_mask_picture_that_does_not_fit_is_refused_and_nothing_is_lost(
    pixels: np.ndarray, words: str, made: Path, tmp_path: Path, annotate: Callable[..., tuple[int, str]]
) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "other.png")
    before = content(made)
    code, told = annotate(tmp_path / "other.png")
    assert code == 1
    assert words in told
    assert content(made) == before


def test_a_project_without_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        main(["new", "", "--classes", "a"])
    assert refused.value.code == 2
    assert "it is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
