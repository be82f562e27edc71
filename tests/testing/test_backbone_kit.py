"""Each check of `check_backbone` finds a backbone that breaks just its line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from wrong import Wrong, assert_that_line, breaches, instead, once_each, without

from motacli.testing import check_backbone
from motacli.testing.backbone import CHECKS
from motacli.tiny.clip import load_tiny


def embeddings_with(change: Any) -> Any:
    """A backbone whose `encode_embeddings` is ``change(right, embeddings, ends, deep_prompts)``."""

    def encode_embeddings(self: Any, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        made: Tensor = change(self._right, embeddings, ends, deep_prompts)
        return made

    return instead(encode_embeddings=encode_embeddings)


def deep_with(change: Any) -> Any:
    """A backbone that takes other deep prompts than those which it is given."""
    return embeddings_with(
        lambda right, x, ends, deep: right.encode_embeddings(x, ends, None if deep is None else change(deep))
    )


def weights_with(change: Any) -> Any:
    """A backbone whose `with_text_weights` is ``change(right, weights)``."""
    return instead(with_text_weights=lambda self, weights: change(self._right, weights))


def twice(method: str, change: Any) -> Any:
    """A backbone whose method gives something else each time."""

    def call(self: Any, *arguments: Any) -> Any:
        self.calls = self.__dict__.get("calls", 0) + 1
        return change(getattr(self._right, method)(*arguments), self.calls)

    return instead(**{method: call})


def batch_norm(features: Tensor) -> Tensor:
    return features - features.mean(0) / 2


def padded(right: Any, x: Tensor, ends: Tensor, deep: Any) -> Tensor:
    """What stands behind the shorter rows' ends leaks."""
    behind = x.shape[1] - 1 - ends
    features: Tensor = right.encode_embeddings(x, ends, deep)
    return features + behind[:, None] * (ends.max() > ends.min())


def uncausal(right: Any, x: Tensor, ends: Tensor, deep: Any) -> Tensor:
    """What is no padding and stands behind the end leaks."""
    features: Tensor = right.encode_embeddings(x, ends, deep)
    padding = right.embed_tokens(torch.zeros(1, 1, dtype=torch.long))
    last = torch.where((x[:, -1:] == padding).all(2), 0, x[:, -1:].sum(2)) * (ends[:, None] < x.shape[1] - 1)
    return features if deep is not None else features + last


def unfrozen(right: Any, x: Tensor, ends: Tensor, deep: Any) -> Tensor:
    features: Tensor = right.encode_embeddings(x, ends, deep)
    return features * torch.ones(1, requires_grad=True)


def first_only(right: Any, x: Tensor, ends: Tensor, deep: Any) -> Tensor:
    """Gradients reach no second position."""
    parts = [x[:, :1], x[:, 1:2].detach(), x[:, 2:]]
    features: Tensor = right.encode_embeddings(torch.cat(parts, 1), ends, deep)
    return features


def added(right: Any, x: Tensor, ends: Tensor, deep: Any) -> Tensor:
    """Something is left of what the prompts overwrite."""
    features: Tensor = right.encode_embeddings(x, ends, deep)
    return features if deep is None else features + x[:, 1:3].sum((1, 2))[:, None]


def scaled_pictures(right: Any, weights: Any) -> Any:
    made = right.with_text_weights(weights)
    return instead(encode_image=lambda self, pixels: 2 * self._right.encode_image(pixels))(made)


def writing(change: Any) -> Any:
    """A backbone whose `with_text_weights` changes what both share."""

    def with_text_weights(right: Any, weights: Any) -> Any:
        made = right.with_text_weights(weights)
        change(right.text_weights()["positional_embedding"])
        return made

    return weights_with(with_text_weights)


