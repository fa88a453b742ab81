"""What is kept: projects, maps and models."""
