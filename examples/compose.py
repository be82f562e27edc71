"""Composed search from Python, on pictures of the tiny world.

    mota tiny make world --split test
    python examples/compose.py world/test/cirr/dev "is green" --adapter demo/adapters/searle-0

The first picture of the folder is the reference; without --adapter the inversion network answers alone. Prints the five
best pictures of the folder, a line each: rank, score, file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.nn import functional as F

from motacli import ImageRef, Prompt, load_plugins
from motacli.adapters.files import load_adapter
from motacli.compose import compose_queries
from motacli.encoding import encode_images
from motacli.models import BackboneChoice, load_backbone, load_inversion


def main() -> None:
    """Parse the options, search and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("text")
    parser.add_argument("--inversion", default="searle")
    parser.add_argument("--adapter", type=Path)
    options = parser.parse_args()

    host = load_plugins()
    backbone = load_backbone(host, BackboneChoice("tiny"))
    inversion = load_inversion(host, options.inversion, backbone)
    adapter = load_adapter(host, options.adapter, backbone, inversion) if options.adapter else None

    pictures = [ImageRef(path.name, path) for path in sorted(options.folder.glob("*.png"))]
    features = torch.from_numpy(encode_images(backbone, pictures))  # (N, d)
    prompts = [[Prompt("a photo of", f"that {options.text}")]]
    query = compose_queries(backbone, inversion, features[:1], prompts, adapter)  # (1, d)
    scores = (query @ F.normalize(features, dim=1).T)[0]
    scores[0] = -1.0  # the reference itself
    for rank, row in enumerate(scores.topk(5).indices.tolist(), 1):
        print(f"{rank}  {scores[row]:.3f}  {pictures[row].path}")


if __name__ == "__main__":
    main()
