"""Checks of deep prompts: which positions of which layers they take.

A text that ends within the positions 1..M which the prompts overwrite makes that visible from outside: behind a causal
mask nothing of its own words is left there but what the start token knows, and that is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from motacli.compose import start_of
from motacli.testing.backbone_subject import BackboneSubject
from motacli.testing.checks import Checks, LeftOut
from motacli.testing.tensors import difference, gradient

checks = Checks[BackboneSubject]()
LENGTH, PROMPTS = 6, 2
"""Positions of a text, and how many of them prompts overwrite."""
LINE = "Backbone.encode_embeddings"


@checks.add(LINE, "deep prompts (B, J - 1, M, w) go into the layers 2..J, and gradients reach them", after="gradients")
def deep_prompts(subject: BackboneSubject) -> Iterator[str]:
    """Each layer's prompts move the feature."""
    deep = _prompts(subject, subject.backbone.text_layers - 1).requires_grad_()
    reached = _gradient(subject, deep, LENGTH - 1)
    for layer, size in enumerate(reached, start=2):
        if not size > 0:
            yield f"the deep prompts of layer {layer} change nothing"


@checks.add(LINE, "deep prompts overwrite the positions 1..M", after="deep_prompts causal")
def deep_prompts_overwrite(subject: BackboneSubject) -> Iterator[str]:
    """Texts that differ at 1..M alone, and end there, become the same."""
    _only_behind_a_causal_mask(subject)
    taken = _taken(subject)
    if words := _change(subject, taken, taken[-1]):
        yield f"what stands at the positions {taken[0]}..{taken[-1]} still reaches the end token there ({words})"


@checks.add(LINE, "deep prompts leave all positions but 1..M as they are", after="deep_prompts causal")
def deep_prompts_elsewhere(subject: BackboneSubject) -> Iterator[str]:
    """Texts that differ before or behind the prompts stay different."""
    _only_behind_a_causal_mask(subject)
    taken = _taken(subject)
    for place in (*range(taken.start), taken.stop):
        if not _change(subject, [place], taken.stop):
            yield f"what stands at position {place} is lost beside {PROMPTS} deep prompts"


@checks.add(LINE, "the prompts of layers 2..J are in that order", after="deep_prompts_overwrite")
def deep_prompts_order(subject: BackboneSubject) -> Iterator[str]:
    """Within 1..M the last layer's prompts are all that is left."""
    layers = subject.backbone.text_layers - 1
    if layers < 2:
        raise LeftOut("with two text layers there is no order")
    *earlier, last = _gradient(subject, _prompts(subject, layers).requires_grad_(), _taken(subject)[-1])
    if not last > 1e3 * max(earlier):
        yield "the last of the prompts are not those of the last layer"


def inner_words_reach_the_end(subject: BackboneSubject) -> bool:
    """Whether words that were overwritten reach the end token all the same: a token before them has seen them."""
    if subject.backbone.text_layers < 2:
        return True  # it cannot be told
    taken = _taken(subject)
    return bool(_change(subject, taken, taken[-1]))


def _taken(subject: BackboneSubject) -> range:
    """The positions that prompts overwrite: those behind the start token, if there is one."""
    first = len(start_of(subject.backbone))
    return range(first, first + PROMPTS)


def _only_behind_a_causal_mask(subject: BackboneSubject) -> None:
    if not subject.backbone.causal:
        raise LeftOut("without a causal mask positions cannot be told apart from outside")


def _prompts(subject: BackboneSubject, layers: int) -> Tensor:
    if layers < 1:
        raise LeftOut("there is one text layer, and deep prompts begin in the second")
    made = subject.random_embeddings(2, layers * PROMPTS)
    return made.unflatten(1, (layers, PROMPTS)).contiguous()


def _gradient(subject: BackboneSubject, deep: Tensor, end: int) -> list[float]:
    """How much the features of texts that end there move with each layer's prompts."""
    features = subject.encode(subject.random_embeddings(2, LENGTH).requires_grad_(), end, deep)
    found = gradient(features, deep)
    return [0.0] * deep.shape[1] if found is None else found.abs().amax(dim=(0, 2, 3)).tolist()


def _change(subject: BackboneSubject, places: range | list[int], end: int) -> str:
    """How the features of texts with prompts in layer 2, which end there, change with the words at some places."""
    one, words = subject.random_embeddings(2, LENGTH), subject.random_embeddings(2, LENGTH)
    other = one.clone()
    other[:, list(places)] = words[:, list(places)]
    deep = _prompts(subject, 1)
    return difference(subject.encode(other, end, deep), subject.encode(one, end, deep), subject.tolerance)