WRONG = (
    Wrong("members", without("tokenize"), "there is no tokenize"),
    Wrong("attributes", instead(joint_dim="128"), "joint_dim is '128'"),
    Wrong("attributes", instead(name=""), "name is ''"),
    Wrong("attributes", instead(causal=1), "causal is 1"),
    Wrong("attributes", instead(device="cpu"), "device is 'cpu'"),
    Wrong("logit_scale", instead(logit_scale=-4.6), "it is -4.6"),
    Wrong("parameter_count", instead(parameter_count=lambda self: 0), "it gives 0"),
    Wrong(
        "preprocess",
        instead(preprocess=lambda self, image: torch.zeros(3, image.height, image.width)),
        "for one picture and",
    ),
    Wrong(
        "preprocess_again",
        twice("preprocess", lambda pixels, calls: pixels + calls),
        "another tensor when it is called again",
    ),
    Wrong("encode_image", instead(encode_image=lambda self, p: self._right.encode_image(p).double()), "torch.float64"),
    Wrong("encode_image", instead(encode_image=lambda self, p: self._right.encode_image(p)[:, 1:]), "gives shape"),
    Wrong(
        "encode_image_length",
        instead(encode_image=lambda self, p: torch.nn.functional.normalize(self._right.encode_image(p))),
        "of length 1",
    ),
    Wrong("encode_image_again", twice("encode_image", lambda f, calls: f + calls), "from call to call"),
    Wrong(
        "encode_image_alone",
        instead(encode_image=lambda self, pixels: batch_norm(self._right.encode_image(pixels))),
        "rows depend on the batch they are in (largest difference ",
    ),
    Wrong("tokenize", instead(tokenize=lambda self, text: [self.start_token, 5]), "markers among the ids"),
    Wrong("tokenize", instead(tokenize=lambda self, text: torch.tensor([5])), "gives tensor"),
    Wrong("tokenize_whole", instead(tokenize=lambda self, t: self._right.tokenize(t)[:62]), "has 62 tokens"),
    Wrong("encode_text", instead(encode_text=lambda self, texts: self._right.encode_text(texts)[0]), "gives shape"),
    Wrong(
        "encode_text_length",
        instead(encode_text=lambda self, texts: torch.nn.functional.normalize(self._right.encode_text(texts))),
        "of length 1",
    ),
    Wrong(
        "encode_text_alone",
        instead(encode_text=lambda self, texts: batch_norm(self._right.encode_text(texts))),
        "rows depend on the batch they are in",
    ),
    Wrong("encode_text_again", twice("encode_text", lambda f, calls: f + calls), "from call to call"),
    Wrong("embed_tokens", instead(embed_tokens=lambda self, ids: self._right.embed_tokens(ids)[0]), "gives shape"),
    Wrong("encode_embeddings", embeddings_with(lambda right, x, ends, deep: x), "gives shape"),
    Wrong(
        "embeddings_are_text",
        embeddings_with(lambda right, *all: 1.1 * right.encode_embeddings(*all)),
        "differ from those of encode_text",
    ),
    Wrong("padding", embeddings_with(padded), "rows depend on the batch they are in"),
    Wrong("causal", embeddings_with(uncausal), "what follows the end token changes the feature"),
    Wrong("causal", instead(causal=False), "no token sees what follows it"),
    Wrong("gradients", embeddings_with(first_only), "at positions [1]"),
    Wrong("frozen", embeddings_with(unfrozen), "gradients of encode_embeddings end in 1"),
    Wrong("deep_prompts", deep_with(lambda deep: deep[:, :1]), "the deep prompts of layer 3 change nothing"),
    Wrong("deep_prompts", deep_with(lambda deep: None), "the deep prompts of layer 2 change nothing"),
    Wrong("deep_prompts_overwrite", deep_with(lambda deep: deep[:, :, 1:]), "still reaches the end token"),
    Wrong("deep_prompts_overwrite", embeddings_with(added), "still reaches the end token"),
    Wrong(
        "deep_prompts_elsewhere",
        deep_with(lambda deep: torch.cat([deep, deep[:, :, :1]], 2)),
        "position 3 is lost beside 2 deep prompts",
    ),
    Wrong("deep_prompts_order", deep_with(lambda deep: deep.flip(1)), "not those of the last layer"),
    Wrong("tunable_text", without("text_weights"), "there is with_text_weights alone"),
    Wrong(
        "text_weights",
        instead(text_weights=lambda self: {f"text.{n}": w for n, w in self._right.text_weights().items()}),
        "open_clip has no 'text.",
    ),
    Wrong("with_text_weights", weights_with(lambda right, weights: right), "with other weights texts have the same"),
    Wrong("with_text_weights_apart", writing(lambda weight: weight.mul_(1.1)), "own features of texts changed"),
    Wrong("with_text_weights_apart", writing(lambda weight: weight.add_(0.01)), "own positional_embedding changed"),
    Wrong("with_text_weights_apart", weights_with(scaled_pictures), "other features of pictures"),
    Wrong(
        "with_text_weights_learn",
        weights_with(lambda right, weights: right.with_text_weights({n: w.detach() for n, w in weights.items()})),
        "no gradient reaches transformer",
    ),
    Wrong(
        "with_text_weights_fingerprint",
        weights_with(
            lambda right, w: instead(fingerprint=lambda self: right.fingerprint())(right.with_text_weights(w))
        ),
        "the fingerprint is the same",
    ),
    Wrong("fingerprint", twice("fingerprint", lambda digest, calls: f"{digest}{calls}"), "then"),
    Wrong("fingerprint_parts", instead(fingerprint_parts=lambda self: {"weights": 3}), "{'weights': 3}"),
)


