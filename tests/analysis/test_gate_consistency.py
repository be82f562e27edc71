"""Distances of gates, and routers of known habits."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from motacli.analysis.feature_sets import Parts
from motacli.analysis.gate_consistency import (
    ANY,
    PARAPHRASES,
    SAME_CAPTION,
    SAME_PICTURE,
    SAME_TYPE,
    Consistency,
    js_distance,
)
from motacli.analysis.gates import require_router
from motacli.analysis.routed_queries import RoutedQueries, RoutedQuery
from motacli.analysis.routing_analysis import RoutingAnalysis, analyse_routing, relative_entropy, type_shares
from motacli.analysis.routing_tables import routing_tables, verdicts
from motacli.contracts import Prompt
from motacli.errors import DataError, UsageError

EXPERTS = 3


class Router:
    """An adapter whose gates are one hot, by picture or by the caption's first letter."""

    name = "stub"
    options = SimpleNamespace(experts=EXPERTS)

    def __init__(self, reads: str) -> None:
        self.reads = reads

    def route(self, backbone: Any, words: torch.Tensor, prompts: Sequence[Any]) -> torch.Tensor:
        if self.reads == "picture":
            places = words[:, 0].long()
        else:
            places = torch.tensor([prompt.suffix[0] % EXPERTS for prompt in prompts])
        return torch.nn.functional.one_hot(places, EXPERTS).float()


def parts(adapter: Any) -> Parts:
    backbone: Any = SimpleNamespace(
        device=torch.device("cpu"), tokenize=lambda text: [ord(letter) for letter in text.strip()]
    )
    inversion: Any = lambda features: features  # noqa: E731
    return Parts(backbone, inversion, adapter, "")


def queries(rows: int = 90, types: int = 3) -> RoutedQueries:
    """Captions and types go together; pictures go their own way."""
    made = tuple(
        RoutedQuery(
            str(n),
            f"{n}.png",
            ("abc"[n % 3] + f" {n}",),
            (f"type {n % types}",),
            lambda captions: Prompt("", captions[0]),
        )
        for n in range(rows)
    )
    return RoutedQueries(made, torch.tensor([[float(n // 3 % 3)] for n in range(rows)]), "modification type")


def by_name(found: RoutingAnalysis) -> dict[str, Consistency]:
    return {each.between: each for each in found.consistency}


def paraphrases(letter: str | None = None) -> dict[str, tuple[str, ...]]:
    return {q.id: tuple(f"{letter or q.captions[0][0]} {k}" for k in range(2)) for q in queries().queries}


def test_distances() -> None:
    p = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    assert js_distance(p, p) == pytest.approx(np.zeros(3))
    assert js_distance(p[0], np.array([0.0, 1, 0])) == pytest.approx(1)
    # of (1, 0) and (1/2, 1/2): (log2(4/3) + (log2(2/3) + log2(2)) / 2) / 2
    assert js_distance(p[0], p[1]) ** 2 == pytest.approx((np.log2(4 / 3) + (np.log2(2 / 3) + 1) / 2) / 2)


def test_a_router_that_reads_captions() -> None:
    found = analyse_routing(parts(Router("caption")), queries(), paraphrases())
    rows = by_name(found)
    assert rows[PARAPHRASES].distance.value == 0 and rows[PARAPHRASES].same_expert.value == 1
    assert rows[SAME_CAPTION].distance.value == 0 and rows[SAME_PICTURE].distance.value > 0.5
    assert rows[SAME_TYPE].distance.value == 0 and rows[ANY].distance.value > 0.5
    assert found.leading and found.leading.nmi == pytest.approx(1) and found.leading.p < 0.001
    assert found.mixing == found.leading  # its gates are one hot
    assert "by the caption more than by the picture" in verdicts(found)[2]
    assert [row.leads[(ord("abc"[n]) % 3)] for n, row in enumerate(found.types)] == [1, 1, 1]


def test_a_router_that_reads_pictures() -> None:
    found = analyse_routing(parts(Router("picture")), queries(), paraphrases("z"))
    rows = by_name(found)
    assert (
        rows[PARAPHRASES].distance.value == rows[SAME_PICTURE].distance.value == 0 < rows[SAME_CAPTION].distance.value
    )
    assert found.leading and found.leading.nmi == pytest.approx(0, abs=1e-9) and found.leading.p > 0.05
    assert "does not visibly depend" in verdicts(found)[0]
    assert found.entropy.value == 0 and found.load_entropy == pytest.approx(1)
    assert [row.load.value for row in found.load] == pytest.approx([1 / 3] * 3)


def test_templates_and_one_type() -> None:
    found = analyse_routing(parts(Router("caption")), queries(types=1))
    assert found.leading is None and found.paraphrased_by == "templates"
    assert "All queries are of one modification type" in verdicts(found)[0]
    assert [title for title, _ in routing_tables(found)] == ["numbers", "experts", "mean gate by type, %", "steadiness"]
    assert all(query.gate == 1 for row in found.load for query in row.top) and len(found.load[0].top) == 4


def test_several_types_of_a_query_share_it() -> None:
    names, shares = type_shares([("b", "a"), ("c",), ("a", "a")])
    assert names == ["a", "b", "c"]
    assert shares.tolist() == [[0.5, 0.5, 0], [0, 0, 1], [1, 0, 0]]


def test_entropies() -> None:
    gates = np.array([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    assert relative_entropy(gates) == pytest.approx([0, 1, 0.5])


def test_what_cannot_be_looked_at() -> None:
    with pytest.raises(DataError, match="none of the 90 queries"):
        analyse_routing(parts(Router("caption")), queries(), {"x": ("y",)})
    with pytest.raises(DataError, match="1 query is too few"):
        analyse_routing(parts(Router("caption")), queries(1))
    with pytest.raises(UsageError, match="'plain' has no router"):
        require_router(parts(SimpleNamespace(name="plain")))
    alone = Router("caption")
    alone.options = SimpleNamespace(experts=1)
    with pytest.raises(UsageError, match="one expert"):
        require_router(parts(alone))
