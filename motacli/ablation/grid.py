"""Grids whose every option is checked: variants, which of them is the reference, and what lines are drawn over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from motacli.ablation.grid_file import FULL, GridSpec, VariantTable
from motacli.ablation.variant import BASE, Domain, TripletChoice, Variant, digest_of
from motacli.ablation.vary import cell_name, cells, line_key
from motacli.adapters.options import TrainOptions
from motacli.config import parse_options
from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.plugins import PluginHost

RESERVED = ("jobs", "locks", "triplets")
"""Folders of an ablation that are no grid's."""


@dataclass(frozen=True)
class Sweep:
    """Variants along the values of ``key``: for each line, its values and the variants there."""

    key: str
    lines: Mapping[str, Sequence[tuple[float, str]]]


@dataclass(frozen=True)
class Grid:
    """Variants with different settings, and the one that the others are compared with.

    ``also`` holds further names of a variant, as of one that a sweep passes through.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    reference: str
    sweeps: tuple[Sweep, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def swept(self) -> set[str]:
        """The variants that some line passes through."""
        return {name for sweep in self.sweeps for line in sweep.lines.values() for _, name in line}


def make_grid(host: PluginHost, spec: GridSpec, train: Mapping[str, Any] | None = None) -> Grid:
    """Look up every adapter and check every option. ``train`` are training options that the grid's variants start from.

    Raises `UsageError` and `UnknownNameError` that name the file, the variant and the key.
    """
    if spec.name in RESERVED or spec.name.startswith(("world-", ".")):
        raise UsageError(f"{spec.where}: a grid cannot be called {spec.name!r}", "give the file another name")
    started = {**_named(spec.train), **_named(train or {})}
    pool = _Pool()
    for table in spec.variants or [VariantTable(FULL)]:
        where = f"{spec.where}, [[variant]] {table.name!r}" if spec.variants else spec.where
        if table.name in pool.names() or table.name == BASE:
            raise UsageError(f"{where}: this name is taken", "give each variant a name of its own")
        pool.add(_variant(host, spec, table, started, where))
    sweeps = [sweep for axes in spec.vary for sweep in _sweep(host, spec, axes, started, pool)]
    reference = spec.reference or pool.names()[0]
    if reference not in pool.names():
        found = UnknownNameError("variant", reference, pool.names())
        raise UsageError(f"{spec.where}, reference: {found.message}", found.hint)
    return pool.grid(spec.name, spec.title, reference, sweeps)


def union(grids: Sequence[Grid]) -> Grid:
    """All variants of some grids, each once, compared with the first grid's reference."""
    if len(grids) == 1:
        return grids[0]
    pool, sweeps = _Pool(), []
    for grid in grids:
        names = {}
        for variant in grid.variants:
            own = replace(variant, name=f"{grid.name}: {variant.name}") if pool.clashes(variant) else variant
            names[variant.name] = pool.add(own)
        for name, others in grid.also.items():
            pool.alias(names[name], others)
        for sweep in grid.sweeps:
            lines = {line: [(x, names[name]) for x, name in points] for line, points in sweep.lines.items()}
            sweeps.append(Sweep(sweep.key, lines))
    name, title = "+".join(grid.name for grid in grids), ", ".join(grid.title for grid in grids)
    return pool.grid(name, title, grids[0].reference, sweeps)


@dataclass
class _Pool:
    """Variants by their settings: one that is there already keeps its name, and the new one's is noted beside it."""

    known: dict[str, Variant] = field(default_factory=dict)
    also: dict[str, list[str]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Those that are taken."""
        return [variant.name for variant in self.known.values()]

    def clashes(self, variant: Variant) -> bool:
        """Whether another one has its name."""
        return variant.name in self.names() and digest_of(variant.settings()) not in self.known

    def add(self, variant: Variant) -> str:
        """The name that the variant goes by."""
        name = self.known.setdefault(digest_of(variant.settings()), variant).name
        self.alias(name, [variant.name])
        return name

    def alias(self, name: str, others: Iterable[str]) -> None:
        """Note further names of a variant."""
        noted = self.also.setdefault(name, [])
        noted += [other for other in others if other != name and other not in noted]

    def grid(self, name: str, title: str, reference: str, sweeps: Sequence[Sweep]) -> Grid:
        """All of it as a grid."""
        also = {known: tuple(others) for known, others in self.also.items() if others}
        return Grid(name, title, tuple(self.known.values()), reference, tuple(sweeps), also)


def _sweep(
    host: PluginHost, spec: GridSpec, axes: Mapping[str, Sequence[Any]], train: Mapping[str, Any], pool: _Pool
) -> list[Sweep]:
    """Add all combinations to the pool; the lines through them, none where no key has several numbers."""
    along = line_key(axes)
    lines: dict[str, list[tuple[float, str]]] = {}
    for cell in cells(axes):
        table = "" if spec.where == "--vary" else "[[vary]] "
        variant = _variant(host, spec, cell.variant, train, f"{spec.where}, {table}{cell.full_name}")
        name = pool.add(replace(variant, name=cell.full_name) if pool.clashes(variant) else variant)
        if along is not None:
            others = {key: value for key, value in cell.values.items() if key != along}
            lines.setdefault(cell_name(others), []).append((float(cell.values[along]), name))
    return [] if along is None else [Sweep(along, {line: sorted(points) for line, points in lines.items()})]


def _variant(host: PluginHost, spec: GridSpec, table: VariantTable, train: Mapping[str, Any], where: str) -> Variant:
    adapter = table.adapter or spec.adapter
    try:
        build: Any = host.component("adapters", adapter).load()
        options = parse_options(build.Options, table.options, f"options of adapter {adapter!r}")
        training = parse_options(TrainOptions, {**train, **_named(table.train)}, "training options")
        triplets = _choice(spec, table)
    except MotaError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from error
    if "seed" in {**train, **table.train}:
        raise UsageError(f"{where}: the seed is no option of a variant", "give --seeds")
    return Variant(table.name, adapter, options, training, triplets)


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in values.items()}


def _choice(spec: GridSpec, table: VariantTable) -> TripletChoice:
    domains: list[Domain] = []
    for name in table.domains:
        if name not in spec.domains:
            raise UnknownNameError("domain", name, spec.domains)
        domains.append(spec.domains[name])
    among = tuple(spec.domains.values()) if domains else ()
    return TripletChoice(float(table.corrupt), tuple(domains), table.mix, among)
