"""What kits ask of tensors and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

SEED = 7


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Inside, the same random numbers each time; outside, those of the caller go on as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def difference(found: Tensor, expected: Tensor, tolerance: float) -> str:
    """Words about the largest difference, empty where it is within ``tolerance`` of the largest expected number."""
    if found.shape != expected.shape:
        return f"shape {tuple(found.shape)} in place of {tuple(expected.shape)}"
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    largest = float((found - expected).abs().max()) if found.numel() else 0.0
    scale = float(expected.abs().max()) if found.numel() else 0.0
    return "" if largest <= tolerance * max(scale, 1e-6) else f"largest difference {largest:.2g}"


def wrong_tensor(value: Any, shape: tuple[int, ...], *, dtype: torch.dtype | None, device: torch.device) -> str:
    """Words about a value that is not a tensor of that shape, number type (any float if None), device, and finite."""
    if not isinstance(value, Tensor):
        return f"gives {type(value).__name__}, not a tensor"
    if tuple(value.shape) != shape:
        return f"gives shape {tuple(value.shape)}, not {shape}"
    if value.dtype != dtype if dtype is not None else not value.is_floating_point():
        return f"gives {value.dtype}, not {dtype or 'floats'}"
    if value.device.type != device.type:
        return f"gives a tensor on {value.device}, not on {device}"
    if not value.isfinite().all():
        return "gives numbers that are not finite"
    return ""


def unit_length(features: Tensor) -> bool:
    """Whether every row is of length one, which hardly happens by itself."""
    norms = features.detach().double().norm(dim=1)
    return bool(((norms - 1).abs() < 1e-3).all())


def gradient(output: Tensor, wanted: Tensor) -> Tensor | None:
    """What ``wanted`` would learn from the squares of ``output``; None where nothing reaches it."""
    if not output.requires_grad:
        return None
    return torch.autograd.grad(output.float().square().sum(), wanted, allow_unused=True)[0]


def leaves(output: Tensor) -> list[Tensor]:
    """The tensors that gradients of ``output`` would end in."""
    found, seen, todo = [], set(), [output.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        todo += [below for below, _ in node.next_functions]
    return found


def accelerators() -> tuple[str, ...]:
    """The devices here besides the CPU."""
    there: dict[str, Callable[[], bool]] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    return tuple(name for name, available in there.items() if available())


def not_movable(network: nn.Module) -> str:
    """Words about the tensors of a network that would stay where they are when it is moved."""
    names = _left_behind(network)
    return f"{', '.join(names)} would stay behind: neither a parameter nor a buffer" if names else ""


def _left_behind(network: nn.Module) -> list[str]:
    moved = deepcopy(network).to("meta")
    return [
        f"{where}.{name}" if where else name
        for where, module in moved.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and value.device.type != "meta"
    ]
