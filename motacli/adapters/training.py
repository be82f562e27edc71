"""Trains an adapter on text-anchored triplets: what is frozen is computed once, a step runs the prompted text half."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motacli.adapters.batches import row_order, shuffled_batches
from motacli.adapters.computing import Composer
from motacli.adapters.frozen_half import TripletFeatures, with_base, with_entropy
from motacli.adapters.held_out import score_held_out
from motacli.adapters.options import TrainOptions
from motacli.adapters.step import StepReport, TrainingStep
from motacli.contracts import Backbone, Inversion
from motacli.errors import MotaError
from motacli.training_state import TrainingState
from motacli.watch import Watch

LOGGED = 10
"""Steps between two entries of the history."""
_OWN = 17
"""Tells the processes' own random numbers from others of the same seed."""


@dataclass
class History:
    """What a training saw: one value per logged step.

    ``usage`` are the mean gates of the experts, ``weight_entropy`` is `StepReport.spread`. ``validation`` holds the
    step and the scores of each look at held-out triplets and at a benchmark.
    """

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    usage: list[list[float]] = field(default_factory=list)
    weight_entropy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    kept_step: int = 0

    @classmethod
    def of(cls, state: TrainingState, keep_best: Any) -> History:
        """What a finished training's state tells; ``keep_best`` is the look whose weights are kept, if not the last."""
        logged = [check for check in state.checks if "loss" in check]
        looks = [check["look"] for check in state.checks if "look" in check]
        names = ("step", "loss", "accuracy", "usage", "weight_entropy", "lr")
        return cls(
            **{name: [check[name] for check in logged] for name in names},
            validation=looks,
            kept_step=state.step if keep_best is None else int(keep_best["step"]),
        )


def train_adapter(
    adapter: Any,
    backbone: Backbone,
    inversion: Inversion,
    data: TripletFeatures,
    options: TrainOptions,
    batches: Iterator[np.ndarray] | None = None,
    watch: Watch | None = None,
    identity: Mapping[str, Any] | None = None,
    held_out: np.ndarray | None = None,
) -> History:
    """Train ``adapter`` in place for ``options.steps`` steps; the same seed gives the same weights.

    ``batches`` are the row numbers of each step, by default `shuffled_batches` of all rows but ``held_out``, which are
    validated on every ``watch.validate_every`` steps. Where ``watch`` has a folder for work, a state is kept there, and
    a training of the same ``identity`` that finds one goes on with it and ends with the weights of one that ran
    through, bit for bit on a CPU. Of several processes (``watch.world``) the first validates, reports and keeps; they
    end with the weights of one up to rounding, unless the adapter draws random numbers: each then draws its own.

    Raises `MotaError` when the loss is not finite, `UsageError` where a batch has fewer rows than there are processes.
    """
    watch, data = watch or Watch(), data.to(backbone.device)
    if options.needs_base and data.base is None:
        data = with_base(data, backbone, inversion)
    if options.needs_entropy and data.entropy is None:
        data = with_entropy(data, backbone.logit_scale)
    held_out = np.empty(0, np.intp) if held_out is None else held_out
    learnt = np.setdiff1d(np.arange(len(data)), held_out)
    watch.world.require(min(options.batch_size, len(learnt)))
    calibrate = getattr(adapter, "calibrate", None)
    if calibrate is not None:
        calibrate(data.image)
    if batches is None:
        order = shuffled_batches(len(learnt), options.batch_size, row_order(options.seed))
        batches = (learnt[rows] for rows in order)
    state = TrainingState({**(identity or {}), "training": asdict(options)}, adapter, _optimizer(adapter, options))
    composer = Composer.of(adapter, backbone, inversion, options)
    step = TrainingStep(composer, data, options, watch.world, torch.from_numpy(learnt))
    return _Loop(state, step, watch, held_out).run(batches)


