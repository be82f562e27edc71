"""One file for all units of a benchmark, or one for each: ``{unit}`` in a path, or a JSON object keyed by unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from motacli.benchmarks.annotations import read_json
from motacli.contracts import EvalUnit
from motacli.errors import DataError, listed

UNIT = "{unit}"


def unit_path(path: Path, unit: EvalUnit) -> Path:
    """``path`` with the unit's name in place of ``{unit}``, if it has that."""
    return Path(str(path).replace(UNIT, unit.name))


def unit_paths(path: Path, units: Sequence[EvalUnit]) -> dict[Path, list[EvalUnit]]:
    """The files that ``path`` stands for, and the units each is about."""
    found: dict[Path, list[EvalUnit]] = {}
    for unit in units:
        found.setdefault(unit_path(path, unit), []).append(unit)
    return found


def answers_by_unit(
    path: Path, units: Sequence[EvalUnit], hint: str, unwrap: Callable[[Any], Any] = lambda document: document
) -> dict[str, Mapping[str, Any]]:
    """A JSON file of answers by query id, for every unit: ``{query id: answer}``, or ``{unit: {query id: answer}}``.

    ``unwrap`` takes off what a known kind of file puts around the answers. Raises `DataError` where a query has no
    answer, an answer no query, or a query id could be of several units.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for file, own in unit_paths(path, units).items():
        document = unwrap(read_json(file, hint))
        if not isinstance(document, dict):
            raise DataError(f"{file}: expected an object of query ids", hint)
        names = {unit.name for unit in own}
        if names & set(document):
            found |= {unit.name: _of(document.get(unit.name), unit, file, hint) for unit in own}
            _refuse_unknown(set(document) - names, file, "unit")
        else:
            found |= _flat(document, own, file)
    return found


def _of(answers: Any, unit: EvalUnit, path: Path, hint: str) -> Mapping[str, Any]:
    if not isinstance(answers, dict):
        raise DataError(f"{path}: no object of query ids for {unit.name}", hint)
    return _complete(answers, unit, path)


def _flat(document: Mapping[str, Any], units: Sequence[EvalUnit], path: Path) -> dict[str, Mapping[str, Any]]:
    ids = Counter(query.id for unit in units for query in unit.queries)
    shared = [id for id, count in ids.items() if count > 1]
    if shared:
        raise DataError(
            f"{path}: query {shared[0]!r} is in several units", f"key the answers by unit, or write {UNIT} in the path"
        )
    _refuse_unknown(set(document) - set(ids), path, "query")
    return {
        unit.name: _complete({q.id: document[q.id] for q in unit.queries if q.id in document}, unit, path)
        for unit in units
    }


def _complete(answers: Mapping[str, Any], unit: EvalUnit, path: Path) -> Mapping[str, Any]:
    missing = [query.id for query in unit.queries if query.id not in answers]
    if missing:
        raise DataError(
            f"{path}: nothing for {len(missing)} of {len(unit.queries)} queries of {unit.name}: {listed(missing)}",
            "every query has to be answered; scores over a part cannot be compared",
        )
    _refuse_unknown(set(answers) - {query.id for query in unit.queries}, path, f"query of {unit.name}")
    return answers


def _refuse_unknown(names: set[str], path: Path, what: str) -> None:
    if names:
        raise DataError(f"{path}: no such {what}: {listed(sorted(names))}", "is it for another split or part?")
