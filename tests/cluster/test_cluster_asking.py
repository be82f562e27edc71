"""Options of a cluster, without one."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from motacli.cli import main as mota
from motacli.cluster import ClusterOptions
from motacli.cluster.ray_cluster import HostChoice, Need, pool_size, worker_device
from motacli.errors import MotaError, UsageError
from motacli.plugins import PluginHost


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "0 workers"),
        ({"gpus_per_worker": -1.0}, "-1 GPUs"),
        ({"address": "ray://head:10001"}, "on a machine of the cluster"),
    ],
)
def test_what_no_cluster_can_give(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ClusterOptions(**options)  # type: ignore[arg-type]


def nodes(*resources: dict[str, float]) -> SimpleNamespace:
    total = {name: sum(node.get(name, 0) for node in resources) for name in ("CPU", "GPU")}
    alive = [{"Alive": True, "Resources": node} for node in resources]
    dead = {"Alive": False, "Resources": {"CPU": 64.0}}
    return SimpleNamespace(nodes=lambda: [*alive, dead], cluster_resources=lambda: total)


def test_as_many_workers_as_there_is_room_for() -> None:
    found = nodes({"CPU": 4.0}, {"CPU": 3.0, "GPU": 2.0}, {})
    assert pool_size(found, ClusterOptions(), Need(2)) == 3
    assert pool_size(found, ClusterOptions(), Need(1, 0.5)) == 3
    assert pool_size(found, ClusterOptions(workers=40), Need(2)) == 40
    with pytest.raises(MotaError, match="no room for a worker, which takes 5 CPUs"):
        pool_size(found, ClusterOptions(), Need(5))


def test_all_workers_compute_on_the_same_kind_of_device() -> None:
    without, with_gpus = nodes({"CPU": 4.0}), nodes({"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0})
    assert worker_device(without, "auto", ClusterOptions()) == ("cpu", 0)
    assert worker_device(with_gpus, "auto", ClusterOptions()) == ("cuda", 1)
    assert worker_device(with_gpus, "auto", ClusterOptions(gpus_per_worker=0)) == ("cpu", 0)
    assert worker_device(without, "cuda", ClusterOptions(gpus_per_worker=0.5)) == ("cuda", 0.5)
    assert worker_device(with_gpus, "cpu", ClusterOptions()) == ("cpu", 0)
    for device, options in {"cuda:1": ClusterOptions(), "cuda": ClusterOptions(gpus_per_worker=0)}.items():
        with pytest.raises(UsageError):
            worker_device(with_gpus, device, options)


def test_workers_load_the_plugins_in_use(host: PluginHost) -> None:
    assert HostChoice.of(host).plugins == ()
    assert HostChoice(("absent",)).host().rows()[-1].status == "failed"


def test_options_of_a_cluster_want_one(host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cache", str(tmp_path), "-o", str(tmp_path / "f.h5")]
    assert mota([*words, "--ray-workers", "2"], host=host) == 2
    assert "--ray-workers needs --engine ray" in capsys.readouterr().err


def test_without_ray(
    host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "a.png").touch()
    words = ["cache", str(tmp_path), "-o", str(tmp_path / "f.h5"), "--engine", "ray"]
    assert mota(words, host=host) == 2
    assert "pip install 'mota[ray]'" in capsys.readouterr().err


def test_an_address_where_nobody_answers(
    host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "a.png").touch()
        words = ["cache", str(tmp_path), "-o", str(tmp_path / "f.h5"), "--engine", "ray", "--ray-address", address]
        assert mota(words, host=host) == 1
    assert f"no Ray cluster can be reached at {address}" in capsys.readouterr().err
