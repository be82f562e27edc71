"""The loop that trains an inversion network, whatever its objective."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from motacli.contracts import Backbone
from motacli.errors import DataError, MotaError
from motacli.inversions.data import PairFeatures, recall_at_1
from motacli.processes.sharing import sharing
from motacli.processes.world import World
from motacli.rows_on_disk import row_blocks
from motacli.training_state import TrainingState
from motacli.watch import Watch

CHECKED_ROWS = 1000
"""Rows of the data among which the record's recall is computed."""
_ORDER, _DROPOUT, _NOISE = 3, 5, 7
"""Tell apart the streams of random numbers that one seed gives."""

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class InversionOptions:
    """How an inversion network is trained.

    ``epochs`` passes over the data where it is above zero, ``steps`` otherwise. ``warmup`` steps of linear warm-up come
    before a ``constant`` or half-``cosine`` learning rate. ``ema`` is the decay of an average of the weights, which is
    then what is returned; 0 is off. ``amp`` computes the text tower in bfloat16 where autocast pays off: ``auto`` on a
    GPU only. ``clip`` bounds the gradient's norm, 0 is off.
    """

    steps: int = 20_000
    epochs: int = 0
    batch_size: int = 512
    lr: float = 1e-4
    wd: float = 0.01
    warmup: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float = 0.0
    dropout: float = 0.5
    ema: float = 0.0
    amp: Literal["auto", "off", "on"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"{self.steps} steps train nothing")
        require(self.epochs >= 0, f"epochs must not be negative: {self.epochs}")
        require(self.batch_size >= 2, f"batch_size {self.batch_size} is too small: rows are told from one another")
        require(self.lr > 0, f"lr must be positive, not {self.lr}")
        require(self.wd >= 0 and self.warmup >= 0 and self.seed >= 0, "wd, warmup and seed must not be negative")
        require(0 <= self.dropout < 1, f"dropout must lie in 0..1, not be {self.dropout}")
        require(0 <= self.ema < 1, f"ema must lie in 0..1, not be {self.ema}")
        require(all(0 <= beta < 1 for beta in self.betas), f"betas must lie in 0..1, not be {self.betas}")
        require(self.eps > 0 and self.clip >= 0, "eps must be positive, and clip not negative")

    def total_steps(self, rows: int) -> int:
        """Steps over ``rows`` of data; a batch that is not full is dropped."""
        per_epoch = rows // min(self.batch_size, rows)
        return self.epochs * per_epoch if self.epochs else self.steps


def require(condition: bool, message: str) -> None:
    """Raise `ValueError`, which `motacli.config.parse_options` makes a `UsageError`, unless ``condition`` holds."""
    if not condition:
        raise ValueError(message)


class Objective(Protocol):
    """A training objective: rows of the data and a seeded generator on the CPU to a loss.

    Of several processes each is called with the rows of the whole batch, and `motacli.inversions.data.spliced_features`
    shares out the text encoder's work. What it does without that, all do alike.
    """

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class TrainingLog:
    """Every step's loss, and what validation said: ``step`` and a metric's percentage in each check."""

    losses: Sequence[float]
    checks: Sequence[Mapping[str, float]]