class _Loop:
    """The steps, and what goes on between them."""

    def __init__(self, state: TrainingState, step: TrainingStep, watch: Watch, held_out: np.ndarray) -> None:
        self.state, self.step, self.watch, self.held_out = state, step, watch, held_out
        self.options, self.world = step.options, step.world
        self.noise = torch.Generator().manual_seed(self.options.seed)
        self.line = "training the adapter"

    def run(self, batches: Iterator[np.ndarray]) -> History:
        state, watch, options = self.state, self.watch, self.options
        self._go_on(batches)
        state.network.train()
        steps = range(options.steps, options.steps) if self._hopeless() else range(state.step, options.steps)
        for number in watch.progress.track(steps, lambda: self.line):
            rate = options.lr * _schedule(number, options)
            self._descend(torch.from_numpy(next(batches)), rate)
            if self._due(watch.validate_every) and self._can_look():
                self._look()
            if watch.work is not None and state.step % watch.save_every == 0 and self.world.first:
                state.random = {"noise": self.noise.get_state(), "torch": torch.get_rng_state()}
                state.save(watch.work)
            if self._hopeless():
                watch.progress.log(f"no better for {watch.patience} looks: stopped after step {state.step}")
                break
        if state.best:
            state.network.load_state_dict(state.best)
        state.network.eval()
        return History.of(state, self._best_look() if state.best else None)

    def _go_on(self, batches: Iterator[np.ndarray]) -> None:
        state, watch = self.state, self.watch
        if watch.work is None or not state.load(watch.work, self.world):
            return
        watch.progress.log(f"going on after {state.step} of {self.options.steps} steps")
        self.noise.set_state(state.random["noise"])
        torch.set_rng_state(state.random["torch"])
        for _ in range(state.step):
            next(batches)

    def _descend(self, rows: Tensor, rate: float) -> None:
        state, adapter = self.state, self.state.network
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.zero_grad(set_to_none=True)
        if self.world.size > 1:  # each its own, and the same again after a restart
            torch.manual_seed(_own_seed(self.options.seed, state.step, self.world.rank))
        report = self.step(rows, self.noise)
        if not torch.isfinite(report.loss):
            raise MotaError(
                f"the loss is not finite at step {state.step + 1}",
                "lower --lr, look for broken features, or give --train-option autocast=off",
            )
        nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        state.optimizer.step()
        state.step += 1
        self._report(report, rate)

    def _report(self, report: StepReport, rate: float) -> None:
        state, watch = self.state, self.watch
        if watch.on_step is not None:
            watch.on_step(state.step, float(report.loss))
        if not self._due(LOGGED):
            return
        values = report.values()
        usage = [round(float(gate), 4) for gate in report.usage]
        logged = {name: values[name] for name in ("loss", "accuracy", "weight_entropy")}
        state.checks.append({"step": state.step, **logged, "usage": usage, "lr": rate})
        self.line = _line(values, usage, rate)
        if watch.tracker is not None:
            watch.tracker.log(state.step, {**values, "lr": rate})

    # ------------------------------------------------------------------------------------------ validation

    def _can_look(self) -> bool:
        """Alike in all processes, of which the first alone validates."""
        return self.watch.validates or len(self.held_out) > 0

    def _look(self) -> None:
        """Validate without noise or dropout, and keep the weights where they are the best so far."""
        state, watch = self.state, self.watch
        state.network.eval()
        with torch.random.fork_rng(devices=[]):
            scores = self.world.agreed(self._scores)
        state.network.train()
        watch.check_metric(scores)
        if watch.keep_best and watch.is_best(self._looks(), scores):
            state.best = {key: value.detach().cpu().clone() for key, value in state.network.state_dict().items()}
        state.checks.append({"look": {"step": state.step, **scores}})
        if watch.tracker is not None:
            watch.tracker.log(state.step, {f"validation/{name}": value for name, value in scores.items()})

    def _scores(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        if len(self.held_out):
            scores |= score_held_out(self.step.composer, self.step.data, self.held_out, self.step.scale)
        if self.watch.validate is not None:
            scores |= self.watch.validate(self.state.network)
        return scores

    def _looks(self) -> list[dict[str, float]]:
        return [check["look"] for check in self.state.checks if "look" in check]

    def _best_look(self) -> dict[str, float]:
        looks = self._looks()
        return next(look for n, look in reversed(list(enumerate(looks))) if self.watch.is_best(looks[:n], look))

    def _hopeless(self) -> bool:
        return self.watch.is_hopeless(self._looks())

    def _due(self, every: int) -> bool:
        return self.state.step == self.options.steps or (every > 0 and self.state.step % every == 0)


def _line(values: Mapping[str, float], usage: list[float], rate: float) -> str:
    """What stands before the bar."""
    parts = [f"loss {values['loss']:.3f}", f"weights' entropy {values['weight_entropy']:.3f}", f"lr {rate:.1e}"]
    if len(usage) > 1:
        parts.insert(2, "experts " + " ".join(f"{gate:.2f}" for gate in usage))
    return "  ".join(parts)


def _optimizer(adapter: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW; vectors, and parameters of more than two dimensions such as prompts, are exempt from weight decay."""
    decayed = [p for p in adapter.parameters() if p.ndim == 2]
    plain = [p for p in adapter.parameters() if p.ndim != 2]
    groups = [{"params": decayed, "weight_decay": options.wd}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr)


def _own_seed(seed: int, step: int, rank: int) -> int:
    """The seed of what an adapter draws in a step of one of several processes, such as dropout."""
    return int(np.random.SeedSequence([seed, _OWN, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _schedule(step: int, options: TrainOptions) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / max(options.warmup, 1)) * (0.5 + 0.5 * math.cos(math.pi * step / options.steps))
