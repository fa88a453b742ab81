"""Models run over slides."""
