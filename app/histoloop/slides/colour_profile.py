"""ICC profiles of slides: the colours that a scanner's values stand for, for eyes alone. Networks read the values."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from histoloop.slides.sources.protocol import Pixels


class ColourProfile:
    """The profile of a slide's red, green and blue. Threads may use it at the same time."""

    def __init__(self, profile: bytes) -> None:
        """ValueError where this is no ICC profile (ISO 15076) of red, green and blue."""
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            screen = ImageCms.createProfile("sRGB")
            self._transform = ImageCms.buildTransform(own, screen, "RGB", "RGB")
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
            raise ValueError(f"no profile of red, green and blue: {error}") from error

    def to_srgb(self, pixels_HW3: Pixels) -> Pixels:
        """The colours (H, W, 3) in sRGB, as the profile means them (perceptual intent, where it has several)."""
        shown = ImageCms.applyTransform(Image.fromarray(pixels_HW3), self._transform)
        return np.asarray(shown)


def profile_of(profile: bytes | None) -> ColourProfile | None:
    """The profile that a file holds; None where it holds none, or one that cannot be used."""
    if profile is None:
        return None
    try:
        return ColourProfile(profile)
    except ValueError:
        return None
