"""The window and what it opens."""
