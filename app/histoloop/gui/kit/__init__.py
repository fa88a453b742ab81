"""What any window is made of: widgets, theme, settings, translation, the table of actions."""
