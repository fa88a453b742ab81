"""What is remembered of a user, whatever the system knows of one."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import pytest

from histoloop import paths
from histoloop.gui.kit.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("error", [KeyError("uid not found: 54321"), OSError("No username set"), ImportError("pwd")])
def test_a_user_whom_the_system_cannot_name_is_someone_until_a_name_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    settings = Settings(tmp_path / "settings.ini")
    assert settings.person == "someone"
    settings.set("person", "Ada")
    assert settings.person == "Ada"


def test_settings_of_an_earlier_version_are_taken_over_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, now = tmp_path / "data", tmp_path / "config" / "settings.ini"
    monkeypatch.setattr(paths, "user_data", lambda: earlier)
    monkeypatch.setattr(paths, "settings_file", lambda: now)
    Settings(earlier / "settings.ini").set("person", "Ada")
    settings = Settings()
    assert settings.person == "Ada"
    settings.set("person", "Grace")
    assert Settings().person == "Grace"
    assert Settings(earlier / "settings.ini").person == "Ada"
