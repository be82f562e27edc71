"""Open_clip models as `motacli.contracts.Backbone`: frozen towers whose text side starts from token embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from motacli.errors import MotaError, UnknownNameError, UsageError, first_line
from motacli.preprocessing import PREPROCESSINGS, Preparation
from motacli.pretrained import POOLS, activation_problem, text_problem
from motacli.text_tower import TEXT_WEIGHTS, pad_tokens, text_features
from motacli.twins import twin

PRECISIONS = ("fp32", "bf16", "fp16")
_OTHERS = "choose one from `mota ls pretrained`; other text towers need a backbone plugin"


class OpenClipBackbone:
    """An open_clip ``CLIP`` or ``CustomTextCLIP`` with a causal transformer as its text tower.

    All parameters are frozen and in eval mode; gradients still flow through the text tower to what is spliced in.
    ``inversion_weights`` are files of inversion networks for exactly these weights, by the inversion's name; ``recipe``
    names how such networks are best trained (`motacli.inversions.recipes`).
    """

    causal = True

    def __init__(
        self,
        model: nn.Module,
        transform: Callable[[Image.Image], Tensor],
        tokenizer: Any,
        *,
        name: str,
        device: str = "cpu",
        preprocessing: str = "clip",
        inversion_weights: Mapping[str, Path] | None = None,
        recipe: str = "authors",
    ) -> None:
        self.name = name
        self.recipe = recipe
        self.inversion_weights = dict(inversion_weights or {})
        self.model: Any = model.to(device).eval().requires_grad_(False)
        self.tower: Any = _text_tower(self.model, name)
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.preparation = Preparation(PREPROCESSINGS[preprocessing], transform)
        self.text_width = int(self.tower.token_embedding.weight.shape[1])
        self.text_layers = len(self.tower.transformer.resblocks)
        self.context_length = int(self.tower.positional_embedding.shape[0])
        with torch.no_grad():
            self.joint_dim = int(self.encode_tokens([[self.start_token, self.end_token]]).shape[1])
        self._fingerprint: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.tower.token_embedding.weight.device

    @property
    def logit_scale(self) -> float:
        """Inverse temperature of the contrastive pre-training."""
        return float(self.model.logit_scale.detach().exp())

    @property
    def start_token(self) -> int:
        """Id of the start marker."""
        return int(self.tokenizer.sot_token_id)

    @property
    def end_token(self) -> int:
        """Id of the end marker, where the text feature is read."""
        return int(self.tokenizer.eot_token_id)

    def preprocess(self, image: Image.Image) -> Tensor:
        """A picture to a normalised float tensor ``(3, H, W)``; the numbers come from the weights' configuration."""
        return self.preparation(image)

    @torch.no_grad()
    def encode_image(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to projected features ``(B, d)``, float32, not normalised."""
        features: Tensor = self.model.encode_image(pixels.to(self.device, _matrix_dtype(self.model.visual)))
        return _at_least_float32(features)

    def tokenize(self, text: str) -> list[int]:
        """Token ids without markers, not truncated. ``$``, ``*`` and marker strings are ordinary text."""
        return list(self.tokenizer.encode(text))

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Ids ``(B, L)`` to embeddings ``(B, L, w)``."""
        embeddings: Tensor = self.tower.token_embedding(ids.to(self.device))
        return embeddings

    def encode_embeddings(self, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        """Embeddings ``(B, L, w)`` with end positions ``(B,)`` to features ``(B, d)``, float32, not normalised."""
        dtype = _matrix_dtype(self.tower.transformer)
        return _at_least_float32(text_features(self.tower, embeddings.to(dtype), ends, deep_prompts))

    def encode_tokens(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Rows of complete ids, markers included, to features ``(B, d)``."""
        batch = pad_tokens(rows, self.device)
        return self.encode_embeddings(self.embed_tokens(batch.ids), batch.ends)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Plain texts to features ``(B, d)``; over-long texts lose their end, as in open_clip."""
        room = self.context_length - 2
        return self.encode_tokens([[self.start_token, *self.tokenize(t)[:room], self.end_token] for t in texts])

    def text_weights(self) -> dict[str, Tensor]:
        """The text tower's own weights by their names in open_clip; not to be written to."""
        named = self.tower.named_parameters()
        return {name: weight.detach() for name, weight in named if name.partition(".")[0] in TEXT_WEIGHTS}

    def with_text_weights(self, weights: Mapping[str, Tensor]) -> OpenClipBackbone:
        """A backbone with these text weights in place of its own; it shares all others, and this one stays as it is."""
        own = self.text_weights()
        for name, weight in weights.items():
            if name not in own or own[name].shape != weight.shape:
                raise ValueError(f"{name} {tuple(weight.shape)} is no text weight of {self.name!r}")
        place = "" if self.tower is self.model else "text."
        made = copy(self)
        made.model = twin(self.model, {place + name: weight.to(own[name].dtype) for name, weight in weights.items()})
        made.tower = _text_tower(made.model, self.name)
        made.inversion_weights = {}
        made._fingerprint = None
        return made

    def parameter_count(self) -> int:
        """Parameters of both towers."""
        return sum(p.numel() for p in self.model.parameters())

    def fingerprint(self) -> str:
        """SHA-256 (first 16 digits) of every weight and of how pictures are prepared."""
        if self._fingerprint is None:
            digest = hashlib.sha256(self._preparation().encode())
            _add_weights(digest, self.model)
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def fingerprint_parts(self) -> dict[str, str]:
        """What the fingerprint is made of, to say what differs: weights, their number type, and preprocessing."""
        weights = hashlib.sha256()
        _add_weights(weights, self.model)
        precision = str(_matrix_dtype(self.model.visual)).removeprefix("torch.")
        return {
            "weights": weights.hexdigest()[:16],
            "precision": precision,
            "preprocess": self.preprocessing,
            "transform": describe_transform(self.preparation.transform),
        }

    def _preparation(self) -> str:
        return f"{describe_transform(self.preparation.transform)}|{self.preprocessing}"


def _add_weights(digest: Any, model: nn.Module) -> None:
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())


def _matrix_dtype(tower: nn.Module) -> torch.dtype:
    """The number type a tower computes in: open_clip keeps embeddings and norms in float32 at any precision."""
    layers = (module for module in tower.modules() if isinstance(module, (nn.Conv2d, nn.Linear)))
    return next(layer.weight.dtype for layer in layers)


def _at_least_float32(features: Tensor) -> Tensor:
    """Half precision as float32; double stays double, which gradients are checked in."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


def describe_transform(transform: Any) -> str:
    """What a torchvision transform does to a picture, in words that stay the same across torchvision's versions."""
    steps = getattr(transform, "transforms", [transform])
    return " ".join(_describe_step(step) for step in steps)


def _describe_step(step: Any) -> str:
    known = {name: getattr(step, name) for name in ("size", "interpolation", "mean", "std") if hasattr(step, name)}
    values = (f"{name}={getattr(value, 'value', value)}" for name, value in known.items())
    return f"{getattr(step, '__name__', type(step).__name__)}({', '.join(values)})"


def _text_tower(model: Any, name: str) -> Any:
    tower: Any = model if hasattr(model, "token_embedding") else getattr(model, "text", None)
    causal = tower is not None and getattr(tower, "attn_mask", None) is not None
    if not causal or not hasattr(tower, "transformer") or not hasattr(tower.transformer, "resblocks"):
        raise UsageError(f"model {name!r} has no causal CLIP text transformer to put pseudo-words into", _OTHERS)
    pool = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", "argmax")
    if pool not in POOLS:
        raise UsageError(f"model {name!r} pools its text by {pool!r}", "only reading at the end token is supported")
    if getattr(tower, "cls_emb", None) is not None:
        raise UsageError(f"model {name!r} reads its text at a class token, not at the end token", _OTHERS)
    return tower


def load_open_clip(
    model: str,
    pretrained: str | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    preprocessing: str = "clip",
) -> OpenClipBackbone:
    """Any open_clip model by the names open_clip uses: architecture and tag, ``hf-hub:`` id, or a local weights file.

    Raises `UsageError` for unknown names, for QuickGELU weights in a GELU architecture (open_clip only warns, and every
    feature is wrong), and for text towers that cannot take pseudo-words; `MotaError` where weights cannot be fetched or
    read.
    """
    import open_clip

    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if not model.startswith(("hf-hub:", "local-dir:")) and model not in open_clip.list_models():
        raise UnknownNameError("model", model, ["tiny", *open_clip.list_models()])
    try:
        _check_config(model, pretrained)
        net, _, transform = open_clip.create_model_and_transforms(
            model, pretrained=pretrained, precision=precision, device=device
        )
        tokenizer = open_clip.get_tokenizer(model)
    except (RuntimeError, OSError, ValueError) as error:
        raise MotaError(f"could not load {model!r} with weights {pretrained!r}: {first_line(error)}") from error
    name = model if pretrained is None else f"{model}/{pretrained}"
    return OpenClipBackbone(net, transform, tokenizer, name=name, device=device, preprocessing=preprocessing)


def _check_config(model: str, pretrained: str | None) -> None:
    """Refuse what cannot work before anything is fetched."""
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None:
        return
    if problem := text_problem(config):
        raise UsageError(f"model {model!r} takes no pseudo-words: {problem}", _OTHERS)
    if pretrained is not None and (error := activation_problem(model, pretrained)):
        raise error
