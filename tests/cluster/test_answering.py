"""Pieces of rows, one generator: it goes on from piece to piece, and whatever happens nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motacli.cluster.answering import Answering
from motacli.cluster.generating import _check, in_order, in_pieces
from motacli.cluster.triplet_worker import Answers, portable
from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Outcome
from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.llms.errors import LLMError


def rows(*numbers: int) -> list[ImageText]:
    return [ImageText(ImageRef(f"{i}.jpg", Path(f"{i}.jpg")), f"a dog number {i}", f"r{i}") for i in numbers]


class Held:
    """Answers rows as it gets them, all but the first of each call, which it answers last."""

    name = "held"
    info = GeneratorInfo("held")

    def __init__(self) -> None:
        self.calls = 0
        self.go = threading.Event()
        self.seen: list[str] = []

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        self.calls += 1
        first: ImageText | None = None
        for row in rows:
            self.seen.append(row.id)
            if first is None:
                first = row
                assert self.go.wait(20)
            elif row.id == "r9":
                raise LookupError("nine")
            elif row.id == "r7":
                yield Outcome(rows_of(row, "r70"))
            elif row.id != "r8":  # of which it says nothing
                yield Outcome(row)
        if first is not None:
            yield Outcome(first)


def rows_of(row: ImageText, id: str) -> ImageText:
    return ImageText(row.image, row.caption, id)


def ids(outcomes: Iterable[Outcome]) -> list[str]:
    return [outcome.row.id for outcome in outcomes]


def together(generator: Held, *pieces: list[ImageText]) -> list[tuple[list[str], BaseException | None]]:
    """The answers to pieces that are all there before the generator goes on."""
    answering = Answering(generator)
    with ThreadPoolExecutor(len(pieces)) as pool:
        asked = [pool.submit(answering.answer, piece) for piece in pieces]
        while answering._rows.qsize() < sum(map(len, pieces)) - 1:
            pass
        generator.go.set()
        return [(ids(found), error) for found, error in (one.result(20) for one in asked)]


def test_the_next_piece_begins_before_the_last_row_of_this_one_is_answered() -> None:
    generator = Held()
    found = together(generator, rows(1, 2, 3), rows(4, 5))
    assert {frozenset(names) for names, _ in found} == {frozenset({"r1", "r2", "r3"}), frozenset({"r4", "r5"})}
    assert generator.calls == 1 and all(error is None for _, error in found)


def test_the_same_rows_handed_out_twice_are_answered_twice() -> None:
    found = together(Held(), rows(1, 2), rows(1, 2))
    assert [sorted(names) for names, _ in found] == [["r1", "r2"]] * 2


def test_a_row_that_nothing_is_said_of_is_not_waited_for() -> None:
    generator = Held()
    answering = Answering(generator)
    generator.go.set()
    assert ids(answering.answer(rows(1, 8, 2))[0]) == ["r2", "r1"]
    assert ids(answering.answer(rows(3))[0]) == ["r3"] and generator.calls == 2


def test_an_error_comes_to_all_who_wait_with_what_is_there() -> None:
    found = together(Held(), rows(1, 2, 9, 3), rows(1, 2, 9, 3))
    assert [names for names, _ in found] in ([["r2"], []], [[], ["r2"]])
    assert {str(error) for _, error in found} == {"nine"}


def test_an_answer_to_no_question_is_the_generators_mistake() -> None:
    ((_, error),) = together(Held(), rows(1, 7))
    assert isinstance(error, MotaError) and "'r70'" in error.message


@pytest.mark.parametrize(("grace", "there"), [(20.0, ["r1"]), (0.0, [])])
def test_after_stop_no_row_is_begun(grace: float, there: list[str]) -> None:
    generator = Held()
    answering = Answering(generator)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(answering.answer, rows(1, 2, 3))
        while not generator.seen:
            pass
        answering.stop(grace)
        if grace:
            generator.go.set()
        found, error = asked.result(20)
    generator.go.set()
    assert ids(found) == there and error is None and generator.seen == ["r1"]
    assert answering.answer(rows(4)) == ([], None)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("what", "do"), 2, "what (do)"),
        (UnknownNameError("thing", "x", ["xy"]), 2, "unknown thing 'x' (did you mean 'xy'?)"),
        (LLMError("gone", "far", remedy="stop", hint="come"), 1, "gone: far (come)"),
    ],
)
def test_errors_travel_and_say_the_same(error: MotaError, code: int, said: str) -> None:
    import pickle

    found = pickle.loads(pickle.dumps(portable(error)))
    assert (found.exit_code, str(found)) == (code, said)


def test_an_error_that_cannot_travel_is_told() -> None:
    class Local(Exception):
        pass

    found = portable(Local("here"))
    assert isinstance(found, MotaError) and "here" in found.message


def answers(number: int, *missing: ImageRef) -> Answers:
    return Answers(number, "afar", (), missing, None)


def test_answers_that_come_too_early_are_held() -> None:
    found = in_order(answers(number) for number in (2, 0, 1, 5, 4))
    assert [answer.number for answer in found] == [0, 1, 2, 4, 5]
    assert list(in_pieces(iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_picture_that_only_this_machine_has_is_an_error(tmp_path: Path) -> None:
    here, gone = tmp_path / "here.jpg", tmp_path / "gone.jpg"
    here.touch()
    _check(answers(0, ImageRef("gone", gone)))
    with pytest.raises(MotaError, match=r"worker on afar does not find .*here\.jpg"):
        _check(answers(0, ImageRef("gone", gone), ImageRef("here", here)))
