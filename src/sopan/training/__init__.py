"""How every neural network here learns: batches, steps of the optimiser, early stopping, exact resume."""
