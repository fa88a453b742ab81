"""The command line as scripts use it: files, columns, exit codes."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.cli import main
from histoloop.log import FILE, log_folder
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue, write_synthetic_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]


def histoloop_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a script starts it."""
    command = [sys.executable, "-m", "histoloop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def histoloop(capsys: pytest.CaptureFixture[str]) -> Command:
    """The same in this process, which has loaded torch already."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        given = [str(argument) for argument in arguments]
        try:
            code = main(given)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return subprocess.CompletedProcess(given, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pyramidal slide, a field of view without resolution, and a broken file."""
    slides = tmp_path_factory.mktemp("slides")
    spec = SyntheticSpec(seed=3, width=1200, height=1000, mpp=0.5, label="malignant")
    finish(write_synthetic_slide(slides / "tumour.tiff", spec))
    (slides / "broken.svs").write_bytes(b"II*\0 this is no slide")
    pixels = SyntheticTissue(SyntheticSpec(seed=4, width=900, height=900, mpp=1.15, label="benign"))
    Image.fromarray(pixels.read(pixels.extent)[0][200:424, 200:424]).save(slides / "field.png")
    return slides


@pytest.fixture(scope="module")
def predicted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("out")
    return histoloop_process("predict", folder, "--out", out, "--device", "cpu"), out


def test_the_log_names_model_device_and_duration_but_no_slide(
    predicted: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    log = (log_folder() / FILE).read_text(encoding="utf-8")
    assert re.search(r"histoloop\.cli: predict begins: paths=\(1\) .*device=cpu", log)
    assert re.search(r"loaded_model: model [0-9a-f]{12} on cpu", log)
    assert re.search(r"histoloop\.cli: predict done in \d+\.\d s", log)
    assert "tumour.tif" not in log
    assert str(predicted[1]) not in log


def test_help_imports_neither_torch_nor_qt() -> None:
    script = (
        "import sys\nfrom histoloop.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'PySide6', 'napari', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in (
        "open",
        "predict",
        "query",
        "annotate",
        "train",
        "recipes",
        "evaluate",
        "rank",
        "patches",
        "export",
        "demo",
        "tour",
        "doctor",
    ):
        assert f"    {command} " in done.stdout


def test_predict_goes_on_past_a_broken_slide_and_exits_3(
    predicted: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _out = predicted
    assert done.returncode == 3, done.stderr
    assert "broken.svs" in done.stderr
    assert "Traceback" not in done.stderr


def test_predict_writes_polygons_masks_and_one_summary(
    predicted: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    _, out = predicted
    for stem in ("tumour", "field"):
        collection = json.loads((out / f"{stem}.geojson").read_text(encoding="utf-8"))
        assert collection["type"] == "FeatureCollection"
        for feature in collection["features"]:
            assert feature["geometry"]["type"] == "Polygon"
            assert feature["properties"]["objectType"] == "annotation"
            assert feature["properties"]["classification"]["name"] in ("gland", "tumour")
        with Image.open(out / f"{stem}-mask.png") as mask:
            assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}
    with (out / "summary.csv").open(encoding="utf-8", newline="") as lines:
        rows = {Path(row["slide"]).name: row for row in csv.DictReader(lines)}
    assert set(rows) == {"tumour.tiff", "field.png", "broken.svs"}
    assert rows["tumour.tiff"]["unlike_training_data"] == "yes"  # it is a made-up slide: no label is named
    assert {value for key, value in rows["tumour.tiff"].items() if key.startswith("p_")} == {""}
    assert float(rows["tumour.tiff"]["tissue_area_um2"]) > 0
    assert rows["field.png"]["tissue_area_um2"] == ""
    assert "resolution" in rows["field.png"]["message"]
    assert rows["broken.svs"]["status"] == "failed"


def test_masks_have_the_shape_of_the_map(predicted: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, out = predicted
    with Image.open(out / "tumour-mask.png") as slide, Image.open(out / "field-mask.png") as field:
        assert slide.size == (round(1200 * 0.5 / 1.15), round(1000 * 0.5 / 1.15))
        assert field.size == (224, 224)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["predict", "absent.svs", "--out", "OUT"], 1, ["absent.svs", "no such file"]),
        (["import", "OUT/p", "FOLDER/broken.svs"], 1, ["broken.svs"]),
        (["import", "OUT/p", "FOLDER/broken.svs", "FOLDER/field.png"], 3, ["broken.svs"]),
        (["query", "absent", "--strategy", "entropi"], 2, ["entropi", "did you mean 'entropy'", "k-center"]),
        (["predict", "FOLDER/field.png", "--out", "OUT", "--model", "colon"], 1, ["colon-ebhi-resnet18"]),
        (["predict", "FOLDER/field.png", "--out", "OUT", "--mpp", "0"], 2, ["--mpp"]),
        (["query", "absent"], 1, ["absent"]),
        (["export", "FOLDER", "--out", "OUT"], 1, ["There is no project"]),
        (["train"], 2, ["--recipe"]),
        (["train", "--recipe", "ebhi-resnet", "--data", "FOLDER", "--out", "OUT/m"], 1, ["ebhi-resnet18"]),
        (["flatten"], 2, ["flatten"]),
    ],
)
def test_bad_input_is_an_error_on_stderr_with_an_exit_code(
    arguments: list[str], code: int, words: list[str], folder: Path, tmp_path: Path, histoloop: Command
) -> None:
    given = [argument.replace("FOLDER", str(folder)).replace("OUT", str(tmp_path)) for argument in arguments]
    done = histoloop(*given)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word.lower() in done.stderr.lower()


def test_a_project_goes_through_the_whole_loop_by_commands(folder: Path, tmp_path: Path, histoloop: Command) -> None:
    project, out = tmp_path / "project", tmp_path / "export"
    assert histoloop_process("import", project, folder / "tumour.tiff").returncode == 0
    asked = histoloop("query", project, "--count", 1, "--device", "cpu", "--json", "-")
    assert asked.returncode == 0, asked.stderr
    (query,) = json.loads(asked.stdout)["done"]
    _x, _y, width, height = query["region"]
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    done = histoloop("annotate", project, "--query", query["id"], "--mask", tmp_path / "mask.png")
    assert done.returncode == 0, done.stderr
    for said in (["--query", query["id"], "--size", "35%"], ["--slide", "tumour", "--label", "Adenocarcinoma"]):
        assert histoloop("annotate", project, *said).returncode == 0
    for nothing in (["--query", query["id"]], ["--slide", "tumour", "--size", "1.5"]):
        assert histoloop("annotate", project, *nothing).returncode == 2
    trained = histoloop("train", project, "--epochs", 1, "--device", "cpu")
    assert trained.returncode == 0, trained.stderr
    assert "trained on 1 annotations" in trained.stdout
    assert "histoloop decide" in trained.stderr  # nothing is held out yet: a person decides
    assert histoloop("decide", project, "keep").returncode == 0
    assert histoloop("decide", project, "keep").returncode == 1
    exported = histoloop_process("export", project, "--out", out)
    assert exported.returncode == 0, exported.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "annotations.csv", "areas.csv", "summary.csv", "tumour-mask.png", "tumour-mask.tiff", "tumour.geojson",
    ]  # fmt: skip


