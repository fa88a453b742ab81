"""Pictures of the glass that a scanner took beside the slide: its label, and the glass as a whole.

Both may show whose tissue it is. They are read when a person asks for them, to be looked at, and nothing keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.slides.sources.openslide_source import associated_pictures

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.slides.reader import Pixels

LABEL, MACRO = "label", "macro"


def read_glass_pictures(file: Path) -> dict[str, Pixels]:
    """LABEL and MACRO of a slide, (H, W, 3) each, as far as its file has them; SlideError when that cannot be read."""
    return associated_pictures(file, (LABEL, MACRO))
