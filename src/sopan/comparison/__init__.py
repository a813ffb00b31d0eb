"""Run every step on the same splits, meter the costs, and say honestly which is worth it."""
