"""Checks of a backbone's features: of pictures, and of plain texts."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from motacli.testing.backbone_subject import BackboneSubject
from motacli.testing.checks import Checks
from motacli.testing.samples import TEXTS, pictures
from motacli.testing.tensors import difference, unit_length, wrong_tensor

LONG = "a red star beside a green ring " * 400
MARKERS = "<|startoftext|> a red star <|endoftext|> <s> </s>"
SAME = "the same input gives the same features"
ALONE = "a row's features do not depend on the batch that it is in"
checks = Checks[BackboneSubject]()


@checks.add(
    "Backbone.preprocess", "a picture of any size becomes a float tensor (3, H, W), and H and W are always the same"
)
def preprocess(subject: BackboneSubject) -> Iterator[str]:
    """Pictures can be stacked."""
    made = [subject.backbone.preprocess(picture) for picture in pictures()]
    for tensor in made:
        if not isinstance(tensor, torch.Tensor) or tensor.ndim != 3 or len(tensor) != 3:
            yield f"gives {getattr(tensor, 'shape', type(tensor).__name__)}"
        elif not tensor.is_floating_point():
            yield f"gives {tensor.dtype}"
        elif tensor.shape != made[0].shape:
            yield f"gives {tuple(tensor.shape)} for one picture and {tuple(made[0].shape)} for another"


@checks.add("Backbone.preprocess", "the same picture gives the same tensor, and stays as it is", after="preprocess")
def preprocess_again(subject: BackboneSubject) -> Iterator[str]:
    """Nothing is random, and nothing is written into the picture."""
    for picture in pictures():
        before = picture.tobytes()
        first, again = subject.backbone.preprocess(picture), subject.backbone.preprocess(picture)
        if picture.tobytes() != before:
            yield "changes the picture that it is given"
        elif words := difference(again, first, 0):
            yield f"gives another tensor when it is called again ({words})"


@checks.add(
    "Backbone.encode_image", "(B, 3, H, W) become features (B, joint_dim), float32, on the device", after="preprocess"
)
def encode_image(subject: BackboneSubject) -> Iterator[str]:
    """Shape, number type and device."""
    backbone, pixels = subject.backbone, subject.pixels()
    for count in (1, 3):
        shape = (count, backbone.joint_dim)
        if words := wrong_tensor(
            backbone.encode_image(pixels[:count]), shape, dtype=torch.float32, device=backbone.device
        ):
            yield words
            return


@checks.add("Backbone.encode_image", "features are not normalised", after="encode_image")
def encode_image_length(subject: BackboneSubject) -> Iterator[str]:
    """Lengths are those of the weights."""
    if unit_length(subject.backbone.encode_image(subject.pixels())):
        yield "all features are of length 1"


@checks.add("Backbone.encode_image", SAME, after="encode_image preprocess_again")
def encode_image_again(subject: BackboneSubject) -> Iterator[str]:
    """Nothing is random."""
    pixels = subject.pixels()
    if words := difference(subject.backbone.encode_image(pixels), subject.backbone.encode_image(pixels), 1e-6):
        yield f"features differ from call to call ({words})"


@checks.add("Backbone.encode_image", ALONE, after="encode_image_again")
def encode_image_alone(subject: BackboneSubject) -> Iterator[str]:
    """Batches of one and of three agree."""
    pixels = subject.pixels()
    alone = torch.cat([subject.backbone.encode_image(one[None]) for one in pixels])
    if words := difference(subject.backbone.encode_image(pixels), alone, subject.tolerance):
        yield f"rows depend on the batch they are in ({words})"


@checks.add("Backbone.tokenize", "a text becomes a list of token ids, without start and end markers")
def tokenize(subject: BackboneSubject) -> Iterator[str]:
    """Ids alone, even of a text that spells markers."""
    backbone = subject.backbone
    for text in (*TEXTS, MARKERS):
        ids = backbone.tokenize(text)
        if not isinstance(ids, list) or not all(type(one) is int for one in ids):
            yield f"gives {ids!r}"
            return
        if {backbone.start_token, backbone.end_token} & set(ids):
            yield f"there are markers among the ids of {text!r}"
            return


@checks.add("Backbone.tokenize", "the ids are not truncated", after="tokenize")
def tokenize_whole(subject: BackboneSubject) -> Iterator[str]:
    """A long text has more tokens than half of it."""
    whole, half = (len(subject.backbone.tokenize(text)) for text in (LONG, LONG[: len(LONG) // 2]))
    if not half < whole:
        yield f"a text has {whole} tokens, and half of it has {half}"


@checks.add("Backbone.encode_text", "texts become features (B, joint_dim), float32, on the device")
def encode_text(subject: BackboneSubject) -> Iterator[str]:
    """Shape, number type and device."""
    backbone = subject.backbone
    for count in (1, len(TEXTS)):
        shape = (count, backbone.joint_dim)
        if words := wrong_tensor(
            backbone.encode_text(TEXTS[:count]), shape, dtype=torch.float32, device=backbone.device
        ):
            yield words
            return


@checks.add("Backbone.encode_text", "features are not normalised", after="encode_text")
def encode_text_length(subject: BackboneSubject) -> Iterator[str]:
    """Lengths are those of the weights."""
    if unit_length(subject.backbone.encode_text(TEXTS)):
        yield "all features are of length 1"


@checks.add("Backbone.encode_text", SAME, after="encode_text")
def encode_text_again(subject: BackboneSubject) -> Iterator[str]:
    """Nothing is random."""
    if words := difference(subject.backbone.encode_text(TEXTS), subject.backbone.encode_text(TEXTS), 1e-6):
        yield f"features differ from call to call ({words})"


@checks.add("Backbone.encode_text", ALONE, after="encode_text_again")
def encode_text_alone(subject: BackboneSubject) -> Iterator[str]:
    """Texts of several lengths, together and one by one."""
    alone = torch.cat([subject.backbone.encode_text([text]) for text in TEXTS])
    if words := difference(subject.backbone.encode_text(TEXTS), alone, subject.tolerance):
        yield f"rows depend on the batch they are in ({words})"


@checks.add("Backbone.encode_text", "a text that is longer than the context loses its end", after="encode_text")
def encode_text_long(subject: BackboneSubject) -> Iterator[str]:
    """No error, and no other shape."""
    backbone = subject.backbone
    shape = (1, backbone.joint_dim)
    if words := wrong_tensor(backbone.encode_text([LONG]), shape, dtype=torch.float32, device=backbone.device):
        yield words
