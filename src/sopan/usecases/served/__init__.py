"""The models of a run, or one model, held in memory and asked again and again: what `sopan serve` asks."""
