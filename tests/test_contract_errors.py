"""Parts of plugins that do not keep their contract: told by plugin, part and what is missing, when they are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from motacli import MotaError, UsageError, hookimpl, load_plugins
from motacli.cli import main
from motacli.llms.loading import load_client
from motacli.models import BackboneChoice, load_backbone, load_inversion
from motacli.plugins import PluginHost
from motacli.triplets.pipeline import load_generator


def offering(hook: str, target: Any) -> PluginHost:
    """A host whose plugin ``theirs`` offers ``part``."""
    module = ModuleType("theirs")
    setattr(module, hook, hookimpl(lambda register: register("part", target), specname=hook))
    return load_plugins(entry_points=[], modules={"theirs": module})


class NoDataclass:
    Options = "size=1"


@dataclass(frozen=True)
class SomeOptions:
    size: int = 1


class WithOptions:
    Options = SomeOptions

    def __init__(self, options: SomeOptions) -> None:
        self.options = options


@pytest.mark.parametrize(
    ("hook", "kind", "target", "said"),
    [
        ("register_inversions", "inversions", NoDataclass, "its Options are no dataclass"),
        ("register_adapters", "adapters", SimpleNamespace, "it has no Options"),
    ],
)
def test_options_have_to_be_a_dataclass(hook: str, kind: str, target: Any, said: str) -> None:
    with pytest.raises(MotaError, match=f"'part' of plugin 'theirs' cannot be loaded: TypeError: {said}"):
        offering(hook, target).component(kind, "part").load()


def test_options_are_checked_like_our_own() -> None:
    for load, hook in ((load_generator, "register_triplet_generators"), (load_client, "register_llm_clients")):
        with pytest.raises(UsageError, match="did you mean 'size'"):
            load(offering(hook, WithOptions), "part", {"sise": 2})
        with pytest.raises(UsageError, match="size must be"):
            load(offering(hook, WithOptions), "part", {"size": "many"})
        with pytest.raises(MotaError, match=r"of plugin 'theirs' is no .*: WithOptions has no name, "):
            load(offering(hook, WithOptions), "part", {"size": 2})


def test_a_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = offering("register_benchmarks", lambda: SimpleNamespace(name="part", load=print))
    assert main(["eval", "part", "--data-root", str(tmp_path), "--query", "image"], host=host) == 1
    said = capsys.readouterr().err
    assert "benchmark 'part' of plugin 'theirs' is no Benchmark" in said
    assert "has no headline, splits, parts, protocol, averages (see `mota plugins docs register_benchmarks`)" in said


def test_a_backbone_that_takes_other_arguments() -> None:
    host = offering("register_backbones", lambda model: model)
    with pytest.raises(MotaError, match=r"backbone 'part' of plugin 'theirs' failed: TypeError: "):
        load_backbone(host, BackboneChoice("part", device="cpu"))


class Flat(torch.nn.Module):
    """Forgets the axis of the pseudo-words."""

    name = "part"

    def __init__(self, *, joint_dim: int, text_width: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(joint_dim, text_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear(features)


def test_an_inversion_of_another_shape(tiny_backbone: Any, tmp_path: Path) -> None:
    phi = Flat(joint_dim=tiny_backbone.joint_dim, text_width=tiny_backbone.text_width)
    torch.save(phi.state_dict(), tmp_path / "flat.pt")
    wanted = r"inversion 'part' of plugin 'theirs' failed: TypeError: .* shape \(2, 160\), not \(2, n, 160\)"
    with pytest.raises(MotaError, match=wanted):
        load_inversion(offering("register_inversions", Flat), "part", tiny_backbone, tmp_path / "flat.pt")
