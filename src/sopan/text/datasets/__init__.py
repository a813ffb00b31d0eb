"""Public data sets by name, fetched once, checksummed, and cached as Parquet."""

from sopan.text.datasets.cache import NAMES, Named, cache_folder, fetch, named

__all__ = ["NAMES", "Named", "cache_folder", "fetch", "named"]
