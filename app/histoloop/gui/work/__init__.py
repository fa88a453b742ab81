"""What happens off the GUI thread: the session, jobs, tasks, background reads and writes."""
