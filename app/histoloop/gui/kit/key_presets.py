"""Keys as other programs have them: QuPath's are those in the table of menus; here is what napari's change of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

QUPATH, NAPARI = "qupath", "napari"

KEY_PRESETS: Mapping[str, Mapping[str, str]] = {
    QUPATH: {},
    NAPARI: {
        "tool_pan": "Z",
        "tool_brush": "P",
        "tool_polygon": "Y",
        "tool_fill": "F",
        "tool_outline": "Shift+Y",
        "lock_class": "B",
        "show_masks": "V",
        "show_outlines": "O",
        "annotate_visible": "I",
    },
}
"""The keys of actions, by name, where a preset has others than the table of menus."""

PRESET_NAMES: Mapping[str, str] = {QUPATH: "QuPath", NAPARI: "napari"}


def key_in(preset: str, action: str, otherwise: str) -> str:
    """The key of an action in a preset, `otherwise` where the preset has no other."""
    return KEY_PRESETS[preset].get(action, otherwise)
