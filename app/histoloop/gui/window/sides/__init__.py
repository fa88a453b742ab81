"""What stands at the sides of the slide: the docks, and the tabs in the one at the right."""