def fit_network(
    build: Callable[..., N],
    backbone: Backbone,
    data: PairFeatures,
    options: InversionOptions,
    objective: Callable[[PairFeatures], Objective],
    watch: Watch | None = None,
) -> tuple[N, dict[str, Any]]:
    """Train a new network ``build(joint_dim=, text_width=, dropout=)``: the network, frozen, and the training's record.

    ``objective`` is made from the data on the backbone's device, and its time counts. The same seed gives the same
    weights on the same machine, interrupted or not; the caller's random numbers stay as they are. The processes of
    ``watch.world`` train one network together.

    Raises `DataError` for data of fewer than two rows, `UsageError` for batches of fewer rows than processes, and what
    `train_inversion` raises.
    """
    if len(data) < 2:
        raise DataError(f"{len(data)} pictures are too few to train on", "rows are told from one another")
    watch = watch or Watch()
    watch.world.require(min(options.batch_size, len(data)))
    started = time.perf_counter()
    data = data.to(backbone.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        phi = build(joint_dim=backbone.joint_dim, text_width=backbone.text_width, dropout=options.dropout)
        phi.to(backbone.device)
        identity = {"network": phi.name, "backbone": backbone.fingerprint()}
        if watch.work is not None:  # reading all of the data again is for trainings that leave a state
            identity["data"] = watch.world.agreed(lambda: data_digest(data))
        log = train_inversion(phi, objective(data), len(data), options, watch, identity)
    phi.requires_grad_(False)

    def recall() -> float | None:
        return recall_at_1(backbone, phi, data.image[:CHECKED_ROWS]) if data.has_images else None

    record = {
        "loss": log.losses[-1],
        "recall_at_1": watch.world.agreed(recall),
        "rows": len(data),
        "steps": len(log.losses),
        "seconds": time.perf_counter() - started,
        "history": _history(log.losses),
        "validation": list(log.checks),
        "kept": f"best {watch.keep_best}" if watch.keep_best else "last",
    }
    return phi, record


def train_inversion(
    phi: nn.Module,
    objective: Objective,
    size: int,
    options: InversionOptions,
    watch: Watch | None = None,
    identity: Mapping[str, Any] | None = None,
) -> TrainingLog:
    """Train ``phi`` in place on ``size`` rows, from the state in the watch's folder if there is one.

    Biases are exempt from weight decay, as in Pic2Word. Raises `MotaError` when the loss is not finite, `DataError` for
    a state of another ``identity``.
    """
    watch, steps = watch or Watch(), options.total_steps(size)
    state = TrainingState(
        {**(identity or {}), "options": asdict(options), "rows": size, "steps": steps}, phi, _optimizer(phi, options)
    )
    if watch.work is not None and state.load(watch.work, watch.world):
        watch.progress.log(f"going on after {state.step} of {steps} steps")
    if options.ema and not state.average:
        state.average = {key: value.clone() for key, value in phi.state_dict().items()}
    device = next(phi.parameters()).device
    phi.train()
    batches = iter(()) if watch.is_hopeless(state.checks) else _batches(size, options, state.step, steps)
    for rows in watch.progress.track(batches, "training the inversion network", steps - state.step):
        loss = _step(state, objective, rows, options, steps, device, watch.world)
        state.losses.append(loss)
        state.step += 1
        if watch.on_step is not None:
            watch.on_step(state.step, loss)
        if watch.validates and _due(state.step, watch.validate_every, steps):
            _check(state, watch)
        if watch.work is not None and watch.world.first and _due(state.step, watch.save_every, steps):
            state.save(watch.work)
        if watch.is_hopeless(state.checks):
            break
    _settle(state, watch, options)
    return TrainingLog(state.losses, state.checks)


def data_digest(data: PairFeatures) -> str:
    """A digest of what is trained on."""
    digest = hashlib.sha256("\0".join(data.captions).encode("utf-8", "surrogatepass"))
    for features in (data.image, data.text):
        for block in row_blocks(features):
            digest.update(np.ascontiguousarray(block.cpu().numpy()).data)
    return digest.hexdigest()[:16]


def step_seed(seed: int, stream: int, step: int) -> int:
    """The seed of one step's random numbers of one kind, so that no generator has to outlive the step."""
    return int(np.random.SeedSequence([seed, stream, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _step(
    state: TrainingState,
    objective: Objective,
    rows: np.ndarray,
    options: InversionOptions,
    steps: int,
    device: torch.device,
    world: World,
) -> float:
    """One step of the optimiser; its loss."""
    torch.manual_seed(step_seed(options.seed, _DROPOUT, state.step))
    noise = torch.Generator().manual_seed(step_seed(options.seed, _NOISE, state.step))
    for group in state.optimizer.param_groups:
        group["lr"] = options.lr * _schedule(state.step, options, steps)
    state.optimizer.zero_grad(set_to_none=True)
    with sharing(world):
        with _autocast(options, device):
            loss = objective(state.network, torch.from_numpy(rows), noise)
        if not torch.isfinite(loss):
            hint = "lower --lr, or look for broken features"
            raise MotaError(f"the loss is not finite at step {state.step + 1}", hint)
        loss.backward()
    world.same_gradients(state.network)
    if options.clip:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), options.clip)
    state.optimizer.step()
    if state.average:
        weights = state.network.state_dict()
        for key, value in state.average.items():
            value.lerp_(weights[key], 1 - options.ema)
    return float(loss.detach())


def _batches(size: int, options: InversionOptions, first: int, steps: int) -> Iterator[np.ndarray]:
    """Rows of each step from ``first``: every row once an epoch, in an order of the epoch's own.

    What does not fill a batch is dropped: a batch with a row twice would hold it against itself.
    """
    batch = min(options.batch_size, size)
    per_epoch = size // batch
    order, epoch = np.empty(0, dtype=np.intp), -1
    for step in range(first, steps):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = np.random.default_rng([options.seed, _ORDER, epoch]).permutation(size)
        start = step % per_epoch * batch
        yield order[start : start + batch]


def _check(state: TrainingState, watch: Watch) -> None:
    """Validate the network, or the average of its weights where one is kept."""
    training = {key: value.clone() for key, value in state.network.state_dict().items()}
    if state.average:
        state.network.load_state_dict(state.average)
    state.network.eval()
    with torch.random.fork_rng(devices=[]):
        scores = watch.world.agreed(lambda: _scores(state, watch))
    watch.check_metric(scores)
    if watch.keep_best and watch.is_best(state.checks, scores):
        state.best = {key: value.cpu().clone() for key, value in state.network.state_dict().items()}
    state.checks.append({"step": state.step, **scores})
    state.network.load_state_dict(training)
    state.network.train()


def _scores(state: TrainingState, watch: Watch) -> dict[str, float]:
    assert watch.validate is not None
    return dict(watch.validate(state.network))


def _settle(state: TrainingState, watch: Watch, options: InversionOptions) -> None:
    """Leave the network with the weights that the training is about, in eval mode."""
    if watch.keep_best and state.best:
        state.network.load_state_dict(state.best)
    elif options.ema:
        state.network.load_state_dict(state.average)
    state.network.eval()


def _due(step: int, every: int, steps: int) -> bool:
    return step == steps or (every > 0 and step % every == 0)


def _autocast(options: InversionOptions, device: torch.device) -> AbstractContextManager[Any]:
    on = options.amp == "on" or (options.amp == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()


def _optimizer(phi: nn.Module, options: InversionOptions) -> torch.optim.Optimizer:
    decayed = [p for p in phi.parameters() if p.ndim > 1]
    plain = [p for p in phi.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.wd}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, eps=options.eps)


def _schedule(step: int, options: InversionOptions, steps: int) -> float:
    """Linear warm-up, then constant or half a cosine to zero."""
    rise = min(1.0, (step + 1) / max(options.warmup, 1))
    return rise if options.schedule == "constant" else rise * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _history(losses: Sequence[float], every: int = 10) -> dict[str, list[Any]]:
    """The losses of the first, every tenth and the last step."""
    steps = [step for step in range(1, len(losses) + 1) if step in (1, len(losses)) or step % every == 0]
    return {"step": steps, "loss": [losses[step - 1] for step in steps]}
