"""Icons in the sizes and containers of the three systems."""

from __future__ import annotations

import pytest
from PIL import Image

from installers.icons import HICOLOR_PX, ICNS_PX, ICO_PX, render, write_hicolor, write_icns, write_ico


@pytest.mark.parametrize("size_px", [16, 48, 512])
def test_the_icon_fills_its_square_with_round_corners(size_px):
    icon = render(size_px)
    assert icon.size == (size_px, size_px)
    assert icon.getpixel((0, 0))[3] == 0
    assert icon.getpixel((size_px // 2, 1))[3] == 255
    assert len(icon.convert("RGB").getcolors(size_px * size_px)) > 3


def test_what_is_no_svg_is_refused(tmp_path):
    (tmp_path / "broken.svg").write_text("no svg")
    with pytest.raises(ValueError, match=r"broken\.svg"):
        render(16, tmp_path / "broken.svg")


def test_the_theme_gets_a_picture_of_every_size(tmp_path):
    write_hicolor(tmp_path, "histoloop")
    for size_px in HICOLOR_PX:
        with Image.open(tmp_path / f"{size_px}x{size_px}" / "apps" / "histoloop.png") as icon:
            assert icon.size == (size_px, size_px)
    assert (tmp_path / "scalable" / "apps" / "histoloop.svg").is_file()


def test_the_windows_icon_holds_every_size(tmp_path):
    write_ico(tmp_path / "a.ico")
    with Image.open(tmp_path / "a.ico") as icon:
        assert icon.info["sizes"] == {(size_px, size_px) for size_px in ICO_PX}


def test_the_mac_icon_holds_every_size(tmp_path):
    write_icns(tmp_path / "a.icns")
    with Image.open(tmp_path / "a.icns") as icon:
        assert {width * scale for width, _height, scale in icon.info["sizes"]} == set(ICNS_PX)
