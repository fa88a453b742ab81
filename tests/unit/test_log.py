"""The log: one file for all processes, operations with settings and durations, no paths and no names."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import histoloop
from histoloop import log
from histoloop.log import FILE, loggable, logging_to_file, operation, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("histoloop.test")


def lines(folder: Path) -> list[str]:
    return (folder / FILE).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/Müller_Hans/slide1.svs: the file is not where it was.", "<path>.svs: the file is not where it was."),
        ("/data/Hans Müller/a b/slide 1.svs: bad", "<path>.svs: bad"),
        ("cannot open '/data/Hans Müller/x y.svs' now", "cannot open '<path>.svs' now"),
        ("[Errno 2] No such file: 'Hans/slide.svs'", "[Errno 2] No such file: '<path>.svs'"),
        ("Predicting Hans_Müller.ndpi", "Predicting <path>.ndpi"),
        (r"C:\Users\Hans\x.tiff is", "<path>.tiff is"),
        ("~/cases/Hans.svs", "<path>.svs"),
        ("12 / 3 px and 1/2 or and/or", "12 / 3 px and 1/2 or and/or"),
        ('File "/opt/x/histoloop/slides/reader.py", line 3', 'File "histoloop/slides/reader.py", line 3'),
        ('File "/v/site-packages/PIL/Image.py", line 3', 'File "site-packages/PIL/Image.py", line 3'),
    ],
)
def test_paths_are_cut_down_to_their_endings_and_places_in_code_stay(text: str, expected: str) -> None:
    assert shortened(text) == expected


@pytest.mark.parametrize("text", ["{" * 200_000, "a/" * 100_000, "' /" * 60_000, "x." * 100_000])
def test_a_long_line_of_a_damaged_file_is_cut_and_takes_no_time(text: str) -> None:
    began = time.process_time()
    assert len(shortened(text)) < 10_000
    assert time.process_time() - began < 5  # it took minutes


def test_the_first_line_names_the_process_and_the_versions(tmp_path: Path) -> None:
    with logging_to_file("command line", folder=tmp_path) as trouble:
        assert trouble is None
    assert "command line starts: HistoLoop " + histoloop.__version__ in lines(tmp_path)[0]
    for name in ("Python 3.", "torch ", "napari ", "PySide6 ", "cores"):
        assert name in lines(tmp_path)[0]


def test_an_operation_is_logged_with_its_settings_and_how_long_it_took(tmp_path: Path) -> None:
    with logging_to_file("command line", folder=tmp_path), operation(_log, "train", seed=3, recipe="cam", of=None):
        pass
    begins, done = (line for line in lines(tmp_path) if " histoloop.test: " in line)
    assert begins.endswith("train begins: seed=3 recipe=cam")
    assert done.rsplit(": ", 1)[1].startswith("train done in 0.0 s")


def test_an_operation_that_fails_or_is_cancelled_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> Iterator[int]:
        with operation(_log, "predict"):
            yield 1
            yield 2

    caplog.set_level(logging.INFO)
    begun = work()
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no"), operation(_log, "ask"):
        raise ValueError("no")
    said = [record.getMessage() for record in caplog.records]
    assert said[1].startswith("predict was cancelled after")
    assert said[3].startswith("ask failed after")
    assert said[3].endswith("ValueError: no")


def test_errors_are_logged_with_their_trace_but_without_the_path_of_a_slide(tmp_path: Path) -> None:
    with logging_to_file("window", folder=tmp_path):
        try:
            raise OSError(2, "No such file", "/data/Hans Müller/slide.svs")
        except OSError:
            _log.exception("not caught")
    text = "\n".join(lines(tmp_path))
    assert "test_log.py" in text
    assert "FileNotFoundError: [Errno 2] No such file: '<path>.svs'" in text
    assert "Hans" not in text


def test_a_full_file_is_renamed_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LARGEST_BYTES", 2000)
    with logging_to_file("window", folder=tmp_path):
        for number in range(200):
            _log.info("line %d of many", number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [FILE, *(f"{FILE}.{number}" for number in range(1, log.EARLIER_FILES + 1))]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 3000


def test_a_second_process_goes_on_in_the_new_file_when_the_first_renamed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with logging_to_file("window", folder=tmp_path):
        (tmp_path / FILE).rename(tmp_path / f"{FILE}.1")
        _log.info("after the other process renamed it")
    assert any("after the other" in line for line in lines(tmp_path))


def test_a_crash_of_native_code_leaves_its_stack_in_the_log(tmp_path: Path) -> None:
    script = (
        "import faulthandler, pathlib, sys\nfrom histoloop.log import logging_to_file\n"
        "with logging_to_file('jobs', folder=pathlib.Path(sys.argv[1])):\n    faulthandler._sigsegv()"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode != 0
    assert any("Segmentation fault" in line or "access violation" in line for line in lines(tmp_path))


def test_where_nothing_can_be_written_the_program_goes_on_and_knows_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with logging_to_file("window", folder=tmp_path / "file" / "logs") as trouble:
        _log.info("goes on")
    assert isinstance(trouble, OSError)


def test_verbose_shows_on_standard_error_what_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (False, True):
        with logging_to_file("command line", folder=tmp_path, verbose=verbose), operation(_log, "export"):
            pass
        assert ("INFO histoloop.test: export begins" in capsys.readouterr().err) is verbose


def test_a_log_within_a_log_writes_every_line_once(tmp_path: Path) -> None:
    with logging_to_file("command line", folder=tmp_path), logging_to_file("window", folder=tmp_path):
        _log.info("once")
    assert sum("once" in line for line in lines(tmp_path)) == 1


def test_numbers_switches_choices_and_counts_are_logged_paths_names_and_texts_are_not() -> None:
    settings = {
        "seed": 0, "epochs": None, "random": 0.25, "robustness": True, "start": False, "device": "cpu",
        "person": "Dr Müller", "label": "Adenocarcinoma", "slide": "Müller.svs", "project": Path("/data/Müller"),
        "paths": [Path("a.svs")], "command": print,
    }  # fmt: skip
    assert loggable(settings) == {"seed": 0, "random": 0.25, "robustness": True, "device": "cpu", "paths": "(1)"}
