"""What open_clip offers, told apart from its configurations alone."""

from __future__ import annotations

import json
from typing import Any

import open_clip
import pytest

from motacli.backbones import load_open_clip
from motacli.cli import main
from motacli.errors import UsageError
from motacli.plugins import PluginHost
from motacli.pretrained import Pretrained, activation_problem, list_pretrained, text_problem


@pytest.fixture(scope="module")
def pairs() -> dict[tuple[str, str], Pretrained]:
    return {(pair.model, pair.pretrained): pair for pair in list_pretrained()}


def test_every_pair_of_open_clip_is_there(pairs: dict[tuple[str, str], Pretrained]) -> None:
    assert list(pairs) == [tuple(pair) for pair in open_clip.list_pretrained()]
    assert all(pair.usable == (not pair.note) for pair in pairs.values())


@pytest.mark.parametrize(
    ("model", "pretrained", "dims", "note"),
    [
        ("ViT-L-14", "laion2b_s32b_b82k", (768, 768), ""),
        ("ViT-B-32-quickgelu", "openai", (512, 512), ""),
        ("ViT-B-32", "openai", (512, 512), "QuickGELU weights: use ViT-B-32-quickgelu"),
        ("ViT-L-14", "dfn2b", (768, 768), "QuickGELU weights: use ViT-L-14-quickgelu"),
        ("RN50x4-quickgelu", "openai", (640, 640), ""),
        ("RN50-quickgelu", "openai", (1024, 512), ""),
        ("EVA02-L-14", "merged2b_s4b_b131k", (768, 768), ""),
        ("MobileCLIP-B", "datacompdr", (512, 512), ""),
        ("MobileCLIP-S1", "datacompdr", (512, 512), "its text tower has no causal mask"),
        ("coca_ViT-B-32", "laion2b_s13b_b90k", (512, 512), "its text is read at a class token"),
        ("ViT-B-16-SigLIP", "webli", (768, 768), "its text tower has no causal mask"),
        ("roberta-ViT-B-32", "laion2b_s12b_b32k", (512, None), "its text tower is roberta-base of the transformers"),
        ("ViT-H-14-worldwide", "metaclip2_worldwide", (1024, 1024), "its tokenizer is facebook/xlm-v-base of the"),
    ],
)
def test_known_pairs(
    model: str,
    pretrained: str,
    dims: tuple[int, int | None],
    note: str,
    pairs: dict[tuple[str, str], Pretrained],
) -> None:
    pair = pairs[model, pretrained]
    assert (pair.joint_dim, pair.text_width) == dims
    assert pair.note.startswith(note) and pair.usable == (not note)


def test_advice_about_quickgelu_leads_to_a_usable_pair(pairs: dict[tuple[str, str], Pretrained]) -> None:
    advised = [(pair.note.split()[-1], pair.pretrained) for pair in pairs.values() if "QuickGELU" in pair.note]
    assert len(advised) > 20 and all(pairs[pair].usable for pair in advised)
    assert activation_problem("ViT-B-32", "laion2b_s34b_b79k") is None


def test_other_poolings_are_told() -> None:
    text = {"pool_type": "last"}
    assert text_problem({"text_cfg": text}) == "its text is read at 'last', not at the end token"
    assert text_problem({"text_cfg": {}}) == ""


@pytest.mark.parametrize("model", ["ViT-B-16-SigLIP", "coca_ViT-L-14", "roberta-ViT-B-32", "ViT-L-14-worldwide"])
def test_unusable_models_are_refused_before_anything_is_fetched(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip, "create_model_and_transforms", lambda *_, **__: pytest.fail("built a model"))
    with pytest.raises(UsageError, match=f"model '{model}' takes no pseudo-words: .*see|`mota ls pretrained`"):
        load_open_clip(model, "webli")


# ---------------------------------------------------------------------------------------------- mota ls pretrained


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(["ls", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_lists_what_matches(capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    code, out, _ = run(["pretrained", "--model", "vit-b-32*", "--json"], capsys, host)
    rows: list[dict[str, Any]] = json.loads(out)
    assert code == 0 and {row["model"] for row in rows} == {
        "ViT-B-32",
        "ViT-B-32-256",
        "ViT-B-32-SigLIP2-256",
        "ViT-B-32-quickgelu",
    }
    assert rows[0] == {
        "model": "ViT-B-32",
        "pretrained": "openai",
        "joint_dim": 512,
        "text_width": 512,
        "usable": False,
        "note": "QuickGELU weights: use ViT-B-32-quickgelu",
    }
    code, out, _ = run(["pretrained", "--model", "ViT-L-14"], capsys, host)
    head, *lines = out.splitlines()
    assert code == 0 and head.split() == ["model", "pretrained", "joint_dim", "text_width", "usable", "note"]
    assert {line.split()[0] for line in lines} == {"ViT-L-14"} and len(lines) > 5


def test_a_pattern_that_matches_nothing_or_narrows_nothing(
    capsys: pytest.CaptureFixture[str], host: PluginHost
) -> None:
    code, out, err = run(["pretrained", "--model", "VTI-*"], capsys, host)
    assert (code, out) == (2, "") and "no pretrained model is called like 'VTI-*'" in err and len(err) < 200
    code, out, err = run(["--model", "ViT*"], capsys, host)
    assert (code, out) == (2, "") and "mota ls pretrained" in err


def test_pretrained_models_are_listed_only_when_asked_for(capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    code, out, _ = run(["--json"], capsys, host)
    assert code == 0 and {row["kind"] for row in json.loads(out)} >= {"backbones", "inversions"}
    code, _, err = run(["pretraind"], capsys, host)
    assert code == 2 and "did you mean 'pretrained'" in err
