"""The panel of slides: its list, what a row shows, filters and details."""
