"""Where things live, by the system's own rules or in one folder that the user names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop import log, paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without any of the variables that move folders."""
    for name in ("HISTOLOOP_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DOCUMENTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif("sys.platform != 'linux'")
def test_projects_are_documents_and_settings_and_log_lie_where_linux_keeps_them(home: Path) -> None:
    assert paths.projects() == home / "Documents" / "HistoLoop"
    assert paths.settings_file() == home / ".config" / "histoloop" / "settings.ini"
    assert paths.logs() == log.log_folder() == home / ".local" / "state" / "histoloop" / "log"
    assert paths.user_data() == home / ".local" / "share" / "histoloop"


@pytest.mark.skipif("sys.platform != 'linux'")
def test_projects_go_to_the_folder_that_the_desktop_has_for_documents(home: Path) -> None:
    (home / ".config").mkdir()
    (home / ".config" / "user-dirs.dirs").write_text('XDG_DOCUMENTS_DIR="$HOME/Dokumente"\n', encoding="utf-8")
    assert paths.projects() == home / "Dokumente" / "HistoLoop"


def test_histoloop_home_is_one_folder_for_all_of_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(home / "mine"))
    mine = home / "mine"
    assert [paths.user_data(), paths.projects(), paths.logs()] == [mine, mine / "projects", mine / "logs"]
    assert paths.settings_file() == mine / "settings.ini"
