"""What stands over a view: the map, the legend of the heatmap, and plates that say how the slide is shown."""
