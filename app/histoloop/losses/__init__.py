"""Training objectives, one a file, with their equations."""
