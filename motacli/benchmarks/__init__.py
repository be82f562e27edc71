"""The four benchmarks of zero-shot composed image retrieval, one file each, read from their published files."""
