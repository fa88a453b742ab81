"""Outlines that other programs drew: read from their files, matched to classes, placed on the slide, filled."""
