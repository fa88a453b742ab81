"""What the commands leave in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.cli import main
from histoloop.log import FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path))
    return lambda: (tmp_path / "logs" / FILE).read_text(encoding="utf-8")


def test_a_command_is_logged_with_its_duration(read: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert "recipes begins" in read()
    assert "recipes done in" in read()
    assert "begins" not in capsys.readouterr().err


def test_verbose_shows_the_log_on_standard_error(read: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--verbose"]) == 0
    assert "recipes begins" in capsys.readouterr().err


def test_a_command_that_fails_is_logged_without_the_path_it_was_given(read: Callable[[], str], tmp_path: Path) -> None:
    assert main(["query", str(tmp_path / "Hans Müller"), "--strategy", "random", "--count", "3"]) == 1
    assert "query begins: strategy=random count=3 side=384" in read()
    assert "query failed after" in read()
    assert "Hans" not in read()
