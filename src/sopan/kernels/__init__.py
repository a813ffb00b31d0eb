"""Hot loops in numba: pure functions on arrays, each with a slow reference in the tests."""
