"""Every hook a plugin may implement, on one screen.

A hook receives ``register``, bound to the plugin that is being asked: call it once per component, as often as you like.
``register(name, target, summary="...")``: ``name`` is what users type; ``target`` is a callable, or
``"module:attribute"`` that is imported only when the component is used; ``summary`` is one line for ``mota ls``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from motacli.contracts import Register

PROJECT = "mota"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_backbones(register: Register) -> None:
    """Targets: ``(model, pretrained=None, *, device, precision, preprocessing) -> Backbone``, all of them strings.

    A backbone named ``tiny`` answers ``--model tiny``; one named ``open_clip`` is the default for every other model
    name, and ``--model NAME:REST`` asks backbone ``NAME`` for model ``REST``.
    """


@hookspec
def register_inversions(register: Register) -> None:
    """Targets: an inversion class; ``Class(joint_dim=d, text_width=w)`` builds it with fresh weights."""


@hookspec
def register_adapters(register: Register) -> None:
    """Targets: an adapter class with ``Class.Options`` (a frozen dataclass) and ``Class(backbone, options)``.

    What ``mota train`` trains is a `torch.nn.Module` with an attribute ``options``. Called as ``adapter(backbone,
    inversion, features, prompts)`` it gives composed features ``(B, d)`` and gates ``(B, K)``, ones ``(B, 1)`` where
    nothing is mixed; `motacli.adapters.unmixed.Unmixed` makes that call from ``compose``.
    """


@hookspec
def register_benchmarks(register: Register) -> None:
    """Targets: ``() -> Benchmark``."""


@hookspec
def register_triplet_generators(register: Register) -> None:
    """Targets: ``(**options) -> TripletGenerator``, or a class with ``Options`` (a frozen dataclass) built with one.

    One that needs other parts, such as an LLM client, has a method ``bind(host)``, called before anything else.
    """


@hookspec
def register_llm_clients(register: Register) -> None:
    """Targets: ``(**options) -> LLMClient``, or a class with ``Options`` (a frozen dataclass) built with one."""


@hookspec
def register_index_stores(register: Register) -> None:
    """Targets: a store class with ``Class.Options`` (a frozen dataclass), ``Class.build`` and ``Class.open``."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands to ``app`` with ``app.command(...)``; import what is heavy inside the command."""
