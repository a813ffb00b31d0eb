"""The page and the API: a server that never computes, and a child process that only does (docs/adr/0010)."""
