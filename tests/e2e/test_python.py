"""The package as Python users have it: what it offers, how light it is, and that its documentation runs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import histoloop
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide

ROOT = Path(histoloop.__file__).parents[2]
DOCUMENT = ROOT / "docs" / "python.md"
PUBLIC = [name for name in histoloop.__all__ if name != "__version__"]


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*(n for n in ('torch', 'PySide6', 'napari', 'numpy') if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_is_light_and_slides_open_without_torch() -> None:
    assert loaded_after("import histoloop; from histoloop import paths, errors") == set()
    assert loaded_after("from histoloop import open_slide, finish, Region, model_names") == {"numpy"}
    assert loaded_after("from histoloop import open_model") == {"numpy", "torch"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_with_a_docstring(name: str) -> None:
    found = getattr(histoloop, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(histoloop)


def test_the_stub_the_table_and_the_documentation_name_the_same() -> None:
    stub = ast.parse((ROOT / "app/histoloop/__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == histoloop._HOMES
    table = DOCUMENT.read_text(encoding="utf-8").split("## What is promised")[1].split("## ")[0]
    assert set(re.findall(r"`(\w+)`", table.partition("|---|")[2])) == set(PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_slid'"):
        _ = histoloop.open_slid


def test_the_examples_of_the_documentation_run(tmp_path: Path) -> None:
    spec = SyntheticSpec(seed=0, width=1200, height=900, mpp=0.5, label="malignant")
    finish(write_synthetic_slide(tmp_path / "demo.tiff", spec))
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    script = tmp_path / "examples.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo-mask.png").is_file()
    assert (tmp_path / "demo.geojson").is_file()
    assert "1 added" in done.stdout
    assert "absent.svs: there is no such file" in done.stdout


def test_the_changelog_begins_with_this_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", histoloop.__version__)
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == histoloop.__version__
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    assert numbers == sorted(numbers, reverse=True)
