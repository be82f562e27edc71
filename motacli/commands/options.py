"""Options that several commands share, so that one word means one thing: ``seed: options.Seed = 0``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# ---------------------------------------------------------------------------------------------- everywhere
# `motacli.commands.session` adds these to every command; a command need not declare them.

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Option defaults: TOML, or config.json.")]
Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no log on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

# ---------------------------------------------------------------------------------------------- model


class Precision(StrEnum):
    """open_clip's words for the number type of the weights."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class Preprocess(StrEnum):
    """How a picture becomes a square: the backbone's own crop, or padded to a ratio first."""

    clip = "clip"
    targetpad = "targetpad"


Model = Annotated[str, typer.Option("--model", help="Backbone: tiny, an open_clip model, or PLUGIN:MODEL.")]
Pretrained = Annotated[str | None, typer.Option("--pretrained", help="Weights: an open_clip tag or a file.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Number type of the backbone.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, ...")]
PreprocessOption = Annotated[Preprocess, typer.Option("--preprocess", help="How pictures are made square.")]
InversionName = Annotated[str, typer.Option("--inversion", help="Inversion: a name or a trained run's folder.")]
AdapterName = Annotated[str | None, typer.Option("--adapter", help="Adapter: a trained run's folder.")]

# ---------------------------------------------------------------------------------------------- data and work

DataRoot = Annotated[Path, typer.Option("--data-root", help="Folder that holds the data set.")]
Split = Annotated[str | None, typer.Option("--split", help="Split of the data set.")]
Parts = Annotated[
    list[str] | None,
    typer.Option("--part", "--category", "--task", help="Category or task; repeatable. Default: all."),
]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes; nothing is ever overwritten.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Rows per step.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that read pictures.")]
TrainingWorkers = Annotated[int, typer.Option("--workers", min=0, help="Processes that train; 0: one per core.")]
TopK = Annotated[int, typer.Option("--top-k", min=1, help="Entries kept of each ranking.")]

# ---------------------------------------------------------------------------------------------- training

LearningRate = Annotated[float, typer.Option("--lr", min=0.0, help="Peak learning rate.")]
WeightDecay = Annotated[float, typer.Option("--wd", min=0.0, help="Weight decay.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the data.")]
Warmup = Annotated[int, typer.Option("--warmup", min=0, help="Steps of linear warm-up.")]
SaveEvery = Annotated[int, typer.Option("--save-every", min=1, help="Steps between two states to go on from.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")]

# ---------------------------------------------------------------------------------------------- language models

_LLM = "Language model"
LLMUrl = Annotated[
    str | None,
    typer.Option("--llm-url", help="OpenAI-compatible server, as http://host:8000/v1.", rich_help_panel=_LLM),
]
LLMModel = Annotated[str | None, typer.Option("--llm-model", help="The model's name.", rich_help_panel=_LLM)]
LLMName = Annotated[str | None, typer.Option("--llm", help="LLM client, see `mota ls llms`.", rich_help_panel=_LLM)]
LLMOption = Annotated[
    list[str] | None,
    typer.Option(
        "--llm-option",
        metavar="KEY=VALUE",
        help="The client's option, as temperature=0.2; repeatable.",
        rich_help_panel=_LLM,
    ),
]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", min=1, help="Requests under way at once.", rich_help_panel=_LLM)
]
Attempts = Annotated[
    int | None, typer.Option("--attempts", min=1, help="How often a row is asked at most.", rich_help_panel=_LLM)
]
