"""What is in a project, read for whoever shows it or works on it; no torch."""
