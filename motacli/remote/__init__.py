"""Files at URLs that fsspec knows: what they are called, how they are read, and what may be said about them."""
