"""Dialogs of the window, one a file: they ask or show, and change nothing themselves."""
