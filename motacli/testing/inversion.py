"""`check_inversion`: whether an inversion keeps `motacli.contracts.Inversion`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from motacli.contracts import Inversion
from motacli.errors import DataError
from motacli.inversions.files import read_inversion, save_inversion
from motacli.testing import inversion_training
from motacli.testing.checks import Checks, LeftOut, name_of, named
from motacli.testing.findings import Report
from motacli.testing.inversion_subject import ROWS, InversionSubject
from motacli.testing.samples import image_features
from motacli.testing.tensors import (
    accelerators,
    difference,
    gradient,
    not_movable,
    own_random_numbers,
    wrong_tensor,
)
from motacli.tiny.clip import load_tiny

OTHER_SIZES = (24, 40)
checks = Checks[InversionSubject]()


def check_inversion(
    factory: Callable[..., Inversion],
    *,
    options: Any = None,
    devices: Sequence[str] | None = None,
    tolerance: float = 1e-4,
) -> Report:
    """Check an inversion: a class or function ``(*, joint_dim, text_width)``, or one with ``for_backbone(backbone)``.

    It is made for the embedded backbone. What only some have is checked where it is there: ``sizes``, ``fit``, which
    trains with ``options``, by default ``factory.Options()``. It is moved to ``devices``, by default what is here
    besides the CPU. Numbers may differ by ``tolerance`` times the largest.

    Raises `ContractError` with every line that is broken.
    """
    chosen = accelerators() if devices is None else tuple(devices)
    with own_random_numbers():
        subject = InversionSubject(factory, load_tiny(), options, chosen, tolerance)
        return CHECKS.run(f"inversion {name_of(factory)}", subject)


@checks.add("Inversion", "its class is built as Class(joint_dim=d, text_width=w), and has a name", vital=True)
def built(subject: InversionSubject) -> Iterator[str]:
    """There is something to look at."""
    inversion = subject.inversion
    yield from named(inversion)
    if not callable(inversion):
        yield f"{type(inversion).__name__} cannot be called"


@checks.add("Inversion.__call__", "features (B, d) become pseudo-words (B, n, w)")
def pseudo_words(subject: InversionSubject) -> Iterator[str]:
    """One row and several."""
    counts = set()
    for rows in (1, ROWS):
        words = subject.inversion(subject.features()[:rows])
        count = words.shape[1] if isinstance(words, Tensor) and words.ndim == 3 else 1
        counts.add(count)
        shape = (rows, count, subject.backbone.text_width)
        if said := wrong_tensor(words, shape, dtype=None, device=torch.device("cpu")):
            yield said
            return
    if len(counts) > 1 or not min(counts):
        yield f"gives {' or '.join(map(str, sorted(counts)))} pseudo-words, by the batch"


@checks.add("Inversion", "a network is as wide as joint_dim and text_width say", after="pseudo_words")
def other_sizes(subject: InversionSubject) -> Iterator[str]:
    """For a backbone of other dimensions."""
    if not subject.has_weights:
        raise LeftOut("for_backbone makes it")
    joint_dim, text_width = OTHER_SIZES
    words = subject.make(joint_dim, text_width)(image_features(2, joint_dim))
    if words.shape[0] != 2 or words.shape[-1] != text_width:
        yield f"built for {joint_dim} and {text_width}, it gives {tuple(words.shape)}"


@checks.add(
    "Inversion.__call__", "the same features give the same pseudo-words, and stay as they are", after="pseudo_words"
)
def pseudo_words_again(subject: InversionSubject) -> Iterator[str]:
    """In eval mode nothing is random."""
    features = subject.features()
    first, again = subject.inversion(features), subject.inversion(subject.features())
    if said := difference(again, first, 1e-6):
        yield f"pseudo-words differ from call to call ({said})"
    if not torch.equal(features, subject.features()):
        yield "the features that it is given are changed"


@checks.add(
    "Inversion.__call__", "a row's pseudo-words do not depend on the batch that it is in", after="pseudo_words_again"
)
def pseudo_words_alone(subject: InversionSubject) -> Iterator[str]:
    """Batches of one and of several agree."""
    alone = torch.cat([subject.inversion(one[None]) for one in subject.features()])
    if said := difference(subject.inversion(subject.features()), alone, subject.tolerance):
        yield f"rows depend on the batch they are in ({said})"


@checks.add("Inversion.__call__", "gradients flow to the features, for adapters learn through it", after="pseudo_words")
def gradients(subject: InversionSubject) -> Iterator[str]:
    """Where pseudo-words depend on the features at all."""
    network = subject.network
    if not difference(network(subject.features().flip(0)), network(subject.features()), 1e-6):
        raise LeftOut("every picture has the same pseudo-word")
    features = subject.features().requires_grad_()
    found = gradient(network(features), features)
    if found is None or not found.abs().amax(dim=1).min() > 0:
        yield "no gradient reaches the features"


@checks.add("Inversion", "it can be moved to another device whole", after="pseudo_words_again")
def moves(subject: InversionSubject) -> Iterator[str]:
    """Nothing stays behind, and on the devices that are here it computes the same."""
    network = subject.network
    if said := not_movable(network):
        yield said
        return
    expected = network(subject.features())
    for device in subject.devices:
        words = subject.make().to(device)
        words.load_state_dict(network.state_dict())
        if said := difference(words(subject.features().to(device)), expected, 10 * subject.tolerance):
            yield f"on {device} pseudo-words differ ({said})"


@checks.add("Inversion", "its weights are all that it is: saved and loaded it is the same", after="pseudo_words_again")
def saved(subject: InversionSubject) -> Iterator[str]:
    """Through the files of `mota train-inversion`."""
    network = subject.network
    with TemporaryDirectory() as folder:
        path = Path(folder) / "inversion.safetensors"
        save_inversion(path, network, backbone=subject.backbone, recipe={})
        loaded = read_inversion(path, subject.factory, subject.backbone)
    if said := difference(loaded(subject.features()), network(subject.features()), 0):
        yield f"pseudo-words differ after saving and loading ({said})"


@checks.add("Inversion.sizes", "sizes(state_dict) tells what the network is built with", after="other_sizes")
def sizes(subject: InversionSubject) -> Iterator[str]:
    """The sizes of a network of other dimensions."""
    _needs_sizes(subject)
    joint_dim, text_width = OTHER_SIZES
    state = subject.make(joint_dim, text_width).state_dict()
    told = subject.factory.sizes(state)
    if (told.joint_dim, told.text_width) != OTHER_SIZES:
        yield f"tells {told.joint_dim} and {told.text_width} of a network of {joint_dim} and {text_width}"
        return
    again = {name: value.shape for name, value in subject.factory(**asdict(told)).state_dict().items()}
    if again != {name: value.shape for name, value in state.items()}:
        yield "a network of the sizes that it tells has weights of other names or shapes"


@checks.add("Inversion.sizes", "it raises DataError for the weights of other networks")
def sizes_of_others(subject: InversionSubject) -> Iterator[str]:
    """What a wrong file may hold."""
    _needs_sizes(subject)
    for state in ({}, {"somebody.elses.weight": torch.zeros(3, 4)}, {"bias": torch.zeros(5)}):
        try:
            told = subject.factory.sizes(state)
        except DataError:
            continue
        yield f"tells {told} of weights named {', '.join(state) or 'nothing'}"


def _needs_sizes(subject: InversionSubject) -> None:
    if not hasattr(subject.factory, "sizes"):
        raise LeftOut("its class has no sizes")


CHECKS = Checks(checks, inversion_training.checks)
