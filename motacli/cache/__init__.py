"""Features on disk: HDF5 files of image features, and of captions', that no crash can harm and no mix-up can spoil.

`build_cache` makes one, `FeatureCache` reads one; `header` and `columns` say what is in the file.
"""

from __future__ import annotations

from motacli.cache.asking import CacheOptions
from motacli.cache.building import build_cache
from motacli.cache.reading import FeatureCache

__all__ = ["CacheOptions", "FeatureCache", "build_cache"]
