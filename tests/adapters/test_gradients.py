"""Gradients of the training loss are its slopes, by finite differences in double precision, for all that learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError
from torch.func import functional_call
from torch.nn import functional as F

from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.objective import candidate_entropy, entropy_weights, weighted_info_nce
from motacli.adapters.prompts import balance_loss
from motacli.backbones import OpenClipBackbone
from motacli.compose import TokenPrompt, compose_base, tokenize_prompt
from motacli.contracts import Prompt
from motacli.inversions.lincir import LinCIR
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.tiny.clip import load_tiny

DIM, WIDTH, LAYERS, VOCABULARY = 6, 8, 3, 20
EXACT = {"eps": 1e-6, "atol": 1e-8, "rtol": 1e-5}
CAPTIONS = ("is green", "has no star", "shows two small circles on a black background", "is larger", "", "is red")


@dataclass(frozen=True)
class World:
    """Everything frozen of a batch of ``B`` triplets, in double precision."""

    backbone: Any
    inversion: Any
    image: Tensor
    prompts: Sequence[TokenPrompt]
    target: Tensor

    def loss(self, adapter: MotaAdapter) -> Callable[..., Tensor]:
        """The training loss, entropy weights, balance and anchor included, as a function of the adapter's weights."""
        names = [name for name, _ in adapter.named_parameters()]
        scale = self.backbone.logit_scale
        with torch.no_grad():
            base = F.normalize(compose_base(self.backbone, self.inversion, self.image, self.prompts), dim=1)
        weights = entropy_weights(candidate_entropy(base, F.normalize(self.target, dim=1), scale), 2.0)
        assert weights.dtype == torch.float64 and weights.std() > 0.01

        def loss(*values: Tensor) -> Tensor:
            state = dict(zip(names, values, strict=True))
            given = (self.backbone, self.inversion, self.image, self.prompts)
            composed, gates = functional_call(adapter, state, given)
            assert composed.dtype == gates.dtype == torch.float64
            contrast = weighted_info_nce(composed, self.target, scale, weights)
            return contrast + 0.3 * balance_loss(gates) + 0.5 * (1 - F.cosine_similarity(composed, base).mean())

        return loss


def spread(module: torch.nn.Module, size: float, seed: int) -> torch.nn.Module:
    """The module with numbers of that size for weights: no zero initialisation hides a gradient."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(size * torch.randn(weight.shape, generator=random, dtype=torch.float64))
    return module


@pytest.fixture(scope="module")
def small() -> World:
    """A CLIP and an inversion network of random weights, so small that every derivative can be checked."""
    vision = {"layers": 1, "width": 8, "head_width": 4, "patch_size": 8, "image_size": 8}
    text = {"context_length": 12, "vocab_size": VOCABULARY, "width": WIDTH, "heads": 2, "layers": LAYERS}
    net = spread(open_clip.CLIP(embed_dim=DIM, vision_cfg=vision, text_cfg=text).double(), 0.5, 0)
    with torch.no_grad():
        net.logit_scale.fill_(1.5)  # type: ignore[union-attr, operator]
    tokenizer = SimpleNamespace(sot_token_id=VOCABULARY - 2, eot_token_id=VOCABULARY - 1)
    backbone = OpenClipBackbone(net, lambda image: torch.empty(0), tokenizer, name="small")
    phi = spread(LinCIR(joint_dim=DIM, text_width=WIDTH, hidden=7, dropout=0.0).double(), 0.5, 1)
    random = torch.Generator().manual_seed(2)
    image, target = (torch.randn(4, DIM, generator=random, dtype=torch.float64) for _ in range(2))
    prompts = [TokenPrompt((3,), tuple(range(4, 4 + length))) for length in (2, 5, 0, 3)]
    return World(backbone, phi.eval().requires_grad_(False), image, prompts, target)


def adapter_of(world: World, **options: Any) -> MotaAdapter:
    """An adapter whose weights are not those of an untrained one."""
    small = {"bottleneck": 2, "experts": 2, "tokens": 2, "depth": 2, **options}
    adapter = MotaAdapter(world.backbone, MotaOptions(**small)).double()
    adapter.calibrate(world.image)
    spread(adapter, 0.3, 3)
    return adapter


def check(world: World, adapter: MotaAdapter) -> None:
    """Compare every derivative with a finite difference; `GradcheckError` where one is wrong."""
    values = [weight.detach().clone().requires_grad_() for weight in adapter.parameters()]
    assert torch.autograd.gradcheck(world.loss(adapter), values, **EXACT)


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 1},
        {"depth": LAYERS},
        {"mdm": "none"},
        {"mdm": "static"},
        {"mdm": "static", "experts": 1},
        {"experts": 3, "tokens": 1, "top_k": 2, "temperature": 0.5},
        {"tokens": 0},
    ],
    ids=str,
)
def test_gradients_are_slopes(options: dict[str, Any], small: World) -> None:
    check(small, adapter_of(small, **options))


@pytest.mark.parametrize("depth", [1, 2, LAYERS])
def test_the_loss_depends_on_every_weight_by_more_than_the_tolerance(depth: int, small: World) -> None:
    adapter = adapter_of(small, depth=depth)
    values = [weight.detach().clone().requires_grad_() for weight in adapter.parameters()]
    gradients = torch.autograd.grad(small.loss(adapter)(*values), values)
    weakest = {
        name: float(gradient.abs().median())
        for (name, _), gradient in zip(adapter.named_parameters(), gradients, strict=True)
    }
    assert min(weakest.values()) > 1000 * EXACT["atol"], weakest


# ---------------------------------------------------------------------------------------------- wrong gradients


class DetachedGates(MotaAdapter):
    """Wrong on purpose: what the router decides does not teach it."""

    def route(self, *given: Any) -> Tensor:
        return super().route(*given).detach()


class Louder(torch.autograd.Function):
    """The same forward, the gradient a thousandth too large."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return 1.001 * gradient


