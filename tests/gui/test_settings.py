"""What is remembered of a user, whatever the system knows of one."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import pytest

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
