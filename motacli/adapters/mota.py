"""MoTa-Adapter: MDM before a frozen inversion network, task prompts in a frozen text encoder (arXiv 2410.23736)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motacli.adapters.fusion import Fusion
from motacli.adapters.mdm import MDM
from motacli.adapters.prompts import TaskPrompts
from motacli.compose import TokenPrompt, splice
from motacli.contracts import Backbone, Inversion
from motacli.errors import UsageError


@dataclass(frozen=True)
class MotaOptions:
    """The adapter's shape. Every value is [ours]; the components are the paper's.

    ``mdm``: ``none``, ``static`` or ``conditional``, through a ``bottleneck``. ``experts`` sets of ``tokens`` prompts
    (0: no prompts) for the first ``depth`` text layers, mixed by a softmax of ``temperature``, all of them or the
    ``top_k`` best. ``fusion`` [ours] adds the reference's image feature to the composed query, with ``fusion_weight``:
    ``none``, ``fixed``, ``validated`` or ``learned`` (`motacli.adapters.fusion`).
    """

    mdm: str = "conditional"
    bottleneck: int = 16
    experts: int = 4
    tokens: int = 4
    depth: int = 3
    temperature: float = 1.0
    top_k: int = 0
    fusion: str = "none"
    fusion_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.experts < 1 or self.tokens < 0 or self.bottleneck < 1 or self.top_k < 0:
            raise ValueError("experts and bottleneck are at least 1, tokens and top_k not negative")
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature} is not above 0")


class MotaAdapter(nn.Module):
    """``q = E_T(prompts(e, T_c), "a photo of" e "that" T_c)`` with ``e = phi(MDM(v))``.

    Only MDM, prompts and router learn.
    """

    name = "mota"
    Options = MotaOptions

    def __init__(self, backbone: Backbone, options: MotaOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or MotaOptions()
        if not 1 <= options.depth <= backbone.text_layers:
            raise UsageError(f"prompt depth {options.depth} is outside 1..{backbone.text_layers}", "change --depth")
        self.mdm = MDM(backbone.joint_dim, options.mdm, options.bottleneck)
        self.prompts = TaskPrompts(
            backbone.text_width,
            experts=options.experts,
            tokens=options.tokens,
            depth=options.depth,
            temperature=options.temperature,
            top_k=options.top_k,
        )
        self.fusion = Fusion(options.fusion, options.fusion_weight)

    def calibrate(self, features: Tensor) -> None:
        """Take the measure of the training features ``(N, d)``; see `MDM.calibrate`."""
        self.mdm.calibrate(features)

    def route(self, backbone: Backbone, pseudo_words: Tensor, prompts: Sequence[TokenPrompt]) -> Tensor:
        """How the experts are mixed for each query: pseudo-words ``(B, n, w)`` and prompts to gates ``(B, K)``."""
        longest = max(max((len(p.suffix) for p in prompts), default=0), 1)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        real = torch.zeros(len(prompts), longest)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt.suffix)] = torch.tensor(prompt.suffix, dtype=torch.long)
            real[row, : len(prompt.suffix)] = 1.0
        real = real.to(pseudo_words.device)[..., None]
        embedded = backbone.embed_tokens(ids)
        embedded = embedded.to(torch.promote_types(embedded.dtype, torch.float32))
        caption = (embedded * real).sum(1) / real.sum(1).clamp(min=1)  # (B, w)
        return self.prompts.gates(pseudo_words, caption)

    def forward(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> tuple[Tensor, Tensor]:
        """Image features ``(B, d)`` and ``B`` prompts to composed features ``(B, d)`` and gates ``(B, K)``."""
        pseudo_words = inversion(self.mdm(features))  # (B, n, w)
        gates = self.route(backbone, pseudo_words, prompts)
        mixed = self.prompts(gates)  # (B, J, M, w)
        spliced = splice(backbone, prompts, pseudo_words, mixed[:, 0])
        deep = mixed[:, 1:] if mixed.shape[1] > 1 else None
        composed = backbone.encode_embeddings(spliced.embeddings, spliced.ends, deep)
        return self.fusion(composed, features), gates

    @property
    def task_prompts(self) -> int:
        """Tokens of the text encoder's context that the prompts take up."""
        return self.options.tokens

    def compose(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> Tensor:
        """Composed features ``(B, d)``, not normalised."""
        composed, _ = self(backbone, inversion, features, prompts)
        return composed

    def trainable_parameters(self) -> int:
        """How many numbers the adapter learns."""
        return sum(p.numel() for p in self.parameters())
