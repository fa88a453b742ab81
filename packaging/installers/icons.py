"""The program's icon in the sizes and containers that the systems want, all drawn from the one SVG."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

from PIL import Image
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from installers.program import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

ICON = REPOSITORY / "resources" / "icons" / "histoloop.svg"

HICOLOR_PX = (16, 22, 24, 32, 36, 48, 64, 72, 96, 128, 192, 256, 512)
"""The sizes that the hicolor theme has folders for and desktops ask for."""

ICO_PX = (16, 20, 24, 32, 40, 48, 64, 96, 128, 256)
"""Windows' sizes at 100 to 250 % scaling."""

ICNS_PX = (32, 64, 128, 256, 512, 1024)
"""macOS' sizes, plain and Retina; it makes 16 of 32."""


def render(size_px: int, source: Path = ICON) -> Image.Image:
    """The icon as RGBA, `size_px` wide and high; ValueError when the SVG cannot be read."""
    renderer = QSvgRenderer(str(source))
    if not renderer.isValid():
        raise ValueError(f"{source} is no SVG that Qt can draw")
    picture = QImage(size_px, size_px, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    renderer.render(painter)
    painter.end()
    encoded = QByteArray()
    buffer = QBuffer(encoded)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs know only bytes for a format
    return Image.open(io.BytesIO(encoded.data())).convert("RGBA")


def write_hicolor(theme: Path, name: str) -> None:
    """Fill `theme` (share/icons/hicolor) with the icon as `name`: a PNG in every size, and the SVG."""
    for size_px in HICOLOR_PX:
        target = theme / f"{size_px}x{size_px}" / "apps" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        render(size_px).save(target, optimize=True)
    scalable = theme / "scalable" / "apps" / f"{name}.svg"
    scalable.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ICON, scalable)


def write_ico(path: Path) -> None:
    """Write a Windows icon; each size is drawn, none is scaled."""
    *smaller, largest = (render(size_px) for size_px in ICO_PX)
    largest.save(path, format="ICO", sizes=[(size_px, size_px) for size_px in ICO_PX], append_images=smaller)


def write_icns(path: Path) -> None:
    """Write a macOS icon; each size is drawn, none is scaled."""
    *smaller, largest = (render(size_px) for size_px in ICNS_PX)
    largest.save(path, format="ICNS", append_images=smaller)
