"""However a step is computed, it is the same step: chunks, recomputed layers, the gradient cache, processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import mota, together
from safetensors.torch import load_file
from torch import Tensor

from motacli import rows_on_disk
from motacli.adapters.computing import Composer
from motacli.adapters.frozen_half import TripletFeatures, with_base
from motacli.adapters.lora import Lora, LoraOptions
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.adapters.step import TrainingStep
from motacli.cli import main
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.errors import UsageError
from motacli.inversions.pic2word import Pic2Word
from motacli.processes.world import World

OPTIONS = TrainOptions(batch_size=16, noise=0.3, reference_negatives=True)
ROWS = torch.arange(4, 20)


@pytest.fixture(scope="module")
def data(tiny_backbone: Any, inversion: Pic2Word) -> TripletFeatures:
    random = torch.Generator().manual_seed(0)
    colours = ("red", "blue", "green, and twice as large as it was", "striped")
    captions = [f"is {colour} {size}" for colour in colours for size in map(str, range(6))]
    prompts = tuple(tokenize_prompt(tiny_backbone, Prompt("a photo of", f"that {text}")) for text in captions)
    image, target, reference = (3 * torch.randn(24, 128, generator=random) for _ in range(3))
    made = TripletFeatures(image, prompts, target, reference, pictures=np.arange(24))
    return with_base(made, tiny_backbone, inversion)


def adapter_of(backbone: Any, name: str = "mota") -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if name == "lora":
            made: Any = Lora(backbone, LoraOptions(dropout=0.5))
        else:
            made = MotaAdapter(backbone, MotaOptions(experts=2, tokens=2))
        with torch.no_grad():
            for weight in made.parameters():
                weight.add_(0.02 * torch.randn(weight.shape))
    return made.train()


Gradients = tuple[float, dict[str, Tensor]]


@pytest.fixture(scope="module")
def gradients(tiny_backbone: Any, inversion: Pic2Word, data: TripletFeatures) -> Callable[..., Gradients]:
    def run(name: str = "mota", **changes: Any) -> Gradients:
        adapter, options = adapter_of(tiny_backbone, name), replace(OPTIONS, **changes)
        step = TrainingStep(Composer.of(adapter, tiny_backbone, inversion, options), data, options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            report = step(ROWS, torch.Generator().manual_seed(3))
        found = {key: each.grad for key, each in adapter.named_parameters() if each.grad is not None}
        return float(report.loss), found

    return run


def assert_same(one: Gradients, other: Gradients, within: float = 1e-5) -> None:
    assert one[0] == pytest.approx(other[0], rel=within) and one[1].keys() == other[1].keys()
    for key, gradient in one[1].items():
        size = max(float(gradient.norm()), 1e-3)
        assert float((gradient - other[1][key]).norm()) <= within * size, key


@pytest.mark.parametrize(
    "changes", [{"chunk": 16}, {"chunk": 3}, {"checkpointing": "layers"}, {"checkpointing": "chunks"}]
)
def test_memory_is_saved_without_another_result(gradients: Callable[..., Gradients], changes: dict[str, Any]) -> None:
    plain = gradients()
    assert float(plain[1]["prompts.experts"].norm()) > 1e-3 and float(plain[1]["mdm.beta"].norm()) > 1e-3
    assert_same(gradients(**changes), plain)


def test_the_gradient_cache_repeats_dropout(gradients: Callable[..., Gradients]) -> None:
    plain, cached = gradients("lora", chunk=16), gradients("lora", chunk=16, checkpointing="chunks")
    assert_same(cached, plain)  # one chunk: the very same inputs were left out in both runs of it
    assert plain[0] != pytest.approx(gradients("lora", chunk=16, seed=1, noise=0.0)[0], rel=1e-3)


def test_recomputed_layers_keep_less(tiny_backbone: Any, inversion: Pic2Word, data: TripletFeatures) -> None:
    def kept(**changes: Any) -> int:
        options, total = replace(OPTIONS, **changes), 0

        def pack(saved: Tensor) -> Tensor:
            nonlocal total
            total += saved.numel()
            return saved

        composer = Composer.of(adapter_of(tiny_backbone), tiny_backbone, inversion, options)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
            composer(data.image, data.prompts)
        return total

    assert kept(checkpointing="chunks") == 0
    assert kept(checkpointing="layers") < 0.7 * kept()


def test_bfloat16_is_near(gradients: Callable[..., Gradients]) -> None:
    plain, half = gradients(), gradients(autocast="bf16")
    assert half[0] != plain[0] and half[0] == pytest.approx(plain[0], rel=0.05)
    assert all(gradient.dtype == torch.float32 for gradient in half[1].values())


def test_the_text_tower_can_be_compiled(gradients: Callable[..., Gradients], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C++ compiler, which takes minutes here: it is the tracing that our code could break."""
    calls = []

    def compile_fast(function: Any, **options: Any) -> Any:
        calls.append(options)
        return torch._dynamo.optimize("eager", dynamic=True)(function)

    monkeypatch.setattr(torch, "compile", compile_fast)
    assert_same(gradients(compile=True), gradients(), within=1e-5)
    assert calls == [{"dynamic": True}]


