"""What variants learn from: noisy copies, and domains of equal size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from motacli.ablation.triplet_sets import TripletSets
from motacli.ablation.variant import Domain, TripletChoice
from motacli.contracts import GeneratorInfo, Triplet
from motacli.errors import DataError, UsageError
from motacli.runs import file_digest
from motacli.triplets.schema import read_triplets, write_triplets

LOOKS, SCENES = Domain("looks", ("colour",)), Domain("all scenes", ("addition", "removal"))
KINDS = ("colour", "addition", "removal", "colour", "conjunction")


def triplet(number: int) -> Triplet:
    texts = (f"{word} {number}" for word in ("a reference", "a change", "a target"))
    return Triplet(f"t{number}", "s", f"{number}.png", *texts, KINDS[number % 5], "keep", GeneratorInfo("g"))


def sets(tmp_path: Path, *names: str) -> TripletSets:
    files = tuple(tmp_path / f"{name}.jsonl" for name in names or ("t",))
    for number, path in enumerate(files):
        if not path.exists():
            write_triplets(path, map(triplet, range(100 * number, 100 * number + 50)))
    return TripletSets(files, tuple(map(file_digest, files)), tmp_path / "sets")


def mixed(*domains: Domain, mix: tuple[float, ...] = ()) -> TripletChoice:
    return TripletChoice(domains=domains, mix=mix, among=(LOOKS, SCENES, Domain("few", ("conjunction",))))


def test_all_triplets_are_the_files_themselves(tmp_path: Path) -> None:
    made = sets(tmp_path, "a", "b")
    assert made.write(TripletChoice()).files == made.sources
    rows, mixture = made.write(TripletChoice()).read()
    assert mixture.sizes == (50, 50) and mixture.shares == () and len(rows) == 100
    assert not made.folder.exists()


def test_a_noisy_copy_has_its_share_of_wrong_triplets(tmp_path: Path) -> None:
    made = sets(tmp_path)
    (path,) = made.write(TripletChoice(corrupt=0.2)).files
    before, after = read_triplets(made.sources[0]), read_triplets(path)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 10
    (clean,) = made.of(TripletChoice()).files
    assert clean == made.sources[0] and path.parent == made.folder
    (again,) = TripletSets(made.sources, made.digests, tmp_path / "more").write(TripletChoice(corrupt=0.2)).files
    assert again.read_bytes() == path.read_bytes()


def test_a_copy_that_a_kill_left_half_done_is_written_anew(tmp_path: Path) -> None:
    made = sets(tmp_path)
    (path,) = made.write(TripletChoice(corrupt=0.2)).files
    whole = path.read_bytes()
    path.with_name(path.name + ".partial").write_bytes(whole[:20])
    path.unlink()
    assert made.write(TripletChoice(corrupt=0.2)).files[0].read_bytes() == whole


def test_single_and_mixed_domains_are_as_large(tmp_path: Path) -> None:
    made = sets(tmp_path)
    (looks,) = made.write(mixed(LOOKS)).files
    both = made.write(mixed(LOOKS, SCENES, mix=(0.3, 0.7)))
    assert len(read_triplets(looks)) == 10
    rows, mixture = both.read()
    assert (mixture.sizes, mixture.shares) == ((3, 7), (0.3, 0.7))
    assert {row.modification_type for row in rows[:3]} == {"colour"}
    assert {row.modification_type for row in rows[3:]} <= {"addition", "removal"}
    assert {row.id for row in rows[:3]} <= {row.id for row in read_triplets(looks)}


def test_a_domain_may_be_a_file(tmp_path: Path) -> None:
    made = sets(tmp_path, "life", "fashion")
    fashion = Domain("clothes", file="fashion")
    (path,) = made.write(TripletChoice(domains=(fashion,), among=(fashion,))).files
    assert [row.id for row in read_triplets(path)] == [f"fashion/t{number}" for number in range(100, 150)]
    missing = Domain("clothes", file="fasion.jsonl")
    with pytest.raises(DataError, match=r"no triplets file goes by 'fasion.jsonl'.*did you mean 'fashion.jsonl'"):
        made.write(TripletChoice(domains=(missing,), among=(missing,)))


def test_a_domain_without_triplets_is_named(tmp_path: Path) -> None:
    nothing = Domain("nothing", ("coulour",))
    with pytest.raises(DataError, match=r"domain 'nothing' has no triplets.*addition, colour"):
        sets(tmp_path).write(TripletChoice(domains=(nothing,), among=(nothing,)))


def test_another_file_is_another_set(tmp_path: Path) -> None:
    made, choices = sets(tmp_path), (TripletChoice(), TripletChoice(corrupt=0.2), mixed(LOOKS))
    made.sources[0].write_bytes(made.sources[0].read_bytes().replace(b"a target 7", b"a target X"))
    changed = sets(tmp_path)
    for choice in choices:
        assert made.identity(choice) != changed.identity(choice)
    for choice in choices[1:]:
        assert made.of(choice).files != changed.of(choice).files
    assert made.identity(choices[1]) != made.identity(replace(choices[1], corrupt=0.3))


def test_impossible_choices_are_refused() -> None:
    for wrong in ({"corrupt": 1.5}, {"domains": (LOOKS,), "mix": (0.5, 0.5)}, {"domains": (LOOKS,), "mix": (0.5,)}):
        with pytest.raises(UsageError):
            TripletChoice(**wrong)  # type: ignore[arg-type]
