"""A page about a slide or a project, for people to read: what is on it, and drawn as HTML and as PDF."""
