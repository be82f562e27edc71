"""How long an epoch of adapter training takes on this machine, for a CLIP of a real size with random weights.

    python examples/epoch_time.py --model ViT-L-14 --rows 512 --steps 20 --triplets 595000

Prints triplets per second of whole training steps (the first few, which warm up, are left out), the hours, minutes and
seconds that so many triplets would take, and the peak of the GPU's memory. Several processes: start it with torchrun.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta

import torch

from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.mota import MotaAdapter
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import train_adapter
from motacli.backbones import OpenClipBackbone
from motacli.bench.random_clip import architecture, random_backbone
from motacli.bench.text_inputs import make_changes
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.inversions.phi import Phi
from motacli.processes.world import joined_world, own_device
from motacli.watch import Watch

WARM_UP = 3


def main() -> None:
    """Parse the options, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-L-14")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--triplets", type=int, default=595_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--autocast", default="auto", help="auto, off or bf16")
    parser.add_argument("--checkpointing", default="none", help="none, layers or chunks")
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()

    device = own_device(given.device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    options = TrainOptions(
        steps=WARM_UP + given.steps,
        batch_size=given.rows,
        autocast=given.autocast,
        checkpointing=given.checkpointing,
        compile=given.compile,
    )
    backbone = random_backbone(architecture(given.model).text, seed=0)
    backbone = OpenClipBackbone(
        backbone.model.to(device), backbone.preprocess, backbone.tokenizer, name="random", device=device
    )
    inversion = (
        Phi(joint_dim=backbone.joint_dim, text_width=backbone.text_width).to(device).eval().requires_grad_(False)
    )
    ends: list[float] = []

    def note(step: int, loss: float) -> None:
        ends.append(time.perf_counter())

    with joined_world(device) as world:
        data = made_up(backbone, 4 * given.rows)
        train_adapter(
            MotaAdapter(backbone).to(device),
            backbone,
            inversion,
            data,
            options,
            watch=Watch(on_step=note, world=world),
        )
        if not world.first:
            return
    rate = given.steps * given.rows / (ends[-1] - ends[WARM_UP - 1])
    print(f"{rate:,.1f} triplets per second in steps of {given.rows} on {device}")
    print(f"{given.triplets:,} triplets: {timedelta(seconds=round(given.triplets / rate))}")
    if device.startswith("cuda"):
        print(f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB of the GPU's memory at most")


def made_up(backbone: OpenClipBackbone, count: int) -> TripletFeatures:
    """What a training reads, with random features of pictures and targets and captions as long as people's."""
    changes = make_changes(count, seed=0)
    prompts = tuple(tokenize_prompt(backbone, Prompt("a photo of", f"that {change}")) for change in changes)
    image, target, base = torch.randn(3, count, backbone.joint_dim, generator=torch.Generator().manual_seed(0))
    return TripletFeatures(image, prompts, target, target, base=torch.nn.functional.normalize(base, dim=1))


if __name__ == "__main__":
    main()
