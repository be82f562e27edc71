"""An adapter that has learned nothing changes nothing, and one that learns leaves all that is frozen as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.adapters.files import load_adapter, save_adapter, state_digest
from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.mdm import FORMS
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import train_adapter
from motacli.compose import TokenPrompt, compose_base, compose_queries, tokenize_prompt
from motacli.contracts import Prompt
from motacli.models import load_inversion
from motacli.plugins import PluginHost, load_plugins
from motacli.tiny.clip import INVERSIONS

ADAPTERS = [component.name for component in load_plugins(entry_points=[]).components("adapters")]
QUICK = TrainOptions(steps=4, batch_size=6, warmup=0, lr=1e-2)
CAPTIONS = ("is green", "has no star beside it", "", "shows two small circles on a black background", "is red", "x")


def queries(backbone: Any) -> tuple[Tensor, list[TokenPrompt]]:
    prompts = [tokenize_prompt(backbone, Prompt("a photo of", f"that {caption}")) for caption in CAPTIONS]
    return 3 * torch.randn(len(prompts), 128, generator=torch.Generator().manual_seed(1)), prompts


def data(backbone: Any) -> TripletFeatures:
    image, prompts = queries(backbone)
    random = torch.Generator().manual_seed(2)
    target, reference = (3 * torch.randn(len(prompts), 128, generator=random) for _ in range(2))
    return TripletFeatures(image, tuple(prompts), target, reference)


def copy(module: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("name", INVERSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_without_prompts_a_fresh_adapter_is_the_base_model(
    form: str, name: str, host: PluginHost, tiny_backbone: Any
) -> None:
    inversion = load_inversion(host, name, tiny_backbone)
    adapter = MotaAdapter(tiny_backbone, MotaOptions(mdm=form, tokens=0)).eval()
    image, prompts = queries(tiny_backbone)
    adapter.calibrate(image)
    base = compose_base(tiny_backbone, inversion, image, prompts)
    composed, gates = adapter(tiny_backbone, inversion, image, prompts)
    assert torch.equal(gates, torch.ones(len(prompts), 1))
    assert torch.allclose(F.normalize(composed, dim=1), F.normalize(base, dim=1), rtol=0, atol=1e-6)
    with torch.no_grad():  # now both take the same path through torch's attention
        composed = adapter.compose(tiny_backbone, inversion, image, prompts)
        assert torch.equal(composed, compose_base(tiny_backbone, inversion, image, prompts))


def test_without_prompts_modulation_alone_learns(host: PluginHost, tiny_backbone: Any, tmp_path: Path) -> None:
    inversion = load_inversion(host, "lincir", tiny_backbone)
    adapter = MotaAdapter(tiny_backbone, MotaOptions(tokens=0))
    learning = sum(weight.numel() for weight in adapter.mdm.parameters())
    assert adapter.trainable_parameters() == learning and adapter.prompts.router is None
    before = copy(adapter)
    train_adapter(adapter, tiny_backbone, inversion, data(tiny_backbone), QUICK)
    assert not torch.equal(adapter.mdm.gamma, before["mdm.gamma"])
    digest = state_digest(inversion)
    save_adapter(
        tmp_path, adapter, inversion="lincir", backbone=tiny_backbone, about={}, inversion_digest=digest
    )  # fmt: skip
    loaded = load_adapter(host, tmp_path, tiny_backbone, inversion)
    features, prompts = torch.randn(2, 128), [[Prompt("a photo of", "that is red")], [Prompt("", "on black")]]
    one, other = (compose_queries(tiny_backbone, inversion, features, prompts, a) for a in (adapter, loaded))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", ADAPTERS)
def test_training_changes_the_adapter_and_nothing_that_is_frozen(
    name: str, host: PluginHost, tiny_backbone: Any
) -> None:
    inversion: Any = load_inversion(host, "searle", tiny_backbone)
    build: Any = host.component("adapters", name).load()
    adapter = build(tiny_backbone, build.Options())
    frozen = {"backbone": tiny_backbone.model, "inversion": inversion}
    before, start = {part: copy(module) for part, module in frozen.items()}, copy(adapter)
    train_adapter(adapter, tiny_backbone, inversion, data(tiny_backbone), QUICK)
    for part, module in frozen.items():
        assert module.state_dict().keys() == before[part].keys()
        for key, value in module.state_dict().items():
            assert torch.equal(value, before[part][key]), f"{part}: {key}"
        assert not any(weight.requires_grad or weight.grad is not None for weight in module.parameters())
    assert any(not torch.equal(value, start[key]) for key, value in adapter.state_dict().items())
