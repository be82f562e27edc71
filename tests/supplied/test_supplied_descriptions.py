"""Descriptions of targets as queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from supplied.supplied_files import write_json

from motacli.benchmarks.fashioniq import FashionIQ
from motacli.contracts import EvalUnit
from motacli.encoding import encode_texts
from motacli.errors import DataError
from motacli.query_sources import Described, QueryInputs
from motacli.supplied.descriptions import read_descriptions
from motacli.tiny.mini import write_fashioniq


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[EvalUnit]:
    root = tmp_path_factory.mktemp("fashioniq")
    write_fashioniq(root, 1, "val", queries=3)
    return FashionIQ().load(root, parts=["dress", "shirt"])


def test_a_description_is_encoded_as_it_is(units: list[EvalUnit], tmp_path: Path, tiny_backbone: Any) -> None:
    texts = {query.id: f"a red star {row}" for unit in units for row, query in enumerate(unit.queries)}
    found = read_descriptions(write_json(tmp_path / "d.json", texts), units)
    assert {unit: set(own) for unit, own in found.items()} == {u.name: {q.id for q in u.queries} for u in units}
    unit = units[1]
    inputs = QueryInputs(tiny_backbone, torch.zeros(3, 128), [], [], [query.id for query in unit.queries], unit.name)
    expected = encode_texts(tiny_backbone, [texts[query.id] for query in unit.queries])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(Described(found).vectors(inputs).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("text", "said"), [("  ", "the description is '  '"), (3, "the description is 3")])
def test_a_query_without_a_description_is_named(text: Any, said: str, units: list[EvalUnit], tmp_path: Path) -> None:
    texts: dict[str, Any] = {query.id: "a star" for unit in units for query in unit.queries}
    texts[units[0].queries[1].id] = text
    with pytest.raises(DataError, match=said):
        read_descriptions(write_json(tmp_path / "d.json", texts), units)
