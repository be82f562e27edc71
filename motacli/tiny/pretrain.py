"""Trains the tiny CLIP that `mota` ships, from scratch: ``python -m motacli.tiny.pretrain --out DIR``.

Plain contrastive training on this world finds a shortcut: colours and backgrounds tell pictures apart, so shapes and
textures are never learned. Three things cure it: batches of siblings that differ in one or two attributes, auxiliary
linear attribute heads on both towers (their weight decays), and masking pictures that a text fits although it was
written for another. A fifth of the captions contain an edit ("a red star that is now green"), because no text tower
composes what it has never seen composed. The run writes a checkpoint every few hundred steps and goes on from it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from motacli import __version__
from motacli.text_tower import pad_tokens, text_features
from motacli.tiny import edits, grammar
from motacli.tiny.renderer import render
from motacli.tiny.world import CARDINALITY, SPLITS, Attr, Scenes, redraw, sample_scenes, satisfies
from motacli.weights import save_weights


@dataclass(frozen=True)
class Recipe:
    """How the shipped weights were made."""

    pictures: int = 120_000
    siblings: int = 4
    steps: int = 4600
    batch: int = 256
    lr: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: int = 200
    edited_share: float = 0.2
    auxiliary: float = 1.0
    auxiliary_end: float = 0.15
    seed: int = 0


@dataclass
class Pictures:
    """The training pictures, siblings next to each other: scenes ``(N, A)`` and uint8 pixels ``(N, 64, 64, 3)``."""

    scenes: Scenes
    pixels: np.ndarray


def sibling_scenes(rng: Generator, groups: int, size: int, split: str = "train") -> Scenes:
    """``groups`` random scenes, each followed by ``size - 1`` copies with one or two attributes drawn anew."""
    out = []
    attrs = list(Attr)
    for first in sample_scenes(rng, groups, split):
        out.append(first)
        for _ in range(size - 1):
            picked = [attrs[i] for i in rng.permutation(len(attrs))[: rng.integers(1, 3)]]
            other = redraw(rng, first, picked, split, tries=30)
            out.append(first if other is None else other)
    return np.stack(out)


def make_pictures(recipe: Recipe, seed: int, split: str = "train") -> Pictures:
    """Render the training set."""
    rng = np.random.default_rng(seed)
    scenes = sibling_scenes(rng, recipe.pictures // recipe.siblings, recipe.siblings, split)
    return Pictures(scenes, render(scenes, rng))


class Heads(nn.Module):
    """Linear attribute classifiers on a feature ``(B, d)``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(dim, CARDINALITY[attr]) for attr in Attr])

    def loss(self, features: Tensor, facts: Tensor) -> tuple[Tensor, list[float]]:
        """Mean cross-entropy over what ``facts`` ``(B, A)`` states, and the accuracy per attribute."""
        losses, accuracy = [], []
        for attr, head in zip(Attr, self.heads, strict=True):
            rows = facts[:, attr] >= 0
            logits, wanted = head(features[rows]), facts[rows, attr]
            if len(wanted):
                losses.append(F.cross_entropy(logits, wanted))
            accuracy.append(float((logits.argmax(1) == wanted).float().mean()) if len(wanted) else math.nan)
        return torch.stack(losses).mean(), accuracy


def masked_contrastive(image: Tensor, text: Tensor, scale: Tensor, fits: Tensor) -> Tensor:
    """Symmetric InfoNCE over ``(B, d)`` pairs; ``fits`` ``(B, B)`` marks texts (rows) that fit pictures (columns)."""
    logits = scale * F.normalize(text, dim=1) @ F.normalize(image, dim=1).T
    diagonal = torch.eye(len(logits), dtype=torch.bool)
    logits = logits.masked_fill(fits & ~diagonal, -1e4)
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def caption(scene: Scenes, rng: Random, numbers: Generator, edited_share: float) -> grammar.Caption:
    """One training caption, edited with probability ``edited_share``."""
    if rng.random() < edited_share:
        edited = edits.edited_caption(scene, rng, numbers, "train")
        if edited is not None:
            return edited
    return grammar.describe(scene, rng)


