"""The size of the window that a tour is taken in."""

from __future__ import annotations

import pytest

from histoloop.cli import main
from histoloop.cli.arguments import window_size


def test_a_size_is_width_and_height_in_pixels() -> None:
    assert window_size("1280x800") == (1280, 800)


@pytest.mark.parametrize("size", ["1280", "1280x", "x800", "1280x80", "-1280x800", "1280X800", "1280x800x2"])
def test_what_is_no_size_of_a_window_is_wrong_usage(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tour", "--out", "never", f"--size={size}"])
    assert ended.value.code == 2
    assert "is no size of a window, such as 1280x800" in capsys.readouterr().err
