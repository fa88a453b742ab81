"""Where the pixels of a slide come from: OpenSlide, TIFF pages, plain pictures."""