def batches(recipe: Recipe, start: int) -> Iterator[tuple[Tensor, list[str], Tensor, Tensor]]:
    """Pixels ``(B, 3, 64, 64)``, texts, their facts and the scenes, step after step.

    A step's batch depends on its number only.
    """
    if start >= recipe.steps:
        return
    pictures = make_pictures(recipe, recipe.seed)
    groups = len(pictures.scenes) // recipe.siblings
    per_batch = recipe.batch // recipe.siblings
    per_epoch = groups // per_batch
    for step in range(start, recipe.steps):
        order = np.random.default_rng([recipe.seed, 1, step // per_epoch]).permutation(groups)
        chosen = order[(step % per_epoch) * per_batch :][:per_batch]
        rows = (chosen[:, None] * recipe.siblings + np.arange(recipe.siblings)).ravel()
        numbers, rng = np.random.default_rng([recipe.seed, 2, step]), Random(recipe.seed * 1_000_003 + step)
        said = [caption(pictures.scenes[row], rng, numbers, recipe.edited_share) for row in rows]
        dy, dx = numbers.integers(-2, 3, 2)
        pixels = np.roll(pictures.pixels[rows], (dy, dx), (1, 2))
        facts = torch.from_numpy(np.stack([c.facts for c in said])).long()
        yield to_tensor(pixels), [c.text for c in said], facts, torch.from_numpy(pictures.scenes[rows]).long()


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 ``(B, 64, 64, 3)`` to normalised float ``(B, 3, 64, 64)``."""
    from motacli.tiny.clip import MEAN, STD

    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return ((x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]).contiguous(
        memory_format=torch.channels_last
    )


def encode(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """Texts to features ``(B, d)`` through the shared text forward."""
    start, end = tokenizer.sot_token_id, tokenizer.eot_token_id
    batch = pad_tokens([[start, *tokenizer.encode(text)[: tokenizer.context_length - 2], end] for text in texts])
    return text_features(model, model.token_embedding(batch.ids), batch.ends)


def train(recipe: Recipe, out: Path, log_every: int = 50) -> None:
    """Train, with a checkpoint in ``out`` every 250 steps and ``clip.safetensors`` with its JSON there at the end."""
    from motacli.tiny.clip import build_tokenizer, new_model

    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    model = new_model().to(memory_format=torch.channels_last)
    image_heads, text_heads = Heads(128), Heads(128)
    everything = nn.ModuleList([model, image_heads, text_heads])
    decayed = [p for p in everything.parameters() if p.ndim > 1]
    plain = [p for p in everything.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
    step = 0
    if (out / "last.pt").exists():
        state = torch.load(out / "last.pt", weights_only=True)
        everything.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    began = time.time()
    first = step
    for pixels, texts, facts, scenes in batches(recipe, step):
        progress = step / recipe.steps
        rate = recipe.lr * min(1.0, (step + 1) / recipe.warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            image, text = model.visual(pixels), encode(model, tokenizer, texts)
        image, text = image.float(), text.float()
        fits = torch.from_numpy(satisfies(scenes.numpy(), facts.numpy()))
        contrastive = masked_contrastive(image, text, model.logit_scale.exp().clamp(max=100), fits)
        seen = torch.where((scenes[:, [Attr.SHAPE2]] == 0) & (torch.arange(len(Attr)) == Attr.COLOUR2), -1, scenes)
        image_loss, image_accuracy = image_heads.loss(image, seen)
        text_loss, text_accuracy = text_heads.loss(text, facts)
        weight = recipe.auxiliary_end + (recipe.auxiliary - recipe.auxiliary_end) * (1 - progress)
        loss = contrastive + weight * (image_loss + text_loss)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % log_every == 0:
            names = " ".join(
                f"{a.name.lower()}={i:.2f}/{t:.2f}" for a, i, t in zip(Attr, image_accuracy, text_accuracy, strict=True)
            )
            speed = (step - first) * recipe.batch / (time.time() - began)
            print(
                f"{step} loss={float(contrastive):.3f} scale={float(model.logit_scale.exp()):.1f} "
                f"{speed:.0f}/s {names}",
                flush=True,
            )
        if step % 250 == 0:
            save(out, {"model": everything.state_dict(), "optimizer": optimizer.state_dict(), "step": step})
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    found = {split: quality(model.eval(), image_heads, tokenizer, split) for split in ("train", "val")}
    about = {"kind": "tiny CLIP", "made_by": "python -m motacli.tiny.pretrain", "mota": __version__}
    save_weights(out / "clip.safetensors", state, {**about, "recipe": asdict(recipe), "quality": found})


@torch.no_grad()
def quality(model: Any, heads: Heads, tokenizer: Any, split: str, size: int = 500) -> dict[str, Any]:
    """How well new pictures of a split are told apart: retrieval by thorough captions, and attribute accuracies."""
    rng, words = np.random.default_rng([77, SPLITS.index(split)]), Random(77)
    scenes = sample_scenes(rng, size, split)
    image = model.visual(to_tensor(render(scenes, rng))).float()
    text = encode(model, tokenizer, [grammar.describe(scene, words, grammar.THOROUGH).text for scene in scenes])
    similarity = F.normalize(text, dim=1) @ F.normalize(image, dim=1).T
    hit = float((similarity.argmax(1) == torch.arange(size)).float().mean())
    wanted = torch.from_numpy(scenes).long()
    wanted[wanted[:, Attr.SHAPE2] == 0, Attr.COLOUR2] = -1
    _, accuracy = heads.loss(image, wanted)
    by_attribute = {attr.name.lower(): round(value, 3) for attr, value in zip(Attr, accuracy, strict=True)}
    return {"caption_to_image_R@1": round(hit, 3), "attribute_accuracy": by_attribute}


def save(out: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint beside, then rename."""
    torch.save(state, out / "last.partial")
    (out / "last.partial").rename(out / "last.pt")


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = vars(parser.parse_args())
    out = options.pop("out")
    train(Recipe(**options), out)


if __name__ == "__main__":
    main()