def test_doctor_prints_json_that_scripts_can_read() -> None:
    done = histoloop_process("doctor", "--json")
    findings = json.loads(done.stdout)
    assert {"HistoLoop", "Python", "torch", "OpenSlide", "GPU", "OpenGL", "Models"} <= {row["name"] for row in findings}
    assert all(row["state"] in ("ok", "note", "problem") for row in findings)
    assert done.returncode == (1 if any(row["state"] == "problem" for row in findings) else 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can take")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_ended_leaves_no_temporary_folder(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = (  # a shell has its background jobs ignore SIGINT
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from histoloop.cli import main\nsys.exit(main(['demo', '--device', 'cpu']))"
    )
    command = [sys.executable, "-u", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline()  # at work
        assert list(tmp_path.glob("histoloop-demo-*"))
        process.send_signal(number)
        _out, error = process.communicate(timeout=120)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert list(tmp_path.glob("histoloop-*")) == []


def test_why_slides_are_not_predicted_is_named_when_nothing_can_be_asked(tmp_path: Path, histoloop: Command) -> None:
    picture = tmp_path / "slides" / "field.png"
    picture.parent.mkdir()
    Image.new("RGB", (96, 96), (200, 120, 180)).save(picture)
    assert histoloop("import", tmp_path / "project", picture).returncode == 0
    picture.parent.rename(tmp_path / "elsewhere")
    done = histoloop("query", tmp_path / "project", "--device", "cpu")
    assert done.returncode == 1
    assert "field.png: the file is not where it was" in done.stderr.replace(str(picture.parent) + "/", "")
