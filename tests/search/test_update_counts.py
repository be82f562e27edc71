"""Of a folder in which pictures are changed, deleted and added, only what is new is encoded."""

from __future__ import annotations

from pathlib import Path

from update_counts import count_run, is_right


def test_only_new_contents_are_encoded(tmp_path: Path) -> None:
    found = count_run(tmp_path, pictures=120, changes=10)
    assert is_right(found, pictures=120, changes=10), found
    assert [found["updated"][name] for name in ("kept", "changed", "added", "deleted")] == [100, 10, 10, 10]
