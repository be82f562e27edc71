"""The demo's report: the table, queries drawn at random with their results before and after, and the expert routing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from motacli.benchmarks.annotations import read_json
from motacli.compose import tokenize_prompt
from motacli.contracts import Backbone, EvalUnit, Inversion, Ranking
from motacli.demo.recipe import INVERSION_TITLES, TITLES, Layout, Recipe
from motacli.demo.results import DemoResults
from motacli.demo.scoring import Metrics, MiniBenchmark
from motacli.demo.table import COLUMNS
from motacli.evaluating import UnitData, evaluate
from motacli.query_sources import Composed
from motacli.report import BaselineRow, Hit, InversionRow, Report, ReportTable, Routing, SampleQuery, Score
from motacli.tiny.mini import MODIFICATIONS

SAMPLES = 2
"""Queries shown of each benchmark."""
DEPTH = 50
"""How far down a ranking the target's rank is looked for."""
BASELINE_TITLES = {"image": "Image only", "text": "Text only", "sum": "Image + text", "late-fusion": "Late fusion"}


@dataclass(frozen=True)
class Shown:
    """The inversion network and adapter whose rankings are shown."""

    backbone: Backbone
    inversion: Inversion
    adapter: Any

    @property
    def title(self) -> str:
        """The inversion network's name as papers write it."""
        return INVERSION_TITLES.get(self.inversion.name, self.inversion.name)


def make_report(
    results: DemoResults,
    recipe: Recipe,
    layout: Layout,
    seed: int,
    shown: Shown,
    benchmarks: Sequence[tuple[str, MiniBenchmark]],
    commands: Sequence[str],
    facts: Mapping[str, Mapping[str, str]],
) -> Report:
    """Everything on the page; the queries are drawn by the world's seed, not picked."""
    rng = Random(f"{seed}-samples")
    kinds = {name: _kinds(layout, name) for name, _ in benchmarks}
    samples = [sample for name, mini in benchmarks for sample in _samples(name, mini, shown, kinds[name], rng)]
    return Report(
        title="Find the image like this one, but ...",
        summary=(
            "Composed image retrieval on four mini benchmarks of a drawn world. A frozen CLIP and frozen inversion "
            "networks answer each query alone, then with MoTa-Adapter, which was trained on triplets written from "
            "captions. No object of the test world was seen in any training."
        ),
        table=report_table(results, recipe),
        samples=samples,
        routing=_routing(shown, [(mini, kinds[name]) for name, mini in benchmarks]),
        commands=commands,
        facts=facts,
        inversion=shown.title,
    )


def report_table(results: DemoResults, recipe: Recipe) -> ReportTable:
    """The headline numbers as the page shows them."""
    fused = INVERSION_TITLES.get(recipe.fused, recipe.fused)
    baselines = [
        BaselineRow(BASELINE_TITLES[name], [Score(scores[b][m]) for b, m in COLUMNS])
        for name, scores in results.baselines.items()
    ]
    inversions = [
        InversionRow(
            name=INVERSION_TITLES.get(name, name),
            base=[Score(by[b].base[m]) for b, m in COLUMNS],
            adapted=[_score(by[b].mota, by[b].mota_std, m, recipe) for b, m in COLUMNS],
            base_fused=[Score(by[b].base_late_fusion[m]) for b, m in COLUMNS],
            adapted_fused=[_score(by[b].mota_late_fusion, by[b].mota_late_fusion_std, m, recipe) for b, m in COLUMNS],
        )
        for name, by in results.inversions.items()
    ]
    return ReportTable(
        columns=[(TITLES[benchmark], metric) for benchmark, metric in COLUMNS],
        baselines=baselines,
        inversions=inversions,
        note=(
            f"Late fusion adds {recipe.fusion:g} times the picture's feature to a query; "
            f"the row of that name adds it to {fused}'s."
        ),
    )


def _score(mean: Metrics, std: Metrics, metric: str, recipe: Recipe) -> Score:
    return Score(mean[metric], std[metric] if len(recipe.adapter_seeds) > 1 else None)


def _kinds(layout: Layout, benchmark: str) -> Mapping[str, Sequence[str]]:
    """The modification type of each query, by unit."""
    found: Mapping[str, Sequence[str]] = read_json(layout.benchmark(benchmark) / MODIFICATIONS)
    return found


def _samples(
    name: str, mini: MiniBenchmark, shown: Shown, kinds: Mapping[str, Sequence[str]], rng: Random
) -> list[SampleQuery]:
    before = evaluate(mini.benchmark, mini.units, Composed(shown.inversion), DEPTH, resamples=0).results
    after = evaluate(mini.benchmark, mini.units, Composed(shown.inversion, shown.adapter), DEPTH, resamples=0).results
    everything = [(unit, row) for unit, data in enumerate(mini.units) for row in range(len(data.unit.queries))]
    samples = []
    for number, row in rng.sample(everything, min(SAMPLES, len(everything))):
        unit = mini.units[number].unit
        query = unit.queries[row]
        samples.append(
            SampleQuery(
                benchmark=TITLES[name],
                caption=" and ".join(query.captions),
                kind=kinds[unit.name][row],
                reference=unit.images[query.reference],
                before=_hits(unit, row, before[number].top),
                after=_hits(unit, row, after[number].top),
            )
        )
    return samples


def _hits(unit: EvalUnit, row: int, ranking: Ranking | None) -> list[Hit]:
    assert ranking is not None  # asked for by DEPTH
    targets = unit.queries[row].targets
    scored = zip(ranking.ids[row], ranking.scores[row], strict=True)
    return [Hit(unit.images[id], float(score), id in targets) for id, score in scored]


def _routing(shown: Shown, benchmarks: Sequence[tuple[MiniBenchmark, Mapping[str, Sequence[str]]]]) -> Routing:
    """Mean gates over the test queries of each modification type."""
    gates: dict[str, list[torch.Tensor]] = defaultdict(list)
    for mini, kinds in benchmarks:
        for data in mini.units:
            for kind, row in zip(kinds[data.unit.name], _gates(shown, data), strict=True):
                gates[kind].append(row)
    types = sorted(gates)
    shares = [torch.stack(gates[kind]).mean(0).tolist() for kind in types]
    return Routing(types, len(shares[0]), shares)


@torch.no_grad()
def _gates(shown: Shown, data: UnitData) -> torch.Tensor:
    """The mixing weights ``(Q, K)`` of a unit's queries, read in the first order of their captions."""
    backbone = shown.backbone
    prompts = [tokenize_prompt(backbone, group[0]) for group in data.inputs.prompts]
    pseudo_words = shown.inversion(shown.adapter.mdm(data.inputs.references.to(backbone.device)))
    found: torch.Tensor = shown.adapter.route(backbone, pseudo_words, prompts)
    return found.cpu()
