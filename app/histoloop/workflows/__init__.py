"""One user operation a file; long ones are generators of Progress."""
