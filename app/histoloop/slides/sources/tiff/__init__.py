"""TIFF pages read piece by piece: what OpenSlide does not know of TIFF."""
