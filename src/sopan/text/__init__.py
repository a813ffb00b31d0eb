"""Text in: read tables, audit and split them, cut texts into words, words into ids."""
