"""A dual encoder of transformers as `motacli.contracts.Backbone` and `motacli.contracts.TunableText`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from mota_transformers.pictures import describe, model_inputs, prepared
from mota_transformers.text import CAUSAL, TextTower
from mota_transformers.tokens import Tokens
from mota_transformers.weights import from_open_clip, to_open_clip
from motacli.preprocessing import PREPROCESSINGS
from motacli.text_tower import pad_tokens
from motacli.twins import twin


class TransformersBackbone:
    """A frozen CLIP, MetaCLIP, SigLIP or SigLIP 2 of transformers, in eval mode.

    Gradients flow through the text tower to what is spliced in. ``processor`` is the model's image processor.
    """

    def __init__(
        self, model: Any, tokens: Tokens, processor: Any, *, name: str, device: str, preprocessing: str
    ) -> None:
        self.name = name
        self.model: Any = model.to(device).eval().requires_grad_(False)
        self.tokens = tokens
        self.processor = processor
        self.preprocessing = preprocessing
        self._before = PREPROCESSINGS[preprocessing]
        self._strips = self.model.config.model_type == "siglip2"
        self.causal = CAUSAL[self.model.config.text_config.model_type]
        self.text_layers = len(self.tower.tower.encoder.layers)
        self.context_length = self.tower.context_length
        self.text_width = int(self.tower.tokens.shape[1])
        self.joint_dim = int(self.tower.projection.out_features)
        self._fingerprint: str | None = None
        self._text_weights: dict[str, Tensor] | None = None

    @property
    def tower(self) -> TextTower:
        """The text tower, from embeddings to features."""
        text = self.model.text_model
        head = self.model.text_projection if self._clip_head else text.head
        return TextTower(text, head, self.causal, int(self.start_token is not None), self.tokens.padding)

    @property
    def _clip_head(self) -> bool:
        return hasattr(self.model, "text_projection")

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.tower.tokens.device

    @property
    def logit_scale(self) -> float:
        """Inverse temperature of the pre-training; SigLIP's bias is left out, as rankings do not depend on it."""
        return float(self.model.logit_scale.detach().float().exp())

    @property
    def start_token(self) -> int | None:
        """Id of the start marker; None for SigLIP, whose texts have none."""
        return self.tokens.start

    @property
    def end_token(self) -> int:
        """Id of the end marker."""
        return self.tokens.end

    def preprocess(self, image: Image.Image) -> Tensor:
        """A picture to ``(3, H, W)`` by the model's own image processor."""
        return prepared(self.processor, self._before(image))

    @torch.no_grad()
    def encode_image(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to features ``(B, d)``, float32, not normalised."""
        inputs = model_inputs(pixels.to(self.device), self._strips)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        return _at_least_float32(self.model.get_image_features(**inputs).pooler_output)

    def tokenize(self, text: str) -> list[int]:
        """Token ids without markers, not truncated. ``$``, ``*`` and marker strings are ordinary text."""
        return self.tokens.ids(text)

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Ids ``(B, L)`` to embeddings ``(B, L, w)``."""
        embeddings: Tensor = self.tower.tower.embeddings.token_embedding(ids.to(self.device))
        return embeddings

    def encode_embeddings(self, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        """Embeddings ``(B, L, w)`` with end positions ``(B,)`` to features ``(B, d)``, float32, not normalised."""
        tower = self.tower
        return _at_least_float32(tower.features(embeddings.to(tower.tokens.dtype), ends, deep_prompts))

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Plain texts to features ``(B, d)``, float32, not normalised; over-long texts lose their end."""
        start = [] if self.start_token is None else [self.start_token]
        room = self.context_length - len(start) - 1
        batch = pad_tokens([[*start, *self.tokenize(text)[:room], self.end_token] for text in texts], self.device)
        return self.encode_embeddings(self.embed_tokens(batch.ids), batch.ends)

    def text_weights(self) -> dict[str, Tensor]:
        """The text tower's weights by open_clip's names; not to be written to."""
        if self._text_weights is None:
            self._text_weights = to_open_clip(self.model, self.text_layers)
        return self._text_weights

    def with_text_weights(self, weights: Mapping[str, Tensor]) -> TransformersBackbone:
        """A backbone with these text weights in place of its own; it shares all others, and this one stays as it is.

        Raises `ValueError` for a name or shape that is not among `text_weights`.
        """
        own = self.text_weights()
        for name, weight in weights.items():
            if name not in own or own[name].shape != weight.shape:
                raise ValueError(f"{name} {tuple(weight.shape)} is no text weight of {self.name!r}")
        cast = {name: weight.to(own[name].dtype) for name, weight in weights.items()}
        made = copy(self)
        made.model = twin(self.model, from_open_clip(cast, self.text_layers, self._clip_head))
        made._fingerprint = made._text_weights = None
        return made

    def parameter_count(self) -> int:
        """Parameters of both towers."""
        return sum(p.numel() for p in self.model.parameters())

    def fingerprint(self) -> str:
        """SHA-256 (first 16 digits) of `fingerprint_parts`."""
        if self._fingerprint is None:
            self._fingerprint = hashlib.sha256(repr(sorted(self.fingerprint_parts().items())).encode()).hexdigest()[:16]
        return self._fingerprint

    def fingerprint_parts(self) -> dict[str, str]:
        """What features depend on: weights, their number type, architecture, vocabulary and preprocessing."""
        return {
            "weights": _digest(self.model),
            "precision": str(self.model.dtype).removeprefix("torch."),
            "architecture": _architecture(self.model.config),
            "vocabulary": self.tokens.digest(),
            "preprocess": self.preprocessing,
            "transform": describe(self.processor),
        }


def _architecture(config: Any) -> str:
    """What of a configuration changes the numbers without changing the weights' shapes."""
    parts = {"text": config.text_config, "vision": config.vision_config}
    said = {
        part: [getattr(of, key, None) for key in ("model_type", "hidden_act", "layer_norm_eps", "num_attention_heads")]
        for part, of in parts.items()
    }
    return " ".join(f"{part}({', '.join(map(str, values))})" for part, values in said.items())


def _digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _at_least_float32(features: Tensor) -> Tensor:
    """Half precision as float32; double stays double, which gradients are checked in."""
    return features.to(torch.promote_types(features.dtype, torch.float32))
