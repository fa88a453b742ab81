"""Class maps over a slide, and the masks and outlines made of them; arrays only, no torch."""
