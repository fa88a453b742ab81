"""The live loop: a light decoder that learns from each region as it is done, and its masks, those in view first."""
