"""Every built-in component passes the kit that a third party would run on its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import open_clip.factory
import pytest
import torch
from llm_server import FAULTS, LLMServer, completion, good_text
from small_world import small_worlds

from motacli.backbones import load_open_clip
from motacli.components import KINDS
from motacli.inversions.oti import OTIOptions
from motacli.plugins import PluginHost, load_plugins
from motacli.testing import (
    Report,
    check_adapter,
    check_backbone,
    check_benchmark,
    check_index_store,
    check_inversion,
    check_llm_client,
    check_triplet_generator,
)
from motacli.testing.generator import ROWS
from motacli.testing.samples import image_text_rows
from motacli.tiny import make
from motacli.triplets.batch import export_requests
from motacli.triplets.pipeline import load_generator

BUILTIN = [(kind, one.name) for kind in KINDS for one in load_plugins(entry_points=[]).components(kind)]
NO_VLLM = "vLLM needs a GPU; what is asked of it is tested against a stand-in"


@dataclass(frozen=True)
class Bench:
    """What a run may use: the component's target, the host it comes from, a folder, and pytest's patches."""

    target: Any
    host: PluginHost
    folder: Path
    patch: pytest.MonkeyPatch


# ---------------------------------------------------------------------------------------------- backbones


def tiny(bench: Bench) -> Report:
    def load(device: str) -> Any:
        return bench.target("tiny", None, device=device, precision="fp32", preprocessing="clip")

    return check_backbone(load("cpu"), load=load)


def open_clip_model(bench: Bench) -> Report:
    """A model of open_clip's own registry and tokenizer, small, with its weights in a file."""
    text = {"context_length": 40, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 3}
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    config = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    (bench.folder / "mota-checked.json").write_text(json.dumps(config))
    for name in ("_MODEL_CONFIGS", "_MODEL_CONFIG_PATHS"):  # open_clip keeps them for the whole process
        bench.patch.setattr(open_clip.factory, name, copy(getattr(open_clip.factory, name)))
    open_clip.add_model_config(bench.folder / "mota-checked.json")
    model, weights = open_clip.create_model("mota-checked"), bench.folder / "weights.pt"
    for weight in model.parameters():  # biases and norms start as zeros and ones, which would hide mistakes
        torch.nn.init.normal_(weight, std=0.3)
    torch.save(model.state_dict(), weights)

    def load(device: str) -> Any:
        return bench.target("mota-checked", str(weights), device=device, precision="fp32", preprocessing="clip")

    assert bench.target is load_open_clip
    return check_backbone(load("cpu"), load=load)


# ---------------------------------------------------------------------------------------------- inversions, adapters


def inversion(bench: Bench, **more: Any) -> Report:
    short = bench.target.Options(epochs=0, steps=3, batch_size=8, **more)
    return check_inversion(bench.target, options=short)


def adapter(bench: Bench) -> Report:
    return check_adapter(bench.target)


def optimised(bench: Bench) -> Report:
    bench.patch.setattr(OTIOptions, "__post_init__", lambda self: object.__setattr__(self, "steps", 10))
    return check_inversion(bench.target)


# ---------------------------------------------------------------------------------------------- benchmarks


def benchmark(bench: Bench) -> Report:
    with small_worlds():
        make.WRITERS[bench.target.name](bench.folder, 1, "val")
    return check_benchmark(bench.target, bench.folder)


# ---------------------------------------------------------------------------------------------- language models


def rules(bench: Bench) -> Report:
    return check_triplet_generator(bench.target)


def asked(bench: Bench) -> Report:
    with LLMServer() as server:
        values = {"llm": {"url": server.url, "model": "m"}}
        return check_triplet_generator(load_generator(bench.host, bench.target.name, values))


def batch(bench: Bench) -> Report:
    values: dict[str, Any] = {"llm": {"model": "m"}}
    requests, answers = bench.folder / "requests.jsonl", bench.folder / "answers.jsonl"
    export_requests(image_text_rows(bench.folder / "rows", ROWS), load_generator(bench.host, "batch", values), requests)
    with answers.open("w") as file:
        for request in map(json.loads, requests.read_text("utf-8").splitlines()):
            body = completion(good_text(request["body"], "a caption"))
            answer = {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}}
            file.write(json.dumps(answer) + "\n")
    return check_triplet_generator(load_generator(bench.host, "batch", {**values, "answers": [str(answers)]}))


