"""Open slides and read their pixels; tissue, tiles and synthetic slides."""
