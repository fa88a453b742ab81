"""What the reference says is what the program does."""

from __future__ import annotations

import re
import runpy
import shlex
from typing import TYPE_CHECKING

from histoloop.cli import build_parser
from histoloop.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from .conftest import Page


def test_generated_pages_are_current(docs: Path) -> None:
    generate: Callable[[], dict[str, str]] = runpy.run_path(str(docs / "generate.py"))["pages"]
    for name, text in generate().items():
        assert (docs / "reference" / name).read_text(encoding="utf-8") == text, f"{name}: run `make reference`"


def test_every_table_of_the_database_is_described(docs: Path) -> None:
    made = {
        name
        for name in re.findall(r"CREATE TABLE (\w+)", "".join(MIGRATIONS))
        if "_of_version_" not in name  # made to take another's place
    }
    text = (docs / "reference" / "project.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\w+)` \|", text.partition("## The database")[2], flags=re.MULTILINE))
    assert described == made


def test_files_of_the_program_that_are_named_are_there(page: Page, docs: Path) -> None:
    """In the text as `room/file.py` or `room/`, below app/histoloop or at the top of the repository."""
    package = docs.parent / "app" / "histoloop"
    inline = [child.content for token in page.tokens() for child in token.children or () if child.type == "code_inline"]
    for text in inline:
        if re.fullmatch(r"[\w.]+(/[\w.]+)*/(\w+\.py)?", text) and (package / text.split("/")[0]).is_dir():
            assert (package / text).exists(), text
        elif re.fullmatch(r"\w+(/\w+)+\.py", text):
            assert (docs.parent / text).exists(), text


def test_commands_in_code_blocks_have_arguments_that_exist(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (line for block in page.blocks() if block.language in ("", "bash") for line in _commands(block.text)):
        wrong = _refused(line)
        assert not wrong, f"{line}\n{capsys.readouterr().err}"


def _refused(line: str) -> bool:
    try:
        build_parser().parse_args(shlex.split(line, comments=True)[1:])
    except SystemExit as stopped:
        return stopped.code != 0
    return False


def _commands(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("histoloop ")]
