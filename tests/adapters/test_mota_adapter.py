"""MDM, task prompts and the adapter made of them: what an untrained one does, and what can learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from motacli.adapters.mdm import FORMS, MDM
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.prompts import TaskPrompts, balance_loss
from motacli.compose import compose_queries, tokenize_prompt
from motacli.contracts import Prompt
from motacli.errors import UnknownNameError, UsageError
from motacli.inversions.pic2word import Pic2Word

TEXTS = ("is green", "add a large striped star next to it and make the background black", "")


def features(rows: int) -> torch.Tensor:
    return torch.randn(rows, 128, generator=torch.Generator().manual_seed(1))


def adapter(backbone: Any, **options: Any) -> MotaAdapter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return MotaAdapter(backbone, MotaOptions(**options)).eval()


@pytest.mark.parametrize("form", FORMS)
def test_mdm_starts_as_the_identity(form: str) -> None:
    mdm = MDM(128, form)
    mdm.calibrate(5 * features(50))
    assert torch.equal(mdm(features(9)), features(9))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "none"])
def test_mdm_shifts_in_units_of_the_features(form: str) -> None:
    mdm = MDM(4, form)
    mdm.calibrate(torch.full((3, 4), 10.0))
    with torch.no_grad():
        mdm.gamma.fill_(1.0)
        mdm.beta.fill_(0.5)
    assert torch.allclose(mdm(torch.ones(2, 4)), torch.full((2, 4), 2 * 1.0 + 0.5 * 10.0))


def test_an_unknown_mdm_form_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="conditional"):
        MDM(4, "conditionl")


def test_gates_mix_the_experts() -> None:
    prompts = TaskPrompts(8, experts=3, tokens=2, depth=2)
    gates = prompts.gates(torch.randn(5, 1, 8), torch.randn(5, 8))
    assert gates.shape == (5, 3) and torch.allclose(gates.sum(1), torch.ones(5)) and (gates > 0).all()
    mixed = prompts(torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))
    assert torch.equal(mixed[0], prompts.experts[1])
    assert torch.allclose(mixed[1], (prompts.experts[0] + prompts.experts[2]) / 2)


def test_top_k_leaves_the_others_out() -> None:
    prompts = TaskPrompts(8, experts=4, top_k=2)
    gates = prompts.gates(torch.randn(6, 1, 8), torch.randn(6, 8))
    assert ((gates > 0).sum(1) == 2).all() and torch.allclose(gates.sum(1), torch.ones(6))


def test_one_expert_needs_no_router() -> None:
    prompts = TaskPrompts(8, experts=1)
    assert prompts.router is None and torch.equal(
        prompts.gates(torch.randn(3, 1, 8), torch.randn(3, 8)), torch.ones(3, 1)
    )


def test_balance_is_one_when_even_and_k_when_one_takes_all() -> None:
    assert float(balance_loss(torch.full((6, 4), 0.25))) == pytest.approx(1.0)
    assert float(balance_loss(F.one_hot(torch.zeros(6, dtype=torch.long), 4).float())) == pytest.approx(4.0)


@pytest.mark.parametrize("depth", [0, 99])
def test_prompts_go_no_deeper_than_the_text_tower(depth: int, tiny_backbone: Any) -> None:
    with pytest.raises(UsageError, match=f"depth {depth} is outside"):
        MotaAdapter(tiny_backbone, MotaOptions(depth=depth))


@pytest.mark.parametrize("options", [{}, {"experts": 1, "depth": 1}, {"mdm": "none", "tokens": 1, "top_k": 2}])
def test_a_query_does_not_depend_on_its_batch(options: dict[str, Any], tiny_backbone: Any, inversion: Pic2Word) -> None:
    model = adapter(tiny_backbone, **options)
    prompts = [[Prompt("a photo of", f"that {text}")] for text in TEXTS]
    together = compose_queries(tiny_backbone, inversion, features(3), prompts, model)
    alone = [
        compose_queries(tiny_backbone, inversion, features(3)[i : i + 1], prompts[i : i + 1], model) for i in range(3)
    ]
    assert together.shape == (3, 128) and torch.allclose(together, torch.cat(alone), atol=1e-5)
    base = compose_queries(tiny_backbone, inversion, features(3), prompts)
    assert not torch.allclose(together, base, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_only_the_adapter_learns(form: str, tiny_backbone: Any, inversion: Pic2Word) -> None:
    model = adapter(tiny_backbone, mdm=form)
    prompts = [tokenize_prompt(tiny_backbone, Prompt("a photo of", f"that {text}")) for text in TEXTS]
    composed, gates = model(tiny_backbone, inversion, features(3), prompts)
    composed.pow(2).mean().backward()
    assert gates.shape == (3, model.options.experts)
    assert {name for name, p in model.named_parameters() if p.grad is None} == set()
    assert all(p.grad is None for p in [*inversion.parameters(), *tiny_backbone.model.parameters()])
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert "prompts.experts" in reached and "prompts.router.weight" in reached
    assert form == "none" or {"mdm.gamma", "mdm.beta"} <= reached


def test_trainable_parameters_are_all_there_is(tiny_backbone: Any) -> None:
    model = adapter(tiny_backbone)
    assert model.trainable_parameters() == sum(p.numel() for p in model.state_dict().values()) - 1  # the buffer "unit"
    assert model.trainable_parameters() > adapter(tiny_backbone, experts=1).trainable_parameters()
