"""HistoLoop inside napari."""