@pytest.fixture
def right() -> Any:
    """A backbone of the test's own, for some break it."""
    return load_tiny()


@pytest.mark.parametrize("wrong", once_each(WRONG), ids=str)
def test_a_wrong_backbone_is_found_out(wrong: Wrong, right: Any) -> None:
    error = breaches(lambda: check_backbone(wrong.make(right)))
    assert_that_line(error, wrong, CHECKS.all[wrong.check].line)


def test_every_check_can_fail() -> None:
    elsewhere = {"encode_text_long", "embed_tokens_anywhere", "loaded_again"}
    assert {wrong.check for wrong in WRONG} | elsewhere == set(CHECKS.all)


def test_long_texts_and_places_of_tokens(right: Any) -> None:
    def refuse(self: Any, texts: Any) -> Tensor:
        if any(len(text) > 1000 for text in texts):
            raise ValueError("too long")
        found: Tensor = self._right.encode_text(texts)
        return found

    error = breaches(lambda: check_backbone(instead(encode_text=refuse)(right)))
    assert_that_line(error, Wrong("encode_text_long", refuse, "raises ValueError: too long"), "Backbone.encode_text")

    def placed(self: Any, ids: Tensor) -> Tensor:
        return self._right.embed_tokens(ids) + torch.arange(ids.shape[1])[:, None]

    found = {
        breach.check: str(breach)
        for breach in breaches(lambda: check_backbone(instead(embed_tokens=placed)(right))).breaches
    }
    assert "embedding depends on its position" in found["embed_tokens_anywhere"]


@pytest.mark.parametrize(
    ("lies", "said"), [(False, "loaded again on cpu it is "), (True, "features of texts differ (largest difference ")]
)
def test_a_backbone_that_is_another_when_it_is_loaded_again(lies: bool, said: str, right: Any) -> None:
    def load(device: str) -> Any:
        other = load_tiny(device=device)
        with torch.no_grad():
            other.tower.text_projection.mul_(1.5)
        return instead(fingerprint=lambda self: right.fingerprint())(other) if lies else other

    error = breaches(lambda: check_backbone(right, load=load))
    assert_that_line(error, Wrong("loaded_again", load, said), "Backbone.fingerprint")


def test_several_breaches_are_all_listed(right: Any) -> None:
    wrong = instead(logit_scale=0.0, parameter_count=lambda self: -1, fingerprint=lambda self: "")(right)
    error = breaches(lambda: check_backbone(wrong))
    assert [breach.check for breach in error.breaches] == ["logit_scale", "parameter_count", "fingerprint"]
    assert str(error).count("\n  - ") == 3 and "backbone 'tiny' breaks its contract, 3 found" in str(error)


def test_random_numbers_of_the_caller_go_on(right: Any) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    assert check_backbone(right).left_out == {"loaded_again": "no load= was given"}
    assert torch.equal(torch.rand(3), expected)
