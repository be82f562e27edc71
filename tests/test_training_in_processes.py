"""Any number of processes trains like one: the same weights, after a kill as well, and one voice."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import Ended, mota, speak_into, together
from safetensors.torch import load_file
from torch import Tensor, nn

from motacli import rows_on_disk
from motacli.cache import build_cache
from motacli.cli import main
from motacli.datasets import open_source
from motacli.errors import MotaError
from motacli.inversions import training
from motacli.processes.meeting import fresh_store
from motacli.processes.shared_runs import shared_run
from motacli.processes.sharing import all_rows, own_rows, sharing
from motacli.processes.world import World, joined_world
from motacli.runs import partial_path
from motacli.tiny.make import make_pairs

FIRST_STAGE = ("--option", "oti.steps=3", "--option", "oti.batch_size=10", "--option", "oti.templates=short")
NETWORKS = {
    "pic2word": ("--option", "clip=0.5", "--option", "word_penalty=0.1"),
    "lincir": ("--option", "noise_unit=spread", "--option", "variants=2", "--option", "masking=stretch"),
    "searle": FIRST_STAGE,
}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    make_pairs(folder / "pairs", seed=1, count=40)
    (folder / "concepts.txt").write_text("circle\nstar\nsquare\ntriangle\nred\nblue\ndots\n")
    return build_cache(folder / "features.h5", tiny_backbone, open_source(folder / "pairs", None, None)).path


def words(network: str, features: Path, out: Path, steps: int = 6, *more: str) -> list[str]:
    command = ["train-inversion", network, "--features", str(features), "--out", str(out), "--steps", str(steps)]
    command += ["--batch-size", "15", "--lr", "0.001", "--warmup", "2", "--device", "cpu", "--save-every", "2"]
    return [*command, "--option", "dropout=0.3", "--option", "ema=0.5", *NETWORKS[network], *more]


def weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / "inversion.safetensors")


def assert_near(one: Path, other: Path, within: float = 1e-5) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for key, weight in a.items():
        assert torch.allclose(weight, b[key], rtol=0, atol=within), key


def assert_one_voice(ended: list[Ended]) -> None:
    assert [each.code for each in ended] == [0] * len(ended), ended
    assert ended[0].out and not any(each.out or each.err for each in ended[1:])


@pytest.fixture(scope="module")
def alone(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each network as one process trains it."""
    folder = tmp_path_factory.mktemp("alone")
    for network in NETWORKS:
        assert main(words(network, features, folder / network)) == 0
    return folder


@pytest.fixture(scope="module")
def shared_out(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a network as two processes train it that share 15 rows unevenly and read them from disk."""
    folder = tmp_path_factory.mktemp("shared_out")

    def trained(network: str) -> Path:
        out = folder / network
        if not out.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(rows_on_disk, "HELD", 0)
                assert_one_voice(together(folder / "said", 2, mota(*words(network, features, out))))
        return out

    return trained


@pytest.mark.parametrize("network", NETWORKS)
def test_two_processes_are_one(network: str, alone: Path, shared_out: Callable[[str], Path]) -> None:
    assert_near(alone / network, shared_out(network))


@pytest.mark.thorough
@pytest.mark.parametrize("network", NETWORKS)
def test_one_two_and_four_processes_are_the_same_after_fifty_steps(
    network: str, features: Path, tmp_path: Path
) -> None:
    for size in (1, 2, 4):
        task = mota(*words(network, features, tmp_path / str(size), 50, "--batch-size", "32"))
        assert_one_voice(together(tmp_path / "said", size, task))
    for size in (2, 4):
        assert_near(tmp_path / "1", tmp_path / str(size))


def test_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Of a loss in which every row meets every other, and that reaches the weights by two ways."""
    network, rows = nn.Linear(3, 4).double(), torch.randn(5, 3, dtype=torch.float64)

    def gradients(world: World) -> list[Tensor]:
        network.zero_grad()
        with sharing(world):
            words = network(rows)
            texts = all_rows(own_rows(words).sin(), len(rows))
            ((texts @ texts.T).exp().mean() + words.square().mean()).backward()
        return [each.grad.clone() for each in network.parameters() if each.grad is not None]

    def task() -> int:
        with joined_world("cpu") as world:
            found, expected = gradients(world), gradients(World())
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
            return 0

    assert [each.code for each in together(tmp_path, 3, task)] == [0, 0, 0]


# ---------------------------------------------------------------------------------------------- killed


def test_processes_of_an_earlier_start_are_not_met() -> None:
    """Whose questions and answers are still in the store, as the agent of ``torchrun`` leaves them."""
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    store = HashStore()
    for start in range(2):
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda rank: fresh_store(store, rank, 3, 20), range(3)))
        assert not any(each.check(["address"]) for each in found)
        found[1].set("address", str(start))
        assert [each.get("address") for each in found] == [str(start).encode()] * 3
    with pytest.raises(RuntimeError, match="of 4 processes number 3 has not come"), ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda rank: fresh_store(store, rank, 4, 0.2), range(3)))


