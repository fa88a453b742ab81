"""What leads those who are new: the page without a project, first steps, and five steps through the loop."""
