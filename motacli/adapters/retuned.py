"""Adapters that are other weights for the text tower: the base model's composition, run on a twin of the backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from motacli.adapters.unmixed import Unmixed
from motacli.compose import TokenPrompt, compose_base
from motacli.contracts import Backbone, Inversion, TunableText
from motacli.errors import UsageError


def text_weights(backbone: Backbone) -> Mapping[str, Tensor]:
    """The text tower's frozen weights by name; `UsageError` where the backbone does not give them away."""
    return _tunable(backbone).text_weights()


def first_layer(backbone: Backbone, last: int | None) -> int:
    """The number of the first of the ``last`` so many text layers; `UsageError` where there are not that many."""
    if last is None:
        return 0
    if not 0 <= last <= backbone.text_layers:
        raise UsageError(f"the last {last} layers are outside 0..{backbone.text_layers}", "change layers")
    return backbone.text_layers - last


class Retuned(Unmixed):
    """An adapter whose composed query is the base model's with some of the text tower's weights changed.

    Only the query's side changes: target captions and pictures are encoded by the frozen backbone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: tuple[list[object], Backbone] | None = None

    def changed(self, frozen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights that differ from the ``frozen`` ones, by name."""
        raise NotImplementedError

    def compose(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> Tensor:
        """Composed features ``(B, d)``, not normalised."""
        return compose_base(self.retuned(backbone), inversion, features, prompts)

    def retuned(self, backbone: Backbone) -> Backbone:
        """The backbone with the changed text weights; ``backbone`` itself stays as it is.

        With gradients it is made once for all that goes backward together: otherwise each chunk of a training step
        would keep text weights of its own.
        """
        tunable = _tunable(backbone)
        if not torch.is_grad_enabled():
            return tunable.with_text_weights(self.changed(tunable.text_weights()))
        state: list[object] = [backbone, self.training, *(p._version for p in self.parameters())]
        if self._kept is None or self._kept[0] != state:
            weights = self.changed(tunable.text_weights())
            for weight in weights.values():
                if weight.requires_grad:
                    weight.register_hook(self._forget)
            self._kept = state, tunable.with_text_weights(weights)
        return self._kept[1]

    def _forget(self, _gradient: Tensor) -> None:
        self._kept = None


def _tunable(backbone: Backbone) -> TunableText:
    if not isinstance(backbone, TunableText):
        raise UsageError(
            f"backbone {backbone.name!r} does not let its text weights be changed",
            "choose adapter mota or residual, or give its plugin text_weights and with_text_weights",
        )
    return backbone
