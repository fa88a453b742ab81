"""`histoloop new` and `histoloop classes`: what they make, say and answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoloop.cli import main
from histoloop.store.project import Project
from histoloop.store.shipped import DEFAULT_ENCODER


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A project of three classes, without slides."""
    assert main(["new", str(tmp_path / "p"), "--classes", "tumour,stroma=#0072B2,fat"]) == 0
    capsys.readouterr()
    return str(tmp_path / "p")


def test_a_new_project_has_the_classes_and_labels_that_were_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--classes", 'tumour, "fat, loose",Öl=#ABCDEF', "--labels", "benign,malignant=Tumour"]
    assert main(["new", str(tmp_path / "p"), *named, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    (found,) = json.loads(out)["done"]
    assert [one["name"] for one in found["classes"]] == ["tumour", "fat, loose", "Öl"]
    assert found["classes"][2]["colour"] == "#abcdef"
    assert found["labels"] == [{"name": "benign", "mask": None}, {"name": "malignant", "mask": "tumour"}]
    assert found["trained"] is False
    assert "nothing is predicted before the first retraining" in err


@pytest.mark.parametrize(
    ("arguments", "trained", "names"),
    [
        ([], True, ("gland", "tumour")),
        (["--classes", "tumour"], True, ("tumour",)),
        (["--template", "gland"], True, ("gland", "tumour")),
        (["--template", "metastasis"], False, ("metastasis", "lymphoid tissue")),
        (["--classes", "gland,nerve"], False, ("gland", "nerve")),
        (["--classes", "gland,nerve", "--model", "colon-ebhi-resnet18"], True, ("gland", "nerve")),
        (["--classes", "gland", "--encoder", "colon-ebhi-resnet18"], False, ("gland",)),
    ],
)
def test_a_project_begins_with_the_model_where_that_draws_its_classes_else_with_its_encoder(
    arguments: list[str], trained: bool, names: tuple[str, ...], tmp_path: Path
) -> None:
    assert main(["new", str(tmp_path / "p"), *arguments]) == 0
    with Project.open(tmp_path / "p") as project:
        card = project.models.current_card()
        assert (card.trained, project.scheme.mask_names) == (trained, names)
        if not trained:
            assert card.training["encoder"] == (arguments[3] if "--encoder" in arguments else DEFAULT_ENCODER)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--classes", "a,A"], 2, "a already exists"),
        (["--classes", ""], 2, "at least one class"),
        (["--classes", "a=red"], 2, "not a colour"),
        (["--classes", "background"], 2, "is reserved"),
        (["--classes", ",".join(f"c{number}" for number in range(31))], 2, "at most 30"),
        (["--classes", "a", "--labels", "x=b"], 2, "not one of the classes"),
        (["--classes", "nerve", "--model", "colon-ebhi-resnet18"], 1, "none of these"),
        (["--classes", "a", "--encoder", "uni"], 1, "histoloop encoders show uni"),
        (["--encoder", "colon-ebhi-resnet18"], 1, "knows no classes"),
    ],
)
def test_a_project_that_cannot_be_is_not_begun(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path / "p"), *arguments]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("arguments", [["--template", "t u"], ["--classes", "a", "--template", "gland"]])
def test_what_goes_with_nothing_is_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["new", str(tmp_path / "p"), *arguments])


def names_of(folder: str) -> list[str]:
    with Project.open(Path(folder)) as project:
        return list(project.scheme.mask_names)


def test_classes_are_changed_step_by_step_and_back(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        (["add", "nerve", "--colour", "#123456"], ["tumour", "stroma", "fat", "nerve"]),
        (["rename", "fat", "lipid"], ["tumour", "stroma", "lipid", "nerve"]),
        (["recolour", "lipid", "#000001"], ["tumour", "stroma", "lipid", "nerve"]),
        (["order", "nerve", "lipid", "stroma", "tumour"], ["nerve", "lipid", "stroma", "tumour"]),
        (["merge", "lipid", "--into", "stroma"], ["nerve", "stroma", "tumour"]),
        (["remove", "nerve"], ["stroma", "tumour"]),
    ]
    for arguments, names in steps:
        assert main(["classes", made, *arguments]) == 0
        assert names_of(made) == names
    assert "That is ignored from now on; `histoloop classes PROJECT undo` reverts it." in (capsys.readouterr().err)
    for _arguments, names in [*reversed(steps[:-1])]:
        assert main(["classes", made, "undo"]) == 0
        assert names_of(made) == names
    assert main(["classes", made, "undo"]) == 0
    assert main(["classes", made, "undo"]) == 1
    assert names_of(made) == ["tumour", "stroma", "fat"]


def test_the_list_says_what_is_painted_of_each(made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((96, 160, 3), (215, 140, 185), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.repeat([[1, 1, 2, 0]], 4, axis=0).astype(np.uint8)).save(tmp_path / "mask.png")
    assert main(["import", made, str(tmp_path / "a.png"), "--mpp", "0.5"]) == 0
    place = ["--slide", "a.png", "--region", "0,0,4,4", "--mask", str(tmp_path / "mask.png")]
    assert main(["annotate", made, *place]) == 0
    capsys.readouterr()
    for arguments in (["--json", "-"], ["list", "--json", "-"]):
        assert main(["classes", made, *arguments]) == 0
        found = json.loads(capsys.readouterr().out)["done"]
        assert [(one["name"], one["finished"]) for one in found] == [("tumour", 1), ("stroma", 1), ("fat", 0)]
        assert found[0]["area"] == pytest.approx(8 * 0.25 / 1e6)
    assert main(["classes", made]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "3\tfat\t#009e73\tNothing is painted with it."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["remove", "tumor"], "did you mean 'tumour'?"),
        (["add", "Stroma"], "stroma already exists"),
        (["merge", "fat", "--into", "fat"], "into itself"),
        (["order", "fat"], "each class once"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(
    arguments: list[str], words: str, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classes", made, *arguments]) == 1
    assert words in capsys.readouterr().err
    assert names_of(made) == ["tumour", "stroma", "fat"]


def test_before_the_first_retraining_predicting_and_rolling_back_are_refused(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((96, 160, 3), (215, 140, 185), np.uint8)).save(tmp_path / "a.png")
    (model,) = (tmp_path / "p" / "models").iterdir()
    assert main(["predict", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--model", str(model)]) == 1
    assert "annotate them, and retrain" in capsys.readouterr().err
    assert main(["train", made, "--roll-back"]) == 1
    assert "no model to go back to" in capsys.readouterr().err
    assert main(["query", made, "--strategy", "entropy"]) == 1
    assert "needs a trained model" in capsys.readouterr().err
    assert main(["status", made]) == 0
    assert "not trained yet" in capsys.readouterr().out
