"""Where query vectors come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.contracts import Prompt
from motacli.inversions.pic2word import Pic2Word
from motacli.query_sources import Composed, ImageOnly, LateFusion, QueryInputs, QuerySource, Sum, TextOnly

TEXTS = ("is red", "has two dots and a very long tail", "is red")


@pytest.fixture
def inputs(tiny_backbone: Any) -> QueryInputs:
    features = torch.randn(3, 128, generator=torch.Generator().manual_seed(1)) * torch.tensor([[1.0], [5.0], [20.0]])
    prompts = [(Prompt("a photo of ", f" that {text}"),) for text in TEXTS]
    return QueryInputs(tiny_backbone, features, prompts, TEXTS)


@pytest.fixture(scope="module")
def inversion() -> Pic2Word:
    torch.manual_seed(0)
    return Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)


def every_source(inversion: Pic2Word) -> list[QuerySource]:
    plain: list[QuerySource] = [ImageOnly(), TextOnly(), Sum(), Composed(inversion)]
    return [*plain, *(LateFusion(source) for source in plain)]


def test_all_give_unit_vectors_and_differ(inputs: QueryInputs, inversion: Pic2Word) -> None:
    found = [source.vectors(inputs) for source in every_source(inversion)]
    for vectors in found:
        assert vectors.shape == (3, 128) and vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    apart = [(one @ other.T).diagonal().max() for i, one in enumerate(found[:4]) for other in found[:i]]
    assert max(apart) < 0.999


def test_image_and_text_alone(inputs: QueryInputs, tiny_backbone: Any) -> None:
    image, text = ImageOnly().vectors(inputs), TextOnly().vectors(inputs)
    assert torch.allclose(image, F.normalize(inputs.references, dim=1))
    assert torch.equal(text[0], text[2]) and not torch.allclose(text[0], text[1], atol=0.01)
    assert torch.allclose(text, F.normalize(tiny_backbone.encode_text(TEXTS), dim=1), atol=1e-5)


def test_the_sum_weighs_both_halves_alike_whatever_their_lengths(inputs: QueryInputs) -> None:
    image, text, both = (source.vectors(inputs) for source in (ImageOnly(), TextOnly(), Sum()))
    assert torch.allclose((both * image).sum(1), (both * text).sum(1), atol=1e-5)


def test_composition_reads_picture_and_prompt(inputs: QueryInputs, inversion: Pic2Word, tiny_backbone: Any) -> None:
    vectors = Composed(inversion).vectors(inputs)
    assert not torch.allclose(vectors[0], vectors[2], atol=1e-3)  # the same text, another picture
    longer = [(Prompt("a photo of ", " that is green"),)] * 3
    other = Composed(inversion).vectors(QueryInputs(tiny_backbone, inputs.references, longer, TEXTS))
    assert not torch.allclose(vectors, other, atol=1e-3)


def test_two_prompts_of_a_query_are_averaged_as_unit_vectors(
    inputs: QueryInputs, inversion: Pic2Word, tiny_backbone: Any
) -> None:
    def composed(*groups: tuple[Prompt, ...]) -> Tensor:
        return Composed(inversion).vectors(QueryInputs(tiny_backbone, inputs.references[:1], groups, TEXTS[:1]))

    one, two = Prompt("a photo of ", " that is red"), Prompt("a photo of ", " that has many dots")
    mean = F.normalize(composed((one,)) + composed((two,)), dim=1)
    assert torch.allclose(composed((one, two)), mean, atol=1e-5)


def test_an_adapter_takes_over_the_composition(inputs: QueryInputs, inversion: Pic2Word) -> None:
    class Fixed:
        name = "fixed"

        def compose(self, backbone: Any, inversion: Any, features: Tensor, prompts: Any) -> Tensor:
            return 7 * features

    source = Composed(inversion, Fixed())
    assert source.name == "pic2word + fixed"
    assert torch.allclose(source.vectors(inputs), ImageOnly().vectors(inputs), atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_late_fusion_adds_the_reference(weight: float, inputs: QueryInputs) -> None:
    fused = LateFusion(TextOnly(), weight).vectors(inputs)
    image, text = ImageOnly().vectors(inputs), TextOnly().vectors(inputs)
    assert torch.allclose(fused, F.normalize(text + weight * image, dim=1), atol=1e-6)


def test_the_captions_are_encoded_once(
    inputs: QueryInputs, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    encode = tiny_backbone.encode_text
    monkeypatch.setattr(tiny_backbone, "encode_text", lambda texts: calls.append(len(texts)) or encode(texts))
    for source in (TextOnly(), Sum(), LateFusion(TextOnly())):
        source.vectors(inputs)
    assert calls == [2]  # two different texts, in one batch
    assert np.isfinite(inputs.text_features.numpy()).all()


def test_names(inversion: Pic2Word) -> None:
    names = [source.name for source in every_source(inversion)]
    assert names[:4] == ["image only", "text only", "image + text", "pic2word"]
    assert names[4:] == [f"{name} + 0.5 image" for name in names[:4]]
