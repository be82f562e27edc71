"""Schemathesis asks whatever the OpenAPI description allows, and much that it does not: the server never fails."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from serving import Running

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install 'mota[dev]'")


SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
OPERATIONS = (
    *("POST /api/search", "POST /api/uploads", "GET /api/uploads/{upload}", "GET /api/index"),
    *("GET /api/pictures/{id}", "GET /api/thumbnails/{id}"),
)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_that_is_asked_makes_the_server_fail(server: Running, name: str, mode: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}openapi.json")
    operations = {found.label: found for found in (result.ok() for result in schema.get_all_operations())}
    operation, seen = operations[name], []

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def ask(case: Any) -> None:
        answer = case.call()
        seen.append(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert set(answer.json()) == {"error"}

    with contextlib.suppress(Unsatisfiable):  # an operation that takes nothing has nothing to get wrong
        ask()
    assert len(seen) > 1 or name == "GET /api/index"


def test_the_description_is_complete(server: Running) -> None:
    document = json.loads(server.get("/openapi.json").body)
    assert set(document["paths"]) == {name.partition(" ")[2] for name in OPERATIONS}
    search = document["paths"]["/api/search"]["post"]
    assert set(search["responses"]) == {"200", "401", "408", "410", "413", "421", "422", "429"}
    form = search["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    fields = document["components"]["schemas"][form]["properties"]
    assert {"image", "text", "k", "reference", "negative", "alpha", "min_score", "where", "adapted"} < set(fields)
    assert all(field.get("description") for field in fields.values())
