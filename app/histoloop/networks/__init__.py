"""Torch modules; no files, no data."""