def test_a_batch_is_shared_out_whole() -> None:
    parts = [World(rank, 3).own(ROWS) for rank in range(3)]
    assert torch.equal(torch.cat(parts), ROWS) and [len(part) for part in parts] == [5, 5, 6]
    World(0, 16).require(len(ROWS))
    with pytest.raises(UsageError, match="a batch of 16 is too small for 17 processes"):
        World(0, 17).require(len(ROWS))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> list[str]:
    from motacli.cache import build_cache
    from motacli.datasets import open_source
    from motacli.tiny.make import make_pairs
    from motacli.tiny.mini import write_cirr
    from motacli.triplets.pipeline import generate
    from motacli.triplets.rules import RuleGenerator

    folder = tmp_path_factory.mktemp("two")
    make_pairs(folder / "pairs", seed=0, count=60)
    source = open_source(folder / "pairs")
    generate(source, RuleGenerator(), folder / "t.jsonl", source_name="pairs")
    build_cache(folder / "f.h5", tiny_backbone, source)
    write_cirr(folder / "cirr", 0, "val", sets=2)
    benchmark = ["--validate", "cirr", "--data-root", str(folder / "cirr")]
    return ["--triplets", str(folder / "t.jsonl"), "--features", str(folder / "f.h5"), *benchmark]


def test_two_processes_are_one(inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that share 15 rows unevenly and read them from disk, against one that holds them."""
    words = ["train", "--inversion", "lincir", *inputs, "--steps", "6", "--batch-size", "15"]
    words += ["--lr", "0.001", "--warmup", "2", "--option", "depth=2", "--device", "cpu"]
    words += ["--validate-every", "3", "--keep-best", "held-out-loss", "--held-out", "0.3"]
    words += ["--option", "fusion=validated"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    monkeypatch.setattr(rows_on_disk, "HELD", 0)
    ended = together(tmp_path / "said", 2, mota(*words, "--out", tmp_path / "two"))
    assert [each.code for each in ended] == [0, 0], ended
    assert ended[0].out and not (ended[1].out or ended[1].err), "only the first process speaks"
    one, two = (load_file(tmp_path / name / "adapter.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, weight in one.items():
        assert torch.allclose(weight, two[key], rtol=0, atol=1e-5), key
    assert float(one["mdm.gamma"].abs().max()) > 5e-4  # zero at first: far more than the two may be apart


@pytest.mark.thorough
def test_one_two_and_four_processes_are_the_same_after_fifty_steps(inputs: list[str], tmp_path: Path) -> None:
    words = ["train", "--inversion", "lincir", *inputs[:4], "--steps", "50", "--batch-size", "32", "--device", "cpu"]
    for size in (1, 2, 4):
        ended = together(tmp_path / "said", size, mota(*words, "--lr", "0.001", "--out", tmp_path / str(size)))
        assert [each.code for each in ended] == [0] * size, ended
    one, two, four = (load_file(tmp_path / str(size) / "adapter.safetensors") for size in (1, 2, 4))
    for key, weight in one.items():
        assert torch.allclose(weight, two[key], rtol=0, atol=1e-5), key
        assert torch.allclose(weight, four[key], rtol=0, atol=1e-5), key
