"""`mota ls options`: what may be set, with its default."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from motacli.adapters.mota import MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.cli import main
from motacli.components import KINDS
from motacli.config import parse_options
from motacli.option_listing import list_options
from motacli.plugins import PluginHost


def test_every_option_and_its_default(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "options", "mota", "--json"], host=host) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert [row["option"] for row in table["rows"]] == [field.name for field in fields(MotaOptions)]
    assert {row["option"]: row["default"] for row in table["rows"]}["experts"] == str(MotaOptions().experts)
    assert "top_k" in table["text"] and table["of"] == "adapter mota"


def test_training_options_and_where_they_come_from(host: PluginHost) -> None:
    (table,) = list_options(host, "train")
    assert {row.option for row in table.rows} == {field.name for field in fields(TrainOptions)}
    for row in table.rows:
        assert f"``{row.option}``" in table.text or row.option in SELF_EXPLAINING, row.option
    assert "paper" in table.text and "[ours]" in table.text


SELF_EXPLAINING = ("steps", "batch_size", "lr", "wd", "warmup", "seed", "template")


def test_what_is_listed_can_be_given(host: PluginHost) -> None:
    """Of each adapter and each inversion: the defaults, as they are printed, are options."""
    for component in [*host.components("adapters"), *host.components("inversions")]:
        options = getattr(component.load(), "Options", None)
        if options is None:
            continue
        (table,) = [each for each in list_options(host, component.name) if each.of.endswith(f" {component.name}")]
        numbers = {row.option: row.default for row in table.rows if row.type in ("int", "float")}
        given = {name: float(text) if "." in text or "e" in text else int(text) for name, text in numbers.items()}
        assert parse_options(options, given, component.name) == options()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["options"], "as in `mota ls options mota`"),
        (["adapters", "mota"], "as in `mota ls options mota`"),
        (["options", "moto"], "did you mean 'mota'"),
        (["options", "fashioniq"], "names no options"),
        (["option", "mota"], "did you mean 'options'"),
    ],
)
def test_mistakes(words: list[str], said: str, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", *words], host=host) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == "" and "adapters" in KINDS
