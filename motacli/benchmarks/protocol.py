"""How a query becomes text and what its ranking counts: evaluation protocols as data, read from TOML.

The named ones lie in ``protocols/``; a file of one's own in the same form goes wherever a name does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from motacli.config import parse_options, read_config
from motacli.contracts import APDivisor, EvalUnit, Prompt, Query, Ties
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.metrics import check_name

CAPTION, CONCEPT = "{caption}", "{concept}"
DEFAULT_PROTOCOL = "searle"
FOLDER = Path(__file__).parent / "protocols"


@dataclass(frozen=True, slots=True)
class PromptRule:
    """A template around ``slot`` (the pseudo-words) and ``{caption}``, and how a pair of captions becomes one.

    ``strip`` lists the characters taken off both ends of each caption of a pair before ``joiner`` joins them; a single
    caption is used exactly as annotated. ``orders`` lists the orders in which a pair is read: one prompt per order.
    ``concept_template`` takes the template's place where a query names what reference and target share.
    """

    template: str
    slot: str
    strip: str = ""
    joiner: str = " and "
    orders: tuple[tuple[int, int], ...] = ((0, 1),)
    concept_template: str = ""

    def __post_init__(self) -> None:
        for template, holes in ((self.template, [CAPTION]), (self.concept_template, [CAPTION, CONCEPT])):
            if template and any(template.count(hole) != 1 for hole in (self.slot, *holes)):
                raise ValueError(f"template {template!r} needs one {self.slot!r} and one each of {', '.join(holes)}")
        if not self.template.index(self.slot) < self.template.index(CAPTION):
            raise ValueError(f"template {self.template!r} has to name {self.slot!r} before {CAPTION}")

    def captions(self, captions: Sequence[str]) -> tuple[str, ...]:
        """The texts that a query's captions stand for, one per prompt."""
        if len(captions) == 1:
            return (captions[0],)
        stripped = [caption.strip(self.strip) if self.strip else caption for caption in captions]
        return tuple(self.joiner.join(stripped[index] for index in order) for order in self.orders)

    def render(self, captions: Sequence[str], concept: str = "") -> tuple[Prompt, ...]:
        """The prompts of a query with these captions."""
        # The template is cut before the caption is put in, so a slot sign or brace inside a caption stays text.
        prefix, _, rest = self.template.partition(self.slot)
        before, _, after = rest.partition(CAPTION)
        before, after = before.replace(CONCEPT, concept), after.replace(CONCEPT, concept)
        return tuple(Prompt(prefix, before + caption + after) for caption in self.captions(captions))


@dataclass(frozen=True, slots=True)
class RankingRule:
    """What is ranked and counted on one benchmark; the words are explained in ``protocols/searle.toml``."""

    metrics: tuple[str, ...]
    reference: Literal["kept", "removed"] = "kept"
    gallery: Literal["split", "queried"] = "split"
    targets: Literal["all", "annotated"] = "all"
    ap_divisor: APDivisor = "min(K, targets)"
    ties: Ties = "gallery order"

    def __post_init__(self) -> None:
        for name in self.metrics:
            try:
                check_name(name)
            except UnknownNameError as error:
                raise ValueError(str(error)) from error

    def apply(self, unit: EvalUnit) -> EvalUnit:
        """The unit scored by this rule, by no metrics where its targets are secret."""
        queries = unit.queries
        if self.targets == "annotated":
            queries = tuple(replace(query, targets=query.targets[:1]) for query in queries)
        return replace(
            unit,
            queries=queries,
            gallery=_queried(unit) if self.gallery == "queried" else unit.gallery,
            metrics=self.metrics if any(query.targets for query in queries) else (),
            exclude_reference=self.reference == "removed",
            ap_divisor=self.ap_divisor,
            ties=self.ties,
        )


@dataclass(frozen=True, slots=True)
class EvalProtocol:
    """A named protocol on one benchmark. ``ranking`` is None where it says nothing about it: the unit's own rules."""

    name: str
    source: str
    prompt: PromptRule
    ranking: RankingRule | None = None

    def prompts(self, query: Query) -> tuple[Prompt, ...]:
        """The prompts of a query; several are encoded, normalised and averaged."""
        return self.prompt.render(query.captions, query.concept)

    def text(self, query: Query) -> str:
        """The relative caption alone, for the text-only baseline; a pair is read in the protocol's first order."""
        return self.prompt.captions(query.captions)[0]

    def apply(self, unit: EvalUnit) -> EvalUnit:
        """The unit with this protocol's gallery, targets and metrics."""
        return unit if self.ranking is None else self.ranking.apply(unit)

    def with_concept(self) -> EvalProtocol:
        """The same with the prompt that names what reference and target share; `UsageError` where there is none."""
        if not self.prompt.concept_template:
            raise UsageError(f"protocol {self.name!r} has no prompt for a shared concept", "use --protocol searle")
        prompt = replace(self.prompt, template=self.prompt.concept_template)
        return replace(self, name=f"{self.name}+concept", prompt=prompt)

    def record(self) -> dict[str, Any]:
        """All of it, as results keep it."""
        return asdict(self)


class ProtocolFiles:
    """`Benchmark.protocol` for a benchmark whose rules are in the protocols' files, by its ``name``."""

    name: str

    def protocol(self, name: str = DEFAULT_PROTOCOL) -> EvalProtocol:
        """The protocol of that name, or in the ``.toml`` file of that path."""
        return find_protocol(name, self.name)


def protocol_names() -> tuple[str, ...]:
    """The protocols that come with mota."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def find_protocol(name: str, benchmark: str) -> EvalProtocol:
    """A protocol by its name or file on a benchmark. Raises `UnknownNameError`; `UsageError` for mistakes in a file."""
    document = _read(_path(name))
    if document.prompts is None:
        raise UsageError(f"{name}: no table [prompts]", 'say base = "searle" to take over its own')
    return EvalProtocol(Path(name).stem, document.source, document.prompts, document.ranking.get(benchmark))


def find_choice(kind: str, name: str, known: Sequence[str]) -> str:
    """``name`` if it is one of ``known``, such as a benchmark's splits."""
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return name


def mean_over_parts(name: str, parts: Sequence[str], units: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The plain mean of each metric over the units ``<name>_<part>``; empty unless all of them were scored."""
    rows = [units.get(f"{name}_{part}", {}) for part in parts]
    shared = [metric for metric in rows[0] if all(metric in row for row in rows)]
    return {metric: sum(row[metric] for row in rows) / len(rows) for metric in shared}


def _queried(unit: EvalUnit) -> tuple[str, ...]:
    named = {id for query in unit.queries for id in (query.reference, *query.targets)}
    return tuple(id for id in unit.gallery if id in named)


# ---------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class _Document:
    """A protocol file: what it leaves out comes from the protocol it is based on."""

    source: str
    base: str = ""
    prompts: PromptRule | None = None
    ranking: Mapping[str, RankingRule] = field(default_factory=dict)


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise DataError(f"no such protocol file: {path}", f"or name one of {', '.join(protocol_names())}")
        return path
    return FOLDER / f"{find_choice('protocol', name, protocol_names())}.toml"


@cache
def _read(path: Path) -> _Document:
    document = parse_options(_Document, read_config(path), str(path))
    if not document.base:
        return document
    base = _read(_path(document.base))
    return replace(document, prompts=document.prompts or base.prompts, ranking={**base.ranking, **document.ranking})