def small_llama(bench: Bench) -> dict[str, Any]:
    """Options of a model of transformers, made to answer well."""
    pytest.importorskip("transformers")
    from small_llama import save_small_llama, writing

    def write(prompt: str) -> str:
        caption = prompt.split("as a JSON string: ")[1].split("\n")[0]
        return good_text({"messages": [{"content": prompt}]}, f"a caption {len(caption)} {caption[-12:-1]}")

    folder = save_small_llama(bench.folder / "model")
    writing(bench.patch, write)
    return {"model": str(folder), "device": "cpu", "batch_size": 64}


def generated(bench: Bench) -> Report:
    return check_triplet_generator(load_generator(bench.host, "hf", {"llm": small_llama(bench)}))


def openai(bench: Bench) -> Report:
    def client(url: str) -> Callable[[], Any]:
        return lambda: bench.target(bench.target.Options(url=url, model="m"))

    with LLMServer() as gone:
        pass
    with LLMServer(latency=0.1) as server, LLMServer(always=FAULTS["500"]) as broken:
        return check_llm_client(client(server.url), failing=[client(broken.url), client(gone.url)])


def transformers_model(bench: Bench) -> Report:
    options = bench.target.Options(**small_llama(bench))
    cut_off = bench.target.Options(model=options.model, device="cpu", max_tokens=3)
    return check_llm_client(bench.target(options), failing=[bench.target(cut_off)])


# ---------------------------------------------------------------------------------------------- index stores


def exact(bench: Bench) -> Report:
    return check_index_store(bench.target, recall=1.0, tolerance=1e-6)


def faiss(bench: Bench) -> Report:
    pytest.importorskip("faiss")
    check_index_store(bench.target, options=bench.target.Options(kind="ivfpq"), tolerance=1e-6)
    return check_index_store(bench.target, tolerance=1e-6)


def no_vllm(bench: Bench) -> Report:
    pytest.skip(NO_VLLM)


RUNS: dict[str, dict[str, Callable[[Bench], Report]]] = {
    "backbones": {"tiny": tiny, "open_clip": open_clip_model},
    "inversions": {
        "pic2word": inversion,
        "searle": partial(inversion, oti=OTIOptions(steps=2)),
        "searle-oti": optimised,
        "lincir": inversion,
    },
    "adapters": dict.fromkeys(("mota", "residual", "lora", "text-tuning", "full-text"), adapter),
    "benchmarks": dict.fromkeys(("fashioniq", "cirr", "circo", "genecis"), benchmark),
    "generators": {
        "rules": rules,
        "llm": asked,
        "mllm": asked,
        "hf": generated,
        "vllm": no_vllm,
        "batch": batch,
    },
    "llms": {"openai": openai, "hf": transformers_model, "vllm": no_vllm},
    "stores": {"exact": exact, "faiss": faiss},
}
NETWORKS_ALONE = "other_sizes gradients moves saved sizes sizes_of_others options fit fit_record fit_again"
LEFT_OUT: dict[tuple[str, str], str] = {
    ("inversions", "searle-oti"): NETWORKS_ALONE,
    ("benchmarks", "cirr"): "load_parts",
    ("benchmarks", "circo"): "load_parts",
    **{("generators", name): "missing_picture" for name in ("rules", "llm", "hf", "batch")},
}
"""What does not apply to some, so that no check is left out unnoticed."""
BY_SPEED = {"waits"}
"""What is left out where answers come too fast."""


@pytest.mark.parametrize(("kind", "name"), BUILTIN, ids=[" ".join(pair) for pair in BUILTIN])
def test_a_builtin_keeps_its_contract(
    kind: str, name: str, host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in RUNS[kind], f"run the kit of {kind} on {name!r}: add it to RUNS"
    bench = Bench(host.component(kind, name).load(), host, tmp_path, monkeypatch)
    report = RUNS[kind][name](bench)
    assert set(report.left_out) - BY_SPEED == set(LEFT_OUT.get((kind, name), "").split()), report.left_out
    assert len(report.passed) >= 4


def test_every_run_is_of_a_builtin() -> None:
    assert {(kind, name) for kind, runs in RUNS.items() for name in runs} == set(BUILTIN)
