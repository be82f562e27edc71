"""`mota bench search`: the exact store beside what memory and processor allow, and a graph beside the exact store."""

from __future__ import annotations

from motacli.bench.harness import Case
from motacli.bench.search_graph import GraphCase
from motacli.bench.search_scan import ProductsCase, ScanCase

ROWS = 1_000_000
CASES: dict[str, Case] = {
    "scan-1": ScanCase("scan-1", ROWS, 1),
    "scan-32": ScanCase("scan-32", ROWS, 32),
    "scan-32-products": ProductsCase("scan-32-products", ROWS, 32),
    "hnsw": GraphCase("hnsw", 200_000),
    "hnsw-million": GraphCase("hnsw-million", ROWS),
}
