"""Which regions to ask about, scored by networks."""
