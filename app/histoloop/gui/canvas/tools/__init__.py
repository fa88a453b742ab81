"""What a hand does on a slide: draw, find, measure, choose a place; each hears the mouse of a viewer."""
