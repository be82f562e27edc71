"""Trains the inversion networks that ship with the tiny CLIP: ``python -m motacli.tiny.invert --out DIR``.

Draws its own training pairs, encodes them and trains each network by the recipe ``tiny``: about 4 minutes for Pic2Word
and LinCIR on two cores, and 20 for SEARLE, which first optimises a pseudo-word for every picture. Interrupted, it goes
on when started again.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motacli.cache import FeatureCache, build_cache
from motacli.config import parse_options
from motacli.contracts import Backbone
from motacli.datasets import open_source
from motacli.inversions.data import PairFeatures
from motacli.inversions.files import save_inversion
from motacli.inversions.recipes import read_recipe
from motacli.inversions.sources import cached_features
from motacli.models import BackboneChoice, load_backbone
from motacli.plugins import load_plugins
from motacli.tiny.make import make_pairs
from motacli.watch import Watch

SEED = 777
"""Of the training pairs; the worlds of `motacli.tiny.make` with other seeds have other pictures."""
ROWS = {"pic2word": 16_000, "searle": 4_000, "lincir": 16_000}
"""Pictures that each network is trained on."""


def training_pairs(folder: Path, backbone: Backbone, rows: int) -> PairFeatures:
    """Features of ``rows`` training pairs, drawn and encoded below ``folder`` unless they are there already."""
    pictures, features = folder / "pairs", folder / "pairs.h5"
    if not features.exists():
        if not pictures.exists():
            make_pairs(pictures, SEED, "train", rows)
        build_cache(features, backbone, open_source(pictures), batch_size=256, resume=True)
    return cached_features(FeatureCache(features), backbone)


def train(names: list[str], out: Path) -> None:
    """Train the named networks and write ``<name>.safetensors`` and its JSON to ``out``, weights in half precision."""
    host = load_plugins(entry_points=[])
    backbone = load_backbone(host, BackboneChoice(device="cpu"))
    data = training_pairs(out, backbone, max(ROWS.values()))
    for name in names:
        build: Any = host.component("inversions", name).load()
        rows = ROWS[name]
        part = PairFeatures(data.image[:rows], data.captions[:rows], data.text[:rows])
        chosen = parse_options(build.Options, read_recipe("tiny", name, backbone), f"recipe of {name}")
        phi, record = build.fit(backbone, part, chosen, Watch(work=out / "work" / name))
        recipe = {**asdict(chosen), "rows": rows, "pairs_seed": SEED}
        quality = {key: round(record[key], 4) for key in ("loss", "recall_at_1")}
        save_inversion(out / f"{name}.safetensors", phi.half(), backbone=backbone, recipe=recipe, quality=quality)
        print(f"{name}: {quality}, {record['seconds']:.0f} s", flush=True)


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ROWS)}; default: all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(ROWS))
    if unknown:
        parser.error(f"unknown inversion {unknown[0]!r}, known: {', '.join(ROWS)}")
    train(options.names or list(ROWS), options.out)


if __name__ == "__main__":
    main()
