"""What commands print, write as JSON and answer, whatever names contain."""

from __future__ import annotations

import errno
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoloop import cli
from histoloop.cli import main
from histoloop.cli.arguments import LARGEST_SIDE_PX, SMALLEST_SIDE_PX
from histoloop.cli.outcome import Outcome, report
from histoloop.cli.terminal import as_argument, print_error, shown
from histoloop.workflows.contents import candidate_regions

EVIL = "a\x1b[31m\n\u202efdp.exe\t=1+1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a slide."""
    folder = tmp_path_factory.mktemp("outcome")
    Image.fromarray(np.full((96, 160, 3), (215, 140, 185), np.uint8)).save(folder / "a.png")
    assert main(["import", str(folder / "p"), str(folder / "a.png"), "--mpp", "0.5"]) == 0
    return folder


@pytest.mark.parametrize(
    ("done", "failed", "code", "meaning"),
    [
        ([{"slide": "a"}], [], 0, "all done"),
        ([], [], 0, "all done"),
        ([], [("a", "why")], 1, "nothing could be done"),
        ([{"slide": "a"}], [("b", "why")], 3, "some failed or were not understood"),
    ],
)
def test_an_outcome_has_one_shape_and_a_code_with_its_meaning(
    done: list[dict[str, str]], failed: list[tuple[str, str]], code: int, meaning: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    outcome = Outcome(["a line"], done, failed, [("notes.txt", "no slide")], ["assumed"])
    assert report(outcome, command="predict", json_file=tmp_path / "new" / "o.json") == code
    out, err = capsys.readouterr()
    assert out == "a line\n"
    assert json.loads((tmp_path / "new" / "o.json").read_text(encoding="utf-8")) == {
        "command": "predict", "exit_code": code, "meaning": meaning, "done": done,
        "failed": [{"slide": name, "reason": reason} for name, reason in failed],
        "passed_over": [{"slide": "notes.txt", "reason": "no slide"}], "notes": ["assumed"],
    }  # fmt: skip
    assert all(f"histoloop: {name}: {reason}" in err for name, reason in failed)
    assert "passed over: notes.txt: no slide" in err
    assert "Mind: assumed" in err


def test_a_command_that_is_suggested_can_be_copied_whatever_its_folder_is_called() -> None:
    folder = Path("Pr\N{LATIN SMALL LETTER U WITH DIAERESIS}fung Gewebe's")
    assert as_argument("plain") == "plain"
    if os.name == "posix":
        assert shlex.split(f"histoloop decide {as_argument(folder)} keep") == [
            "histoloop",
            "decide",
            str(folder),
            "keep",
        ]
    else:
        assert as_argument(folder) == f'"{folder}"'


def test_json_on_standard_output_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(Outcome(["a line"], [{"slide": "a"}]), command="export", json_file=Path("-")) == 0
    assert json.loads(capsys.readouterr().out)["done"] == [{"slide": "a"}]


def test_control_characters_and_marks_of_direction_are_shown_as_escapes() -> None:
    assert shown(EVIL) == "a\\x1b[31m\\n\\u202efdp.exe\\t=1+1"
    assert shown("m\udce4use, Präparat 数, \u06a9\u200c\u0627") == "m\\udce4use, Präparat 数, \u06a9\u200c\u0627"


def test_no_name_moves_the_cursor_or_fakes_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome([EVIL], [], [(EVIL, EVIL)], [(EVIL, EVIL)], [EVIL])
    assert report(outcome, command="predict", json_file=None) == 1
    out, err = capsys.readouterr()
    for text in (out, err):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert len(out.splitlines()) == 1
    assert len(err.splitlines()) == 3


def test_an_error_is_written_as_json_too(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "absent"), "--out", str(tmp_path / "o"), "--json", "-"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["command"], told["exit_code"], told["done"]) == ("export", 1, [])
    assert "There is no project" in told["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "PROJECT", "--out", "FILE/x"],
        ["import", "FILE/p", "SLIDE"],
        ["export", "PROJECT", "--out", "OUT", "--json", "FILE/x.json"],
        ["predict", "SLIDE", "--out", "FILE/x", "--device", "cpu"],
    ],
)
def test_a_place_that_cannot_be_written_is_named_and_ends_with_4(
    arguments: list[str], made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    places = {"PROJECT": made / "p", "FILE": tmp_path / "file", "OUT": tmp_path / "o", "SLIDE": made / "a.png"}
    given = []
    for argument in arguments:
        name, _, rest = argument.partition("/")
        given.append(str(places[name] / rest) if name in places else argument)
    assert main(given) == 4
    err = capsys.readouterr().err
    assert str(tmp_path / "file") in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "P", "--side", "127"], ["query", "P", "--side", "1025"], ["query", "P", "--count", "0"],
        ["query", "P", "--random", "nan"], ["query", "P", "--seed", "-1"], ["query", "P", "--device", "gpu"],
        *(["import", "P", "a.png", "--mpp", mpp] for mpp in ("0", "-1", "inf", "nan", "1e-4", "500", "half")),
        *(["predict", "a.png", "--out", "o", "--mpp", mpp] for mpp in ("0", "inf", "nan", "1e-4", "500")),
        ["train", "P", "--keep", "--roll-back"], ["decide", "P", "perhaps"], ["status"],
        ["query", "P", "--count", "1e3"],
    ],
)  # fmt: skip
def test_wrong_usage_is_refused_before_any_work(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "P", "--strategy", "entropi"], ["train", "--keep"], ["doctor", "--look-in", "x"],
        ["doctor", "P", "--report", "x"], ["simulate", "--data", "x", "--json", "x/o.json", "--strategies", "entropi"],
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_wrong_usage_too(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2


def test_the_sides_that_may_be_given_are_those_that_regions_have() -> None:
    assert SMALLEST_SIDE_PX == candidate_regions.SMALLEST_MAP_PX
    assert LARGEST_SIDE_PX == candidate_regions.LARGEST_MAP_PX


def test_a_model_is_not_named_for_a_project_that_has_some(made: Path) -> None:
    assert main(["import", str(made / "p"), str(made / "a.png"), "--model", "x"]) == 2


def test_what_is_in_a_folder_and_not_understood_is_a_failure_and_what_is_plainly_no_slide_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("labels.csv", "scan.isyntax", "Thumbs.db"):
        (folder / name).write_bytes(b"something")
    Image.fromarray(np.full((70, 70, 3), 200, np.uint8)).save(folder / "b.png")
    assert main(["import", str(tmp_path / "p"), str(folder), "--json", str(tmp_path / "o.json")]) == 3
    told = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert [row["slide"] for row in told["failed"]] == [str(folder / "scan.isyntax")]
    assert [Path(row["slide"]).name for row in told["passed_over"]] == ["Thumbs.db", "labels.csv"]
    assert [row["state"] for row in told["done"]] == ["added"]
    assert "scan.isyntax: its file extension is not that of a slide format" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/scratch/x"),
            4,
            "Nothing can be written to /scratch: No space",
        ),
        (OSError(errno.EIO, "Input/output error"), 1, "Input/output error."),
        (MemoryError(), 1, "There is not enough memory"),
        (KeyError("tile"), 1, "It cannot be processed (KeyError: 'tile'). The log has more: "),
    ],
)
def test_what_nobody_expected_is_said_in_words_and_the_log_has_its_trace(
    error: Exception, code: int, words: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def failing(*_arguments: object) -> None:
        raise error

    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path))
    monkeypatch.setattr("histoloop.workflows.export.export_project", failing)
    assert main(["export", str(made / "p"), "--out", str(tmp_path / "o")]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    if code == 1:
        assert "Traceback" in (tmp_path / "logs" / "histoloop.log").read_text(encoding="utf-8")


def test_status_says_what_is_broken_and_doctor_mends_it(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = made / "p"
    assert main(["status", str(project)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"p, in {project}"
    assert "\ta.png\tfile there\tnot predicted\t0.5 um/px (given)" in lines
    for picture in (project / "thumbnails").glob("slide-1.png"):
        picture.unlink()
    assert main(["status", str(project), "--json", "-"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["broken"][0]["reason"] == "it has no thumbnail"
    assert f"histoloop: a.png: it has no thumbnail. histoloop doctor {project} makes it again." in err
    assert main(["doctor", str(project)]) == 0
    out = capsys.readouterr().out
    assert "mended: a.png: it has no thumbnail" in out
    assert "resolution: a.png: 0.5 um/px, typed by a person" in out
    assert main(["status", str(project)]) == 0
    capsys.readouterr()


def test_doctor_ends_with_3_while_something_remains_and_looks_where_it_is_told(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "a.png").rename(tmp_path / "renamed.png")
    assert main(["doctor", str(made / "p")]) == 3
    assert "a.png: " in capsys.readouterr().err
    assert main(["doctor", str(made / "p"), "--look-in", str(tmp_path), "--json"]) == 0
    (mended,) = json.loads(capsys.readouterr().out)["mended"]
    assert mended["what"] == "a.png"


def test_the_middle_of_a_very_long_message_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"a.xml: {'{' * 200_000}. Mend it.")
    told = capsys.readouterr().err
    assert len(told) < 5000
    assert told.startswith("histoloop: a.xml: {{{")
    assert told.endswith("{. Mend it.\n")


def test_an_interruption_before_a_command_begins_is_one_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "settle_in", interrupted)
    assert cli.main(["status", "p"]) == 130
    assert capsys.readouterr().err == "histoloop: interrupted\n"


def test_doctor_says_where_the_resolution_of_each_slide_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    per_cm = {"resolution": (1e4 / 0.3, 1e4 / 0.3), "resolutionunit": "CENTIMETER"}
    aperio = {"description": "Aperio Image Library |AppMag = 40|", "metadata": None}
    for grey, (name, stated) in enumerate({"file": per_cm, "power": aperio, "bare": {"metadata": None}}.items()):
        pixels = np.full((40, 50, 3), 200 + grey, np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="rgb", **stated)
    project = str(tmp_path / "p")
    assert main(["new", project]) == 0
    assert main(["import", project, str(tmp_path / "file.tif"), str(tmp_path / "bare.tif")]) == 0
    assert main(["import", project, str(tmp_path / "power.tif"), "--mpp-from-objective"]) == 0
    capsys.readouterr()
    assert main(["doctor", project]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "resolution: file.tif: 0.3 um/px, stated by the file" in lines
    assert "resolution: power.tif: 0.25 um/px, estimated by the objective that the file states" in lines
    assert "resolution: bare.tif: unknown; assumed to be the model's, pixel for pixel" in lines
    assert main(["doctor", project, "--json"]) == 0
    found = {row["slide"]: row["mpp_from"] for row in json.loads(capsys.readouterr().out)["resolutions"]}
    assert found == {"file.tif": "stated", "power.tif": "objective", "bare.tif": "assumed"}
