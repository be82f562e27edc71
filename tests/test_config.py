"""Option files and options dataclasses: what is accepted, and every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.config import CommandSchema, OptionSchema, option_defaults, parse_options, read_config
from motacli.convert import Mistyped, convert, describe
from motacli.errors import UsageError


class Colour(Enum):
    red = "red"
    blue = "blue"


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Options:
    steps: int
    lr: float = 1e-3
    name: str | None = None
    kind: Literal["a", "b"] = "a"
    layers: tuple[int, ...] = ()
    inner: Inner = Inner()
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.lr < 0:
            raise ValueError("lr must not be negative")


def test_parse_options() -> None:
    values = {"steps": 3, "lr": 1, "layers": [1, 2], "inner": {"depth": 2}, "tags": ["x"]}
    assert parse_options(Options, values, "here") == Options(3, 1.0, layers=(1, 2), inner=Inner(2), tags=["x"])
    assert isinstance(parse_options(Options, values, "here").lr, float)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(Options, {"lr": "3", "layrs": [1], "kind": "c", "tags": [1]}, "options of adapter 'mota'")
    message = caught.value.message
    assert message.startswith("options of adapter 'mota': 5 mistakes")
    for part in (
        "lr must be a number, not '3'",
        "did you mean 'layers'?",
        "one of 'a', 'b'",
        "a list, each item a string",
    ):
        assert part in message
    assert "option 'steps' is missing" in message


def test_one_mistake_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^here: steps must be an integer, not True$"):
        parse_options(Options, {"steps": True}, "here")


def test_what_the_dataclass_refuses_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="here: lr must not be negative"):
        parse_options(Options, {"steps": 1, "lr": -1.0}, "here")


def test_kebab_keys_are_accepted() -> None:
    @dataclass(frozen=True)
    class Two:
        top_k: int = 1

    assert parse_options(Two, {"top-k": 5}, "here") == Two(5)


@pytest.mark.parametrize(
    ("value", "hint", "wanted"),
    [
        (3, float, 3.0),
        ("x", Path, Path("x")),
        ("red", Colour, Colour.red),
        (Colour.red, Colour, Colour.red),
        (None, int | None, None),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([1], Sequence[int], [1]),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        (4, Annotated[int, "note"], 4),
        ({1}, Any, {1}),
    ],
)
def test_convert(value: Any, hint: Any, wanted: Any) -> None:
    assert convert(value, hint) == wanted
    assert type(convert(value, hint)) is type(wanted)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("3", int), (3.5, int), (True, int), (True, float), (1, bool), (1, str), (None, str), (1, Path),
        ("green", Colour), ([], Colour), (True, Literal[1]), ("x", int | None),
        ("ab", list[str]), ([["a"]], list[str]), ([1, 2], tuple[int]), ([1], dict),
    ],
)  # fmt: skip
def test_convert_bends_nothing_else(value: Any, hint: Any) -> None:
    with pytest.raises(Mistyped) as caught:
        convert(value, hint)
    assert caught.value.expected == describe(hint) or "list" in caught.value.expected


@given(st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans() | st.lists(st.integers()))
def test_convert_keeps_values_of_their_own_type(value: Any) -> None:
    assert convert(value, type(value)) == value


# ---------------------------------------------------------------------------------------------- files

SCHEMA = CommandSchema(
    commands={
        "train": CommandSchema({"lr": OptionSchema("lr", float, 0.0), "top-k": OptionSchema("top_k", int, 1, 10)}),
        "tiny": CommandSchema(commands={"build": CommandSchema({"lr": OptionSchema("lr", float)})}),
    }
)


def test_tables_and_common_keys() -> None:
    defaults = option_defaults({"lr": 0.5, "train": {"top_k": 3}, "tiny": {"build": {"lr": 2.0}}}, SCHEMA, "f")
    assert defaults == {"train": {"lr": 0.5, "top_k": 3}, "tiny": {"build": {"lr": 2.0}}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"trian": {}}, "unknown command [trian] (did you mean 'train'?)"),
        ({"lrr": 1}, "unknown option 'lrr' (did you mean 'lr'?)"),
        ({"train": {"top_kk": 1}}, "[train]: unknown option 'top_kk' (did you mean 'top-k'?)"),
        ({"train": {"top-k": 11}}, "must lie in 1..10"),
        ({"train": 3}, "train"),
        ({"tiny": {"build": 3}}, "[tiny.build] must be a table of options"),
        ({"tiny": {"biuld": {}}}, "did you mean 'build'?"),
    ],
)
def test_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        option_defaults(document, SCHEMA, "f.toml")
    assert said in caught.value.message and caught.value.message.startswith("f.toml: ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.toml", b"a = ", "not valid TOML"),
        ("c.json", b"{", "not valid JSON"),
        ("c.json", b"[1]", "no table"),
        ("c.toml", b"\xff", "not valid TOML"),
    ],
)
def test_unreadable_files(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_config(tmp_path / name)
    with pytest.raises(UsageError, match="cannot read"):
        read_config(tmp_path / "missing.toml")
