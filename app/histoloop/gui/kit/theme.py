"""Light and dark: palette, style sheet and icons in the colours of the theme."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer

from histoloop import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtWidgets import QApplication

THEMES = ("system", "light", "dark")
LIGHT = {
    "window": "#f1f4f6", "panel": "#f8fafb", "base": "#ffffff", "button": "#ffffff", "hover": "#e6edf1",
    "text": "#17242e", "muted": "#566773", "faint": "#8d9ba5", "line": "#dbe3e8", "line_strong": "#c2cdd4",
    "accent": "#12707f", "accent_hover": "#0e5d6a", "accent_soft": "#d6ebee", "on_accent": "#ffffff",
    "good": "#1d7a46", "bad": "#b3372f", "tip": "#17242e", "on_tip": "#f4f7f8",
}  # fmt: skip
DARK = {
    "window": "#171c20", "panel": "#1d2328", "base": "#15191d", "button": "#283037", "hover": "#2d373f",
    "text": "#e6ecf0", "muted": "#9aa9b4", "faint": "#6d7a85", "line": "#2c353c", "line_strong": "#3d4851",
    "accent": "#3fa7b7", "accent_hover": "#57b9c8", "accent_soft": "#1d3d44", "on_accent": "#0c1418",
    "good": "#62c48d", "bad": "#ef8a80", "tip": "#e6ecf0", "on_tip": "#17242e",
}  # fmt: skip


def is_dark(application: QApplication, theme: str) -> bool:
    """Whether a theme of THEMES is dark now; 'system' asks the desktop."""
    if theme == "system":
        return application.styleHints().colorScheme() is Qt.ColorScheme.Dark
    return theme == "dark"


def apply_theme(application: QApplication, theme: str) -> bool:
    """Colour the application, unless it is so already; returns whether it is dark now."""
    dark = is_dark(application, theme)
    colours = DARK if dark else LIGHT
    sheet = _style_sheet(colours)
    if application.styleSheet() != sheet:
        application.setStyle("Fusion")
        application.setPalette(_palette(colours))
        application.setStyleSheet(sheet)
    return dark


def _palette(colours: Mapping[str, str]) -> QPalette:
    roles = {
        QPalette.ColorRole.Window: "panel",
        QPalette.ColorRole.WindowText: "text",
        QPalette.ColorRole.Base: "base",
        QPalette.ColorRole.AlternateBase: "hover",
        QPalette.ColorRole.Text: "text",
        QPalette.ColorRole.Button: "button",
        QPalette.ColorRole.ButtonText: "text",
        QPalette.ColorRole.Highlight: "accent",
        QPalette.ColorRole.HighlightedText: "on_accent",
        QPalette.ColorRole.Link: "accent",
        QPalette.ColorRole.PlaceholderText: "muted",
        QPalette.ColorRole.ToolTipBase: "tip",
        QPalette.ColorRole.ToolTipText: "on_tip",
    }
    palette = QPalette()
    for role, name in roles.items():
        palette.setColor(role, QColor(colours[name]))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours["faint"]))
    return palette


def colours_of(palette: QPalette) -> Mapping[str, str]:
    """The colours by name that go with a palette, for what is painted by hand."""
    dark = palette.color(QPalette.ColorRole.Base).lightness() < palette.color(QPalette.ColorRole.Text).lightness()
    return DARK if dark else LIGHT


def _style_sheet(colours: Mapping[str, str]) -> str:
    sheet = (paths.resources() / "styles" / "histoloop.qss").read_text(encoding="utf-8")
    for name, colour in colours.items():
        sheet = sheet.replace(f"{{{name}}}", colour)
    sheet = sheet.replace("{icons}", (paths.resources() / "icons").as_posix())
    sheet = sheet.replace("{mode}", "dark" if colours is DARK else "light")
    return sheet


@functools.cache
def icon(name: str, *, dark: bool = False) -> QIcon:
    """A line icon of resources/icons in the text colour of the theme; faint while its action is disabled."""
    found = QIcon()
    colours = DARK if dark else LIGHT
    for mode, colour in ((QIcon.Mode.Normal, colours["text"]), (QIcon.Mode.Disabled, colours["faint"])):
        for side in (20, 40):
            found.addPixmap(_render(name, colour, side), mode)
    return found


def application_icon() -> QIcon:
    """The program's own icon."""
    return QIcon(str(paths.resources() / "icons" / "histoloop.svg"))


def _render(name: str, colour: str, side: int) -> QPixmap:
    source = (paths.resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8").replace("#222222", colour)
    pixmap = QPixmap(QSize(side, side))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.encode())).render(painter)
    painter.end()
    return pixmap
