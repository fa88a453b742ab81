"""Models that learn from a project's annotations."""
