"""Who comes second is told who was first; a lock that nobody holds any more is no obstacle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from colour import Colour, paint

from motacli.cache import FeatureCache, build_cache, encoding
from motacli.cache.describing import describe
from motacli.cache.holding import Holder, held, read_holder
from motacli.contracts import ImageRef
from motacli.errors import DataError, MotaError


@pytest.fixture
def refs(tmp_path: Path) -> list[ImageRef]:
    return [paint(tmp_path / "pictures", f"{number:02}.png", (number, 100, 255 - number)) for number in range(24)]


class Waiting(Colour):
    """Stops in its second batch until it is let go."""

    def __init__(self) -> None:
        self.calls, self.there, self.go = 0, threading.Event(), threading.Event()

    def encode_image(self, pixels):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == 3:
            self.there.set()
            assert self.go.wait(60)
        return super().encode_image(pixels)


def test_the_second_builder_is_told_of_the_first(
    refs: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 4)
    out, first = tmp_path / "f.h5", Waiting()
    builder = threading.Thread(target=build_cache, args=(out, first, refs), kwargs={"batch_size": 4})
    builder.start()
    assert first.there.wait(60)
    with pytest.raises(MotaError, match=rf"f\.h5 is being built by process {os.getpid()} on .*, since ") as raised:
        build_cache(out, Colour(), refs, batch_size=4)  # type: ignore[arg-type]
    assert "f.h5.lock" in raised.value.hint
    with pytest.raises(DataError, match=r"unfinished: \d+ of 24"):
        FeatureCache(out)
    seen = describe(out)
    assert (
        (seen.state, seen.wanted) == ("unfinished", 24)
        and 0 <= seen.finished <= 8
        and str(os.getpid()) in seen.built_by
    )
    first.go.set()
    builder.join(60)
    assert len(FeatureCache(out)) == 24 and not (tmp_path / "f.h5.lock").exists()


def test_a_lock_that_nobody_holds_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "f.h5.lock"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = Holder.this()
    for pid, system_locks in ((gone.pid, True), (os.getpid(), True), (gone.pid, False)):
        lock.write_text(json.dumps({"pid": pid, "host": here.host, "since": "then", "command": "x"}))
        with monkeypatch.context() as patch:
            if not system_locks:
                patch.setitem(sys.modules, "fcntl", None)
            with held(tmp_path / "f.h5"):
                assert (read_holder(lock) or here).pid == os.getpid()
        assert not lock.exists()


def test_without_locks_of_the_system_the_file_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with held(tmp_path / "f.h5"), pytest.raises(MotaError, match="is being built by"), held(tmp_path / "f.h5"):
        pass
    (tmp_path / "f.h5.lock").write_text('{"pid": 1, "host": "elsewhere", "since": "then", "command": "x"}')
    with pytest.raises(MotaError, match="process 1 on elsewhere"), held(tmp_path / "f.h5"):
        pass
