"""HistoLoop: predict, query, annotate, retrain on histology slides, on one machine."""

__version__ = "0.1.0"
