"""Slides to maps, maps to masks, masks to polygons."""
