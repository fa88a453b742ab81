"""Who annotates here, and what two readers of the same regions do."""
