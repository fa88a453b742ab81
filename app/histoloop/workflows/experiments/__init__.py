"""Models made and measured on data sets."""
