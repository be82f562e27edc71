"""Grids: presets, files and sweeps; what is unknown in them is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from motacli.ablation import Grid, make_grid, preset_names, read_grid, read_preset, union, vary_spec
from motacli.errors import UnknownNameError, UsageError
from motacli.plugins import PluginHost


def grid_of(host: PluginHost, tmp_path: Path, text: str) -> Grid:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return make_grid(host, read_grid(path))


def names(grid: Grid) -> list[str]:
    return [variant.name for variant in grid.variants]


@pytest.mark.parametrize("preset", preset_names())
def test_every_option_of_a_preset_exists(preset: str, host: PluginHost) -> None:
    grid = make_grid(host, read_preset(preset))
    assert grid.reference in names(grid) and len(set(names(grid))) == len(grid.variants) > 2


def test_presets_that_people_ask_for_are_there(host: PluginHost) -> None:
    assert preset_names() == ["components", "depth", "domains", "entropy", "experts", "mdm", "noise", "rivals"]
    grids = {name: make_grid(host, read_preset(name)) for name in preset_names()}
    by_name = {variant.name: variant for variant in grids["components"].variants}
    assert by_name["no MDM"].options.mdm == "none" and by_name["one expert"].options.experts == 1
    assert by_name["uniform weights"].training.beta == 0 and by_name["no prompts"].options.tokens == 0
    assert {variant.adapter for variant in grids["rivals"].variants} == {
        *("mota", "residual", "lora", "text-tuning", "full-text")
    }
    noisy = {(variant.triplets.corrupt, variant.training.beta) for variant in grids["noise"].variants}
    assert noisy == {(share, beta) for share in (0, 0.1, 0.25, 0.5) for beta in (0, 1)}
    assert all(variant.triplets.among for variant in grids["domains"].variants)
    for name in ("entropy", "experts", "depth", "noise"):
        assert set(names(grids[name])) - grids[name].swept() <= {"full"}


def test_all_combinations_are_variants_and_the_full_method_is_the_reference(host: PluginHost) -> None:
    grid = make_grid(host, vary_spec(["experts=1,4", "train.beta=0,1"]))
    assert names(grid) == ["full", "experts=1, beta=0", "experts=1, beta=1", "experts=4, beta=0"]
    assert grid.reference == "full" and grid.also == {"full": ("experts=4, beta=1",)}
    (sweep,) = grid.sweeps
    assert sweep.key == "experts"
    assert sweep.lines == {
        "beta=0": [(1, "experts=1, beta=0"), (4, "experts=4, beta=0")],
        "beta=1": [(1, "experts=1, beta=1"), (4, "full")],
    }


def test_words_and_shares_can_be_varied(host: PluginHost) -> None:
    grid = make_grid(host, vary_spec(["mdm=none,static", "corrupt=0.5"]))
    assert names(grid) == ["full", "mdm=none", "mdm=static"] and grid.sweeps == ()
    assert [variant.triplets.corrupt for variant in grid.variants] == [0, 0.5, 0.5]
    lists = make_grid(host, vary_spec(['matrices=["q"],["q", "v"]'], "lora"))
    assert lists.variants[-1].options.matrices == ("q", "v") and lists.variants[0].adapter == "lora"


def test_options_of_all_variants_give_way_to_those_of_one(host: PluginHost, tmp_path: Path) -> None:
    text = "train = { steps = 7, lr = 1e-3 }\n[[variant]]\nname = 'a'\ntrain = { lr = 0.5 }\n[[variant]]\nname = 'b'\n"
    path = tmp_path / "mine.toml"
    path.write_text(text)
    one, two = make_grid(host, read_grid(path), {"steps": 9, "batch-size": 4}).variants
    assert (one.training.steps, one.training.lr, one.training.batch_size) == (9, 0.5, 4)
    assert (two.training.steps, two.training.lr) == (9, 1e-3)


def test_dotted_keys_vary_training_options(host: PluginHost, tmp_path: Path) -> None:
    grid = grid_of(host, tmp_path, "[vary]\ntrain.beta = [0, 2]\n")
    assert [variant.training.beta for variant in grid.variants] == [1, 0, 2]


def test_the_same_settings_are_one_variant_of_a_union(host: PluginHost) -> None:
    parts, entropy = (make_grid(host, read_preset(name)) for name in ("components", "entropy"))
    both = union([parts, entropy])
    assert both.name == "components+entropy" and both.reference == "full"
    assert len(both.variants) == 5 + 5
    assert "beta=0" not in names(both) and "beta=0" in both.also["uniform weights"]
    (sweep,) = both.sweeps
    assert (0.0, "uniform weights") in sweep.lines[""] and (1.0, "full") in sweep.lines[""]


def test_names_that_clash_are_told_apart(host: PluginHost, tmp_path: Path) -> None:
    inner = grid_of(host, tmp_path, "[[vary]]\nmdm=['none']\nexperts=[1,2]\n[[vary]]\nmdm=['static']\nexperts=[1,2]\n")
    assert names(inner)[1:] == ["experts=1", "experts=2", "mdm=static, experts=1", "mdm=static, experts=2"]
    other = grid_of(host, tmp_path, "[[variant]]\nname='full'\noptions={experts=2}\n")
    assert names(union([make_grid(host, read_preset("components")), other]))[-1] == "mine: full"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[variant]]\nname='a'\nopitons={}\n",
            r"mine\.toml, \[\[variant\]\] 'a': unknown option 'opitons'.*'options'",
        ),
        ("[[variant]]\nname='a'\noptions={expert=1}\n", r"mine\.toml, \[\[variant\]\] 'a'.*'expert'.*'experts'"),
        ("[[variant]]\nname='a'\ntrain={betta=1}\n", r"mine\.toml, \[\[variant\]\] 'a'.*'betta'.*'beta'"),
        ("[[variant]]\nname='a'\ntrain={steps='9'}\n", r"'a'.*steps must be an integer"),
        ("[[variant]]\nname='a'\nadapter='lorra'\n", r"'a': unknown adapter 'lorra'.*'lora'"),
        ("[[variant]]\nname='a'\ndomains=['b']\n[domain.bb]\n", r"'a': unknown domain 'b'.*'bb'"),
        ("[[variant]]\nname='a'\ncorrupt=2\n", r"'a': corrupt = 2 is not between"),
        ("[[variant]]\nname='a'\ntrain={seed=2}\n", r"'a': the seed is no option"),
        ("[[variant]]\nname='base'\n", r"'base': this name is taken"),
        ("[[variant]]\nname='a'\n[[variant]]\nname='a'\n", r"'a': this name is taken"),
        ("refrence='a'\n[[variant]]\nname='a'\n", r"mine\.toml: unknown option 'refrence'.*'reference'"),
        ("reference='aa'\n[[variant]]\nname='aaa'\n", r"reference: unknown variant 'aa'.*'aaa'"),
        ("[domain.a]\ntipes=[]\n[[variant]]\nname='a'\n", r"\[domain\.a\]: unknown option 'tipes'.*'types'"),
        ("[[vary]]\nexpert=[1]\n", r"mine\.toml, \[\[vary\]\] expert=1.*'expert'.*'experts'"),
        ("[[vary]]\nexperts=1\n", r"\[\[vary\]\]: experts must be a list"),
        ("title='t'\n", "describes no variants"),
        ("[[variant]\n", "not valid TOML"),
    ],
)
def test_what_is_unknown_in_a_file_is_named(text: str, said: str, host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"(?s){said}"):
        grid_of(host, tmp_path, text)


def test_unknown_presets_and_sweeps_are_refused(host: PluginHost) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'components'"):
        read_preset("component")
    with pytest.raises(UsageError, match=r"--vary, expert=1.*did you mean 'experts'"):
        make_grid(host, vary_spec(["expert=1"]))
    for texts in (["experts"], ["experts="], ["experts=1", "experts=2"]):
        with pytest.raises(UsageError, match="--vary"):
            vary_spec(texts)
