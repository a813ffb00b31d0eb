"""Networks that have been trained, made to answer fast: built from weights, without Keras."""
