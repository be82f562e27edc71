"""`mota bench cache`: encoding pictures into a cache, writing and reading one, the memory that takes, and Ray."""

from __future__ import annotations

from motacli.bench.cache_encoding import EncodingCase, MemoryCase
from motacli.bench.cache_ray import RayCase
from motacli.bench.cache_rows import ReadingCase, WritingCase
from motacli.bench.harness import Case

CASES: dict[str, Case] = {
    "encode": EncodingCase("encode", "ViT-B-32", pictures=2000),
    "encode-processes": EncodingCase("encode-processes", "ViT-B-32", pictures=2000, decode="processes"),
    "write": WritingCase("write", rows=1_000_000),
    "read": ReadingCase("read", rows=200_000, picked=4096),
    **{f"memory-{count}": MemoryCase(f"memory-{count}", count) for count in (1_000, 10_000, 100_000)},
    "ray": RayCase("ray", pictures=20_000),
}
