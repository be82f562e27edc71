"""`check_benchmark`: whether a benchmark keeps `motacli.contracts.Benchmark`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from motacli.contracts import Benchmark
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.metrics import check_name
from motacli.testing import benchmark_protocol, benchmark_units
from motacli.testing.benchmark_subject import BenchmarkSubject
from motacli.testing.checks import Checks, LeftOut, lacking, name_of, named
from motacli.testing.findings import Report

NOBODY = "no-such-name"
checks = Checks[BenchmarkSubject]()
errors = Checks[BenchmarkSubject]()


def check_benchmark(
    benchmark: Benchmark | Callable[[], Benchmark],
    root: Path | str,
    *,
    split: str | None = None,
    pictures: bool = True,
) -> Report:
    """Check a benchmark, or the class or function that makes one, on the files below ``root``.

    ``split`` is the one that is read, by default the benchmark's own choice. A few pictures are opened unless
    ``pictures`` is false.

    Raises `ContractError` with every line that is broken.
    """
    made: Any = benchmark() if isinstance(benchmark, type) or not hasattr(benchmark, "load") else benchmark
    return CHECKS.run(f"benchmark {name_of(made)}", BenchmarkSubject(made, Path(root), split, pictures))


@checks.add("Benchmark", "a benchmark has all of its attributes and methods", vital=True)
def members(subject: BenchmarkSubject) -> Iterator[str]:
    """What the protocol names is there."""
    yield from lacking(subject.benchmark, "name headline splits parts load protocol averages")


@checks.add("Benchmark", "name is text, headline a metric, splits and parts are tuples of texts")
def attributes(subject: BenchmarkSubject) -> Iterator[str]:
    """Attributes are of their types."""
    benchmark = subject.benchmark
    yield from named(benchmark)
    for name in ("splits", "parts"):
        value = getattr(benchmark, name)
        if not isinstance(value, tuple) or not all(isinstance(one, str) and one for one in value):
            yield f"{name} is {value!r}"
    if not benchmark.splits:
        yield "there are no splits"
    try:
        check_name(benchmark.headline)
    except (UnknownNameError, TypeError, AttributeError):
        yield f"headline {benchmark.headline!r} is no metric"


@checks.add("Benchmark.load", "it gives a list of units, at least one", vital=True)
def load(subject: BenchmarkSubject) -> Iterator[str]:
    """There is something to look at."""
    units = subject.load()
    if not isinstance(units, list) or not units:
        yield f"gives {units!r}"


@checks.add("Benchmark.load", "the same files give the same units")
def load_again(subject: BenchmarkSubject) -> Iterator[str]:
    """Read twice."""
    if subject.load() != subject.units:
        yield "units differ when they are read again"


@checks.add(
    "Benchmark.load", "parts restricts to some of the units, and empty means all", after="attributes load_again"
)
def load_parts(subject: BenchmarkSubject) -> Iterator[str]:
    """Each part alone."""
    if not subject.benchmark.parts:
        raise LeftOut("the benchmark has no parts")
    alone = [subject.load([part]) for part in subject.benchmark.parts]
    if [unit.name for units in alone for unit in units] != [unit.name for unit in subject.units]:
        names = "; ".join(", ".join(unit.name for unit in units) for units in alone)
        yield f"its parts, one by one, are {names}"


@errors.add("Benchmark.load", "an unknown split or part is a UsageError")
def unknown_names(subject: BenchmarkSubject) -> Iterator[str]:
    """What people mistype."""
    for what, split, parts in (("split", NOBODY, []), ("part", subject.split, [NOBODY])):
        try:
            subject.benchmark.load(subject.root, split, parts)
        except UsageError:
            continue
        except Exception as error:
            yield f"an unknown {what} raises {type(error).__name__}"
            continue
        yield f"an unknown {what} is taken"


@errors.add("Benchmark.load", "files that are not there are a DataError, which says where they should be")
def missing_files(subject: BenchmarkSubject) -> Iterator[str]:
    """A folder in which there is nothing."""
    with TemporaryDirectory() as folder:
        try:
            subject.benchmark.load(Path(folder), subject.split)
        except DataError as error:
            if folder not in str(error):
                yield f"an empty folder is not named in: {error}"
        except Exception as error:
            yield f"an empty folder raises {type(error).__name__}"
        else:
            yield "an empty folder is read"


CHECKS = Checks(checks, benchmark_units.checks, benchmark_protocol.checks, errors)
