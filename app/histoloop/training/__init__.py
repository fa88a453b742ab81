"""The visible training loop, its recipes, tiles and metrics."""
