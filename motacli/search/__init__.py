"""Composed search over one's own pictures: an index of a folder, and the queries that are put to it."""
