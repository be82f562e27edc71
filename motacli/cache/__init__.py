"""Features on disk: HDF5 files of image features, and of captions', that no crash can harm and no mix-up can spoil.

`build_cache` makes one, `FeatureCache` reads one, `open_finished` what is finished of one under way; `header` and
`columns` say what is in the file.
"""

from __future__ import annotations

from motacli.cache.asking import CacheOptions
from motacli.cache.building import build_cache
from motacli.cache.reading import FeatureCache
from motacli.cache.unfinished import FinishedPart, open_finished

__all__ = ["CacheOptions", "FeatureCache", "FinishedPart", "build_cache", "open_finished"]
