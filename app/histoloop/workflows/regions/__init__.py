"""Regions of a project as networks read them: features, tiles, tissue."""
