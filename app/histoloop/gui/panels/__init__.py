"""The docks of the window, one dock or part of one a file."""
