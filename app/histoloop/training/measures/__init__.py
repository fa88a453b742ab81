"""How good masks and labels are: figures, their intervals, calibration. Numbers alone, no network."""
