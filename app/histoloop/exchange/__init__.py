"""What other programs read: polygons, mask pictures, tables."""
