"""The plugin: one hook. The benchmark is in a module of its own, so that ``mota --help`` does not import numpy."""

from motacli import Register, hookimpl


@hookimpl
def register_benchmarks(register: Register) -> None:
    """Offer ``csv``."""
    summary = "your own: a CSV of (reference, caption, target) over a folder of images"
    register("csv", "mota_example_benchmark.benchmark:CsvBenchmark", summary=summary)
