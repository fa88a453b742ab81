"""What to ask about next: functions of arrays and a seed."""
