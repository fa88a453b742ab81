"""The slide on the screen."""