def detached(module: Any, given: Any, out: Tensor) -> Tensor:
    return out.detach()


def detached_deep(module: Any, given: Any, out: Tensor) -> Tensor:
    return torch.cat([out[:, :1], out[:, 1:].detach()], dim=1)


def louder(module: Any, given: Any, out: Any) -> Any:
    return Louder.apply(out[0]), out[1]


MISTAKES: dict[str, Callable[[MotaAdapter], Any]] = {
    "modulation": lambda adapter: adapter.mdm.register_forward_hook(detached),
    "what modulation reads": lambda adapter: adapter.mdm.read.register_forward_hook(detached),
    "prompts": lambda adapter: adapter.prompts.register_forward_hook(detached),
    "deep prompts": lambda adapter: adapter.prompts.register_forward_hook(detached_deep),
    "size": lambda adapter: adapter.register_forward_hook(louder),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_gradient_is_noticed(name: str, small: World) -> None:
    adapter = adapter_of(small)
    MISTAKES[name](adapter)
    with pytest.raises(GradcheckError):
        check(small, adapter)


def test_gates_that_teach_nothing_are_noticed(small: World) -> None:
    adapter = adapter_of(small)
    adapter.__class__ = DetachedGates
    with pytest.raises(GradcheckError):
        check(small, adapter)


# ---------------------------------------------------------------------------------------------- real sizes


@pytest.fixture(scope="module")
def tiny(host: PluginHost) -> World:
    """The tiny CLIP and its own inversion network in double precision."""
    backbone = load_tiny()
    inversion: Any = load_inversion(host, "lincir", backbone)
    backbone.model.double()
    prompts = [tokenize_prompt(backbone, Prompt("a photo of", f"that {caption}")) for caption in CAPTIONS]
    image = 3 * torch.randn(len(CAPTIONS), 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = backbone.encode_text([f"a picture that {caption}" for caption in CAPTIONS])
    return World(backbone, inversion.double(), image, prompts, target)


@pytest.mark.parametrize("options", [{"depth": 1}, {"depth": 3, "mdm": "static"}, {"depth": 3, "top_k": 2}], ids=str)
def test_slopes_along_directions_of_all_weights_together(options: dict[str, Any], tiny: World) -> None:
    adapter = adapter_of(tiny, bottleneck=16, experts=4, tokens=4, **options)
    loss, values = tiny.loss(adapter), [weight.detach() for weight in spread(adapter, 0.05, 4).parameters()]
    leaves = [value.clone().requires_grad_() for value in values]
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    random = torch.Generator().manual_seed(5)
    directions: list[list[Tensor]] = [[gradient.sign() for gradient in gradients]]
    directions += [[torch.randn(v.shape, generator=random, dtype=v.dtype) for v in values] for _ in range(3)]
    for direction in directions:
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        ahead, behind = (
            float(loss(*(v + step * d for v, d in zip(values, direction, strict=True)))) for step in (1e-7, -1e-7)
        )
        assert slope == pytest.approx((ahead - behind) / 2e-7, rel=1e-5, abs=1e-6) and abs(slope) > 1e-3


def test_double_precision_stays_double_and_single_single(tiny: World, tiny_backbone: Any) -> None:
    pixels = torch.randn(2, 3, 64, 64)
    assert tiny.backbone.encode_image(pixels).dtype == tiny.target.dtype == torch.float64
    assert tiny_backbone.encode_image(pixels).dtype == tiny_backbone.encode_text(["a"]).dtype == torch.float32
    assert torch.allclose(tiny.backbone.encode_image(pixels).float(), tiny_backbone.encode_image(pixels), atol=1e-4)
