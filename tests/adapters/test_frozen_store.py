"""Frozen features on disk: the numbers of a direct computation, once; kills, damage, foreign files, two processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from letters import TEXTS, Counted, Letters
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.adapters.frozen_half import TripletFeatures, with_base
from motacli.adapters.frozen_store import FrozenStore
from motacli.adapters.objective import candidate_entropy
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.encoding import encode_texts
from motacli.errors import MotaError
from motacli.inversions.pic2word import Pic2Word

REPEATED = [*TEXTS, TEXTS[3], "", TEXTS[0]]


class Broken(Letters):
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.full((len(texts), 3), torch.nan)


# ---------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize("batch_size", [3, 256])
def test_texts_are_what_encoding_them_gives_and_are_encoded_once(
    batch_size: int, tiny_backbone: Any, tmp_path: Path
) -> None:
    backbone: Any = Counted(tiny_backbone)
    expected = encode_texts(tiny_backbone, REPEATED, batch_size)
    found = FrozenStore(tmp_path / "store").texts(backbone, REPEATED, batch_size)
    assert found.dtype == torch.float32 and torch.equal(found, torch.from_numpy(expected))
    assert found.norm(dim=1).sub(1).abs().min() > 0.05 and backbone.texts == len(set(REPEATED))
    tokenized = backbone.tokenized
    assert torch.equal(FrozenStore(tmp_path / "store").texts(backbone, REPEATED, batch_size), found)
    more = FrozenStore(tmp_path / "store").texts(backbone, [*TEXTS, "", *TEXTS], 5)  # the same texts, other repeats
    assert torch.equal(more[: len(TEXTS)], found[: len(TEXTS)]) and torch.equal(more[-3:], found[len(TEXTS) - 3 : -3])
    assert (backbone.texts, backbone.tokenized) == (len(set(REPEATED)), tokenized)
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_no_texts_are_no_rows(tmp_path: Path) -> None:
    assert FrozenStore(tmp_path / "store").texts(Letters(), []).shape == (0, 3)  # type: ignore[arg-type]
    assert not (tmp_path / "store").exists()


def test_other_texts_and_other_backbones_have_files_of_their_own(tmp_path: Path, tiny_backbone: Any) -> None:
    store, letters = FrozenStore(tmp_path), Letters()
    of_letters = store.texts(letters, TEXTS)  # type: ignore[arg-type]
    store.texts(letters, TEXTS[::-1])  # type: ignore[arg-type]
    changed = tiny_backbone.with_text_weights({"ln_final.bias": tiny_backbone.text_weights()["ln_final.bias"] + 1})
    one, other = store.texts(tiny_backbone, TEXTS), store.texts(changed, TEXTS)
    assert len(list(tmp_path.glob("texts-*.h5"))) == 4
    assert not torch.allclose(one, other) and torch.equal(store.texts(letters, TEXTS), of_letters)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- base features


@pytest.fixture(scope="module")
def data(tiny_backbone: Any) -> TripletFeatures:
    random = torch.Generator().manual_seed(0)
    prompts = tuple(tokenize_prompt(tiny_backbone, Prompt("a photo of", f"that has {text}")) for text in TEXTS)
    image, target, reference = (3 * torch.randn(len(TEXTS), 128, generator=random) for _ in range(3))
    return TripletFeatures(image, prompts, target, reference)


def phi(seed: int = 0) -> Pic2Word:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)


def test_base_features_are_those_of_the_base_model(data: TripletFeatures, tiny_backbone: Any, tmp_path: Path) -> None:
    expected = with_base(data, tiny_backbone, phi(), 4).base
    backbone: Any = Counted(tiny_backbone, 2)
    store = FrozenStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.base(backbone, phi(), data.image, data.prompts, 4)
    backbone.left = 99
    for _ in range(2):
        found = store.base(backbone, phi(), data.image, data.prompts, 4)
        assert expected is not None and torch.equal(found, expected) and backbone.passes == 3


@pytest.mark.parametrize("change", ["inversion", "image", "prompts"])
def test_base_features_of_anything_else_are_computed_anew(
    change: str, data: TripletFeatures, tiny_backbone: Any, tmp_path: Path
) -> None:
    given = {"inversion": phi(), "image": data.image, "prompts": data.prompts}
    other = {"inversion": phi(1), "image": data.image + 0.1, "prompts": data.prompts[::-1]}
    found = FrozenStore(tmp_path).base(tiny_backbone, **given)  # type: ignore[arg-type]
    changed = FrozenStore(tmp_path).base(tiny_backbone, **{**given, change: other[change]})  # type: ignore[arg-type]
    assert not torch.allclose(found, changed, atol=1e-3) and len(list(tmp_path.iterdir())) == 2


def test_an_inversion_without_weights_is_not_kept(data: TripletFeatures, tiny_backbone: Any, tmp_path: Path) -> None:
    class Constant(nn.Module):
        name = "constant"

        def forward(self, features: Tensor) -> Tensor:
            return torch.ones(len(features), 1, 160)

    found = FrozenStore(tmp_path).base(tiny_backbone, Constant(), data.image, data.prompts, 5)
    assert torch.equal(found, with_base(data, tiny_backbone, Constant(), 5).base) and not list(tmp_path.iterdir())  # type: ignore[arg-type]


def test_entropies_are_kept_by_what_they_are_over(tmp_path: Path) -> None:
    base, bank = (F.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(n)), dim=1) for n in (0, 1))
    store = FrozenStore(tmp_path)
    for _ in range(2):
        assert torch.equal(store.entropies(base, bank, 9.0), candidate_entropy(base, bank, 9.0))
    assert len(list(tmp_path.iterdir())) == 1
    for given in ((bank, base, 9.0), (base, bank[:5], 9.0), (base, bank, 8.0)):
        assert torch.allclose(store.entropies(*given), candidate_entropy(*given))
    assert len(list(tmp_path.iterdir())) == 4


# ---------------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("batches", [0, 1, 3])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
def test_an_interrupted_file_goes_on(batches: int, error: BaseException, tiny_backbone: Any, tmp_path: Path) -> None:
    backbone: Any = Counted(tiny_backbone, batches, error)
    with pytest.raises(type(error)):
        FrozenStore(tmp_path).texts(backbone, TEXTS, 3)
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    backbone.left = 99
    found = FrozenStore(tmp_path).texts(backbone, TEXTS, 3)
    assert torch.equal(found, torch.from_numpy(encode_texts(tiny_backbone, TEXTS, 3))) and backbone.texts == len(TEXTS)
    assert [path.suffix for path in tmp_path.iterdir()] == [".h5"]


# ---------------------------------------------------------------------------------------------- refusals


def test_numbers_that_are_not_finite_are_refused(data: TripletFeatures, tiny_backbone: Any, tmp_path: Path) -> None:
    store, broken = FrozenStore(tmp_path), phi()
    broken.fc_out.bias.fill_(torch.nan)
    with pytest.raises(MotaError, match="not finite"):
        store.texts(Broken(), TEXTS)  # type: ignore[arg-type]
    with pytest.raises(MotaError, match="'pic2word' gives composed features that are not finite"):
        store.base(tiny_backbone, broken, data.image, data.prompts)
    assert not list(tmp_path.glob("*.h5"))
