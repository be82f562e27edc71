"""Our own parts, registered through the same hooks as anyone's; listing these lazy targets imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from motacli.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

    from motacli.contracts import Register

COMMANDS = (
    "demo",
    "tiny",
    "gen_triplets",
    "analyze",
    "data",
    "cache",
    "train_inversion",
    "convert",
    "train",
    "eval",
    "ablate",
    "reproduce",
    "report",
    "submission",
    "index",
    "search",
    "serve",
    "bench",
    "plan",
    "ls",
    "plugins",
)
"""The modules of `motacli.commands` that add commands, in the order of ``mota --help``."""


@hookimpl
def register_backbones(register: Register) -> None:
    register("tiny", "motacli.tiny.clip:load_tiny", summary="the embedded CLIP to try things without a download")
    register("open_clip", "motacli.backbones:load_open_clip", summary="any model and weights that open_clip knows")


@hookimpl
def register_inversions(register: Register) -> None:
    register("pic2word", "motacli.inversions.pic2word:Pic2Word", summary="one pseudo-word, trained on images alone")
    register("searle", "motacli.inversions.searle:Searle", summary="one pseudo-word, distilled from optimised ones")
    register("searle-oti", "motacli.inversions.oti:SearleOTI", summary="a pseudo-word optimised for each picture")
    register("lincir", "motacli.inversions.lincir:LinCIR", summary="one pseudo-word, trained on captions alone")


@hookimpl
def register_adapters(register: Register) -> None:
    register("mota", "motacli.adapters.mota:MotaAdapter", summary="the adapter trained on text-anchored triplets")
    register("residual", "motacli.adapters.residual:Residual", summary="an MLP on the composed feature (CLIP-Adapter)")
    register("lora", "motacli.adapters.lora:Lora", summary="low-rank updates of the text tower's matrices")
    register("text-tuning", "motacli.adapters.text_tuning:TextTuning", summary="the text tower's layers learn (RTD)")
    register("full-text", "motacli.adapters.text_tuning:FullText", summary="all of the text tower learns")


@hookimpl
def register_benchmarks(register: Register) -> None:
    register("fashioniq", "motacli.benchmarks.fashioniq:FashionIQ", summary="fashion items, two captions each, R@K")
    register("cirr", "motacli.benchmarks.cirr:CIRR", summary="real-life pictures, R@K and R_subset@K")
    register("circo", "motacli.benchmarks.circo:CIRCO", summary="several targets per query, mAP@K")
    register("genecis", "motacli.benchmarks.genecis:GeneCIS", summary="four conditional similarity tasks, R@K")


@hookimpl
def register_triplet_generators(register: Register) -> None:
    register("rules", "motacli.triplets.rules:RuleGenerator", summary="edits captions by rule, without a model")
    register("llm", "motacli.triplets.llm:LLMGenerator", summary="a language model writes, from captions")
    register("mllm", "motacli.triplets.llm:MLLMGenerator", summary="a model that sees the pictures writes")
    register("hf", "motacli.triplets.llm:HFGenerator", summary="the same in this process, with transformers")
    register("vllm", "motacli.triplets.llm:VLLMGenerator", summary="the same in this process, with vLLM")
    register("batch", "motacli.triplets.batch:BatchGenerator", summary="answers of a batch service, from its files")


@hookimpl
def register_llm_clients(register: Register) -> None:
    register("openai", "motacli.llms.openai:OpenAIChat", summary="any OpenAI-compatible chat endpoint")
    register("hf", "motacli.llms.hf:HFChat", summary="a model in this process, with transformers")
    register("vllm", "motacli.llms.vllm:VLLMChat", summary="a model in this process, with vLLM")


@hookimpl
def register_index_stores(register: Register) -> None:
    register("exact", "motacli.search.exact:ExactStore", summary="compares with every picture, misses nothing")
    register("faiss", "motacli.search.faiss_store:FaissStore", summary="a graph or short codes by Faiss, for millions")


@hookimpl
def register_commands(app: typer.Typer) -> None:
    for name in COMMANDS:
        import_module(f"motacli.commands.{name}").register(app)
