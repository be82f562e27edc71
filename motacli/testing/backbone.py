"""`check_backbone`: whether a backbone keeps `motacli.contracts.Backbone`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from motacli.contracts import Backbone
from motacli.testing import backbone_embeddings, backbone_features, deep_prompts, tunable_text
from motacli.testing.backbone_subject import BackboneSubject
from motacli.testing.checks import Checks, LeftOut, lacking, name_of, named
from motacli.testing.findings import Report
from motacli.testing.samples import TEXTS
from motacli.testing.tensors import accelerators, difference, own_random_numbers

MEMBERS = (
    "name joint_dim text_width text_layers context_length causal device logit_scale preprocess encode_image tokenize "
    "start_token end_token embed_tokens encode_embeddings encode_text parameter_count fingerprint"
)
checks = Checks[BackboneSubject]()
identity = Checks[BackboneSubject]()


def check_backbone(
    backbone: Backbone,
    *,
    load: Callable[[str], Backbone] | None = None,
    devices: Sequence[str] | None = None,
    tolerance: float = 1e-3,
) -> Report:
    """Check a backbone, as its hook's target makes it.

    ``load(device)`` makes the same backbone again, on each of ``devices``: by default the CPU and what else is here.
    Numbers may differ by ``tolerance`` times the largest; in half precision that has to be more, such as 0.05. What
    only some have is checked where it is there: `TunableText`, ``fingerprint_parts``, more than one text layer.

    Raises `ContractError` with every line that is broken.
    """
    chosen = ("cpu", *accelerators()) if devices is None else tuple(devices)
    with own_random_numbers():
        return CHECKS.run(f"backbone {name_of(backbone)}", BackboneSubject(backbone, load, chosen, tolerance))


@checks.add("Backbone", "a backbone has all of its attributes and methods", vital=True)
def members(subject: BackboneSubject) -> Iterator[str]:
    """What the protocol names is there."""
    yield from lacking(subject.backbone, MEMBERS)


@checks.add("Backbone", "name is text, sizes and tokens are whole numbers, and causal is true or false", vital=True)
def attributes(subject: BackboneSubject) -> Iterator[str]:
    """Attributes are of their types."""
    backbone = subject.backbone
    yield from named(backbone)
    for name in ("joint_dim", "text_width", "text_layers", "context_length"):
        if type(value := getattr(backbone, name)) is not int or value < 1:
            yield f"{name} is {value!r}"
    for name, none in (("start_token", True), ("end_token", False)):
        value = getattr(backbone, name)
        if not (none and value is None) and (type(value) is not int or value < 0):
            yield f"{name} is {value!r}"
    if not isinstance(backbone.causal, bool):
        yield f"causal is {backbone.causal!r}"
    if not isinstance(backbone.device, torch.device):
        yield f"device is {backbone.device!r}, not a torch.device"


@checks.add("Backbone.logit_scale", "the temperature's inverse is a positive number, already exponentiated")
def logit_scale(subject: BackboneSubject) -> Iterator[str]:
    """A scale that logits can be multiplied by."""
    value = subject.backbone.logit_scale
    if not isinstance(value, float) or not 0 < value < float("inf"):
        yield f"it is {value!r}"


@checks.add("Backbone.parameter_count", "it counts the parameters of both towers")
def parameter_count(subject: BackboneSubject) -> Iterator[str]:
    """A whole number above zero."""
    if type(count := subject.backbone.parameter_count()) is not int or count < 1:
        yield f"it gives {count!r}"


@identity.add("Backbone.fingerprint", "the digest of weights and preprocessing is text that stays the same")
def fingerprint(subject: BackboneSubject) -> Iterator[str]:
    """Asked twice, with work between, it is the same text."""
    first = subject.backbone.fingerprint()
    subject.backbone.encode_text(TEXTS)
    again = subject.backbone.fingerprint()
    if not isinstance(first, str) or not first:
        yield f"it gives {first!r}"
    elif first != again:
        yield f"it gives {first!r}, then {again!r}"


@identity.add("Backbone.fingerprint", "fingerprint_parts() gives texts by name, which stay the same")
def fingerprint_parts(subject: BackboneSubject) -> Iterator[str]:
    """The optional parts, by which caches say what differs."""
    parts = getattr(subject.backbone, "fingerprint_parts", None)
    if parts is None:
        raise LeftOut("the backbone has no fingerprint_parts")
    first = parts()
    if not isinstance(first, dict) or not first or not all(isinstance(text, str) for text in (*first, *first.values())):
        yield f"fingerprint_parts gives {first!r}"
    elif first != (again := parts()):
        yield f"fingerprint_parts gives {first!r}, then {again!r}"


@identity.add(
    "Backbone.fingerprint",
    "equal digests mean interchangeable features",
    after="fingerprint encode_image_again encode_text_again",
)
def loaded_again(subject: BackboneSubject) -> Iterator[str]:
    """Loaded again, on every device that is here, it is the same backbone."""
    if subject.load is None:
        raise LeftOut("no load= was given")
    own = subject.backbone
    for device in subject.devices:
        other = subject.load(device)
        if other.device.type != torch.device(device).type:
            yield f"loaded again on {device} its device is {other.device}"
        if other.fingerprint() != own.fingerprint():
            yield f"loaded again on {device} it is {other.fingerprint()!r}, not {own.fingerprint()!r}"
            continue
        for what, one, two in (
            ("pictures", own.encode_image(subject.pixels(own)), other.encode_image(subject.pixels(other))),
            ("texts", own.encode_text(TEXTS), other.encode_text(TEXTS)),
        ):
            if words := difference(two, one, 10 * subject.tolerance):
                yield f"loaded again on {device} features of {what} differ ({words})"


CHECKS = Checks(
    checks, backbone_features.checks, backbone_embeddings.checks, deep_prompts.checks, tunable_text.checks, identity
)