def killing(monkeypatch: pytest.MonkeyPatch, rank: int, step: int) -> None:
    """Let one process be killed in the middle of a step, the first time that it gets there."""
    whole = training._step

    def deadly(state: Any, *more: Any) -> float:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if state.step == step and os.environ.get("RANK") == str(rank) and first:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(state, *more)

    monkeypatch.setattr(training, "_step", deadly)


def elastic(folder: Path, size: int, restarts: int, words: list[str]) -> dict[str, str]:
    """What the processes say that ``torchrun`` starts, and again when one of them ends badly."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    def worker() -> None:
        name = f"{os.environ['TORCHELASTIC_RESTART_COUNT']}.{os.environ['RANK']}"
        speak_into([folder / f"{name}.{stream}" for stream in ("out", "err")])
        if code := main(words):
            os._exit(code)

    folder.mkdir()
    config = LaunchConfig(
        1, 1, size, max_restarts=restarts, rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", run_id="test",
        start_method="fork", monitor_interval=0.05,
    )  # fmt: skip
    elastic_launch(config, worker)()
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_killed_process_is_started_again_and_goes_on(
    features: Path, shared_out: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent starts all again; they go on without --resume and end in the same bits."""
    killing(monkeypatch, rank=1, step=3)
    said = elastic(tmp_path / "elastic", 2, 1, words("pic2word", features, tmp_path / "killed"))
    assert "going on after 2 of 6 steps" in said["1.0.err"]
    assert not said["0.1.out"] and not said["1.1.err"] and not said["1.1.out"]
    assert not (tmp_path / "killed.partial").exists() and not (tmp_path / "killed/work").exists()
    one, other = weights(shared_out("pic2word")), weights(tmp_path / "killed")
    assert all(torch.equal(weight, other[key]) for key, weight in one.items())


def test_what_others_have_begun_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"

    def begin(run_id: str | None, fail: bool) -> None:
        monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
        if run_id is not None:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
        with shared_run(out, False, World()) as run:
            if fail:
                run.file("work/training.pt").write_text("begun")
                raise KeyboardInterrupt

    for run_id in (None, "one"):
        with pytest.raises(KeyboardInterrupt):
            begin(run_id, fail=True)
        with pytest.raises(MotaError, match="an unfinished run is in the way"):
            begin(None, fail=False)
        if run_id is None:
            with pytest.raises(MotaError, match="an unfinished run is in the way"):
                begin("one", fail=False)
            shutil.rmtree(partial_path(out))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(MotaError, match="an unfinished run is in the way"):  # another call of torchrun
        begin("one", fail=False)
    monkeypatch.undo()
    begin("one", fail=False)
    assert out.is_dir() and not partial_path(out).exists()


def test_nothing_is_left_of_a_run_that_did_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    with pytest.raises(MotaError), shared_run(tmp_path / "run", False, World()):
        raise MotaError("no such file")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- said


def said(ended: list[Ended]) -> str:
    """All that they say, but for torch's own warnings, which `motacli.cli.main` is too late to stop in a fork."""
    assert not any(each.out for each in ended) and all(each.code for each in ended), ended
    return "\n".join(line for each in ended for line in each.err.splitlines() if line.startswith("error"))


def test_an_error_is_one_line(features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = words("pic2word", features, tmp_path / "x")
    for more, message in (
        (["--option", "dropuot=0.3"], "error: options of inversion 'pic2word': unknown option 'dropuot'"),
        (["--batch-size", "2", "--steps"], "error: option '--steps' requires an argument"),
        (["--features", str(tmp_path / "none.h5")], f"error: no such feature file: {tmp_path / 'none.h5'}"),
    ):
        text = said(together(tmp_path / "said", 2, mota(*wrong, *more)))
        assert text.startswith(message) and "\n" not in text
    killing(monkeypatch, rank=1, step=1)
    text = said(together(tmp_path / "said", 2, mota(*wrong)))
    assert text.startswith("error: another of the 2 processes has ended") and "\n" not in text


def test_a_process_speaks_up_where_it_alone_is_in_trouble(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training._step

    def troubled(*given: Any) -> float:
        if os.environ["RANK"] == "1":
            raise MotaError("this machine has no room")
        return whole(*given)

    monkeypatch.setattr(training, "_step", troubled)
    ended = together(tmp_path / "said", 2, mota(*words("pic2word", features, tmp_path / "x")))
    assert said(ended) == ended[1].err.strip() == "error: this machine has no room"
    assert not (tmp_path / "x").exists()
