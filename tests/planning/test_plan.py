"""Plans: sums that can be done by hand, and the bottleneck where it has to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from motacli.errors import UnknownNameError, UsageError
from motacli.planning.plan import Plan, make_plan
from motacli.planning.rate_keys import KEYS
from motacli.planning.rates import Rate, Rates
from motacli.planning.steps import Step
from motacli.planning.workload import Machines, Prices, Workload

VALUES = {
    **{key: 100.0 for key in KEYS},
    "data.joint_dim": 64.0,
    "data.picture_bytes": 1000.0,
    "decode.pictures_per_second_per_core": 50.0,
    "encode.pictures_per_second_per_gpu": 400.0,
    "build.rows_per_second": 1e6,
    "build.parts_per_second": 1000.0,
    "start.cache_seconds": 3.0,
    "start.model_seconds": 2.0,
    "start.ray_seconds": 1.0,
}
RATES = Rates({key: Rate(value) for key, value in VALUES.items()})


def rates(**changes: float) -> Rates:
    """The rates above with others in place of some; ``__`` stands for the dot."""
    return Rates(
        {**RATES.values, **{key.replace("__", ".", 1): Rate(value) for key, value in changes.items()}}, where="r.toml"
    )


def plan(pictures: int = 10_000, triplets: int = 0, stages: Any = ("cache",), using: Rates = RATES, **how: Any) -> Plan:
    work = {name: how.pop(name) for name in list(how) if name in Workload.__dataclass_fields__}
    prices = how.pop("prices", None)
    return make_plan(Workload(pictures, triplets, **work), Machines(**how), using, prices, stages)


def step(found: Plan, name: str) -> Step:
    return next(one for one in found.steps if one.name == name)


def lane(found: Plan, name: str, lane: str) -> float:
    return next(one.seconds for one in step(found, name).lanes if one.name == lane)


def test_pictures_by_hand() -> None:
    found = plan(gpus=1, cores=4)
    assert lane(found, "pictures", "decode") == pytest.approx(10_000 / (50 * 4))
    assert lane(found, "pictures", "encode") == pytest.approx(10_000 / 400)
    assert step(found, "pictures").seconds == pytest.approx(50)
    assert [one.name for one in found.steps] == ["start", "listing", "pictures", "captions", "finishing"]
    assert step(found, "start").seconds == 5
    assert found.seconds == pytest.approx(5 + 100 + 50 + 100 + 100)


def test_twice_the_pictures_take_twice_the_time_but_for_the_start() -> None:
    once, twice = plan(gpus=2, cores=8), plan(20_000, gpus=2, cores=8)
    assert twice.seconds - 5 == pytest.approx(2 * (once.seconds - 5))
    assert twice.kept_bytes == pytest.approx(2 * once.kept_bytes, rel=0.01)


def test_cores_decode_and_encode_one_after_the_other() -> None:
    found = plan(cores=2, using=rates(encode__pictures_per_second_per_core=200))
    assert step(found, "pictures").seconds == pytest.approx(10_000 / 50 / 2 + 10_000 / 200 / 2, rel=1e-3)


def test_the_bottleneck_switches_from_cores_to_gpus_to_the_driver_to_the_network() -> None:
    def limit(**how: Any) -> str:
        return step(plan(engine="ray", remote="parquet", **how), "pictures").limit

    fast = rates(read__bytes_per_second_per_machine=1e9)
    assert limit(gpus=1, cores=4, using=fast) == "cores"
    assert limit(gpus=1, cores=16, using=fast) == "gpus"
    assert limit(gpus=8, cores=64, using=fast) == "driver"
    assert limit(gpus=1, cores=16, using=rates(read__bytes_per_second_per_machine=1e5)) == "network"


def test_a_local_build_uses_one_gpu_of_one_machine() -> None:
    alone, eight = plan(gpus=8, cores=64, machines=2), plan(gpus=8, cores=64, machines=2, builds=8)
    assert lane(alone, "pictures", "encode") == pytest.approx(8 * lane(eight, "pictures", "encode"))
    assert lane(alone, "pictures", "decode") == pytest.approx(2 * lane(eight, "pictures", "decode"))
    assert step(alone, "listing").seconds == pytest.approx(8 * step(eight, "listing").seconds)
    assert any(move.change == "--engine ray" for move in alone.moves)


def test_what_would_move_the_bottleneck_is_told_in_seconds() -> None:
    found = plan(gpus=1, cores=2)
    best = {move.change: move.seconds for move in found.moves}
    assert best["4 cores"] == pytest.approx(found.seconds - 50)
    assert "2 GPUs" in best or found.seconds - plan(gpus=2, cores=2).seconds < 0.01 * found.seconds
    assert all(move.seconds < found.seconds for move in found.moves)


def test_network_is_what_is_read_and_what_comes_back() -> None:
    sizes = step(plan(gpus=2, cores=8, machines=2, engine="ray", remote="parquet"), "pictures").sizes
    assert sizes.network == 10_000 * 1000 + 10_000 * 64 * 4
    assert step(plan(gpus=2, cores=8), "pictures").sizes.network == 0


def test_tar_over_the_network_is_read_to_be_listed_by_one_machine_of_each_build() -> None:
    using = rates(read__bytes_per_second_per_machine=1e5)
    how: dict[str, Any] = {"gpus": 4, "machines": 4, "engine": "ray", "using": using}
    listing = step(plan(remote="tar", **how), "listing")
    assert listing.seconds == pytest.approx(10_000 * 1000 / 1e5) or listing.limit == "process"
    assert listing.sizes.network == 10_000 * 1000
    assert lane(plan(remote="tar", builds=4, **how), "listing", "go through shards") == pytest.approx(25)
    assert step(plan(remote="parquet", **how), "listing").sizes.network == 0


def test_parts_are_on_the_disk_beside_the_file_unless_they_stay() -> None:
    single, parts = step(plan(), "finishing").sizes, step(plan(layout="parts"), "finishing").sizes
    assert single.meanwhile == pytest.approx(single.kept, rel=0.1) and parts.meanwhile == 0
    assert step(plan(dtype="float16", captions=False), "finishing").sizes.kept < single.kept / 2.5
    merged = plan(builds=4, gpus=4, merge=True)
    assert step(merged, "merging").sizes.meanwhile == step(merged, "finishing").sizes.kept


def test_rules_ask_for_as_many_rows_as_the_triplets_take() -> None:
    using = rates(rules__triplets_per_row=0.5, rules__rows_per_second_per_core=200, rules__journal_per_second=1000)
    found = step(plan(triplets=1000, stages=("triplets",), using=using), "rules")
    assert found.seconds == pytest.approx(2000 / 200 + 2000 / 1000)
    shared = step(plan(triplets=1000, stages=("triplets",), using=using, engine="ray", cores=10), "rules")
    assert shared.seconds == pytest.approx(2000 / 1000) and shared.limit == "driver"


def test_a_language_model_is_waited_for_or_limits_or_is_not_asked_fast_enough() -> None:
    model = {"llm__triplets_per_row": 1, "llm__requests_per_row": 2, "llm__latency_seconds": 0.5}

    def asked(concurrency: int, **more: float) -> Step:
        using = rates(**{**model, "llm__client_requests_per_second": 1000, **more})
        found = plan(triplets=1000, stages=("triplets",), using=using, generator="llm", concurrency=concurrency)
        return step(found, "llm")

    assert asked(10, llm__requests_per_second=1e6).seconds == pytest.approx(2000 * 0.5 / 10)
    assert asked(1000, llm__requests_per_second=1e6).limit == "driver"
    assert asked(1000, llm__requests_per_second=10).seconds == pytest.approx(200)
    assert asked(10, llm__prompt_tokens_per_request=70).prompt_tokens == 140_000


def test_tokens_on_the_gpus_at_hand() -> None:
    using = rates(llm__completion_tokens_per_second_per_gpu=500, llm__client_requests_per_second=1e6)
    found = step(plan(triplets=100_000, stages=("triplets",), using=using, generator="vllm", gpus=4), "vllm")
    assert found.completion_tokens == pytest.approx(1000 * 100 * 100)
    assert found.seconds == pytest.approx(found.completion_tokens / 2000)
    with pytest.raises(UsageError, match="needs GPUs"):
        plan(triplets=100, stages=("triplets",), generator="vllm")


def test_trainings() -> None:
    using = rates(frozen__triplets_per_second_per_gpu=50, train__samples_per_second_per_gpu=64)
    how = {"stages": ("train",), "using": using, "train_steps": 10, "train_batch": 128}
    one, four = plan(triplets=500, gpus=1, **how), plan(triplets=500, gpus=4, **how)
    assert step(one, "frozen half").seconds == 10 and step(four, "frozen half").seconds == 2.5
    assert step(one, "steps").seconds == pytest.approx(20) and step(four, "steps").seconds == pytest.approx(5)


def test_costs() -> None:
    prices = Prices(gpu_hour=3.6, gb_month=1.0, months=2, prompt=10, completion=20)
    found = plan(gpus=10, cores=40, builds=10, prices=prices)
    assert found.cost == pytest.approx(found.seconds / 3600 * 36 + found.kept_bytes / 1e9 * 2)
    asked = plan(triplets=1000, stages=("triplets",), generator="llm", gpus=10, prices=prices)
    assert asked.cost == pytest.approx(1000 * (100 * 10 + 100 * 20) / 1e6 * 100 / 100 * 1 + asked.kept_bytes / 5e8)
    assert plan(prices=None).cost == 0


def test_a_missing_rate_names_itself_and_the_stage() -> None:
    lacking = replace(
        RATES, values={k: v for k, v in RATES.values.items() if k != "encode.pictures_per_second_per_gpu"}
    )
    with pytest.raises(UsageError, match=r"no encode\.pictures_per_second_per_gpu, which the stage 'cache' needs"):
        plan(gpus=1, using=lacking)
    assert plan(cores=1, using=lacking).seconds > 0


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_matters(key: str) -> None:
    """Some plan changes with each rate, so none is asked for in vain."""
    changed = rates(**{key.replace(".", "__", 1): VALUES[key] * 3})
    for how in (
        {"gpus": 2, "engine": "ray", "machines": 2, "remote": "parquet", "generator": "vllm", "store": "hnsw"},
        {"cores": 2, "builds": 2, "merge": True, "generator": "llm", "store": "ivfpq"},
        {"gpus": 1, "index_encodes": True},
    ):
        everything = {"triplets": 1000, "stages": ("draw", "cache", "triplets", "inversion", "train", "index", "eval")}
        if plan(**everything, **how).steps != plan(**everything, using=changed, **how).steps:
            return
    pytest.fail(f"{key} changes nothing")


def test_stages() -> None:
    assert {one.stage for one in plan(stages=()).steps} == {"cache", "inversion", "index", "eval"}
    assert {one.stage for one in plan(stages=(), triplets=10).steps} >= {"triplets", "train"}
    with pytest.raises(UnknownNameError, match="did you mean 'cache'"):
        plan(stages=("cach",))
    with pytest.raises(UsageError, match="no triplets"):
        plan(stages=("train",))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Workload(0, 0), "at least one picture"),
        (lambda: Workload(1, -1), "cannot be written"),
        (lambda: Machines(cores=0), "cores must be at least 1"),
        (lambda: Prices(gpu_hour=-1), "must not be negative"),
    ],
)
def test_what_makes_no_plan(make: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()
