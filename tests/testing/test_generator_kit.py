"""Each check of `check_triplet_generator` finds a generator that breaks just its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from wrong import Wrong, assert_that_line, breaches, instead, without

from motacli.contracts import GeneratorInfo, ImageText, Outcome, Rejection, Triplet
from motacli.datasets import picture_exists
from motacli.testing import check_triplet_generator
from motacli.testing.generator import checks


class Right:
    """A generator that is right: it looks at pictures and makes everything blue."""

    name = "right"
    info = GeneratorInfo("right")
    reads_images = True

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        for row in rows:
            if not row.caption.strip() or not picture_exists(row.image):
                yield Outcome(row, rejections=(Rejection("nothing to see"),))
            else:
                yield Outcome(row, (self.triplet(row),))

    def triplet(self, row: ImageText) -> Triplet:
        texts = ("is blue", f"blue {row.caption}", "attribute", "change")
        return Triplet(f"{row.id}#0", row.id, row.image.id, row.caption, *texts, self.info)


def outcomes_with(change: Callable[[Iterator[Outcome]], Iterable[Any]]) -> Any:
    """A generator whose outcomes are changed on their way."""
    return instead(generate=lambda self, rows: iter(change(self._right.generate(rows))))


def each(change: Callable[[Outcome], Any]) -> Any:
    return outcomes_with(lambda outcomes: map(change, outcomes))


def triplets_with(**values: Any) -> Any:
    """A generator whose triplets have other values."""
    return each(lambda one: replace(one, triplets=tuple(replace(t, **values) for t in one.triplets)))


def neither(outcome: Outcome) -> Outcome:
    return outcome if outcome.rejections or outcome.row.id.endswith("1.png") else replace(outcome, triplets=())


def numbered(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for number, one in enumerate(outcomes):
        yield replace(one, triplets=tuple(replace(t, relative_caption=f"number {number}") for t in one.triplets))


def in_pairs(self: Any, rows: Iterable[ImageText]) -> Iterator[Outcome]:
    given = iter(rows)
    for row in given:
        yield from self._right.generate([*islice(given, 1), row])


def greedy(self: Any, rows: Iterable[ImageText]) -> Iterator[Outcome]:
    return iter(list(self._right.generate(list(rows))))


def picky(self: Any, rows: Iterable[ImageText]) -> Iterator[Outcome]:
    for row in rows:
        row.caption.encode()
        yield from self._right.generate([row])


def trusting(self: Any, rows: Iterable[ImageText]) -> Iterator[Outcome]:
    for row in rows:
        row.image.path.read_bytes()
        yield from self._right.generate([row])


def inventing(self: Any, rows: Iterable[ImageText]) -> Iterator[Outcome]:
    for row in rows:
        yield Outcome(row, (self.triplet(row),)) if row.caption.strip() else Outcome(row, (), (Rejection("none"),))


WRONG = (
    Wrong("members", without("info"), "there is no info"),
    Wrong("info", instead(info=GeneratorInfo("")), "it is GeneratorInfo(name='',"),
    Wrong("one_outcome", outcomes_with(lambda all: list(all)[1:]), "has no outcome"),
    Wrong("one_outcome", outcomes_with(lambda all: [o for one in all for o in (one, one)]), "has several outcomes"),
    Wrong("one_outcome", each(lambda one: one.triplets), "gives tuple"),
    Wrong("ordered", instead(in_order=True, generate=in_pairs), "000001.png' comes first"),
    Wrong("accounted", each(neither), "gives neither"),
    Wrong("accounted", each(lambda one: replace(one, requests=None)), "costs (None, 0, 0)"),
    Wrong(
        "writes",
        each(lambda one: Outcome(one.row, rejections=(Rejection("not today"),))),
        "12 captions gave none, for not today",
    ),
    Wrong("triplet_texts", triplets_with(target_caption=" "), "'target_caption' is empty"),
    Wrong("triplet_source", triplets_with(source_id="0"), "has a triplet of row '0'"),
    Wrong("triplet_ids", triplets_with(id="one"), "12 triplets have 1 ids"),
    Wrong("triplet_context", triplets_with(context="new"), "context is 'new'"),
    Wrong("triplet_info", triplets_with(generator=GeneratorInfo("other")), "a triplet says GeneratorInfo(name='other'"),
    Wrong("row_alone", outcomes_with(numbered), "backwards, the outcome of row"),
    Wrong("stream", instead(generate=greedy), "reads 5000 rows before it gives an outcome"),
    Wrong("strange_captions", instead(generate=picky), "raises UnicodeEncodeError"),
    Wrong("missing_picture", instead(generate=trusting), "raises FileNotFoundError"),
    Wrong("missing_picture", instead(generate=inventing), "whose picture is missing is not rejected"),
)


def test_a_right_generator_passes_all() -> None:
    for generator in (Right, Right(), lambda: Right()):
        assert check_triplet_generator(generator).passed == tuple(checks.all)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_generator_is_found_out(wrong: Wrong) -> None:
    error = breaches(lambda: check_triplet_generator(wrong.make(Right())))
    assert_that_line(error, wrong, checks.all[wrong.check].line)


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} == set(checks.all)


def test_one_that_draws_at_random_need_not_repeat_itself() -> None:
    report = check_triplet_generator(outcomes_with(numbered)(Right()), deterministic=False)
    assert report.left_out == {"row_alone": "deterministic=False was given"}
