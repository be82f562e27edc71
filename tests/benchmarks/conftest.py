"""The four benchmarks in miniature, written in their published on-disk formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.fixture
def rewrite() -> Callable[[Path, Callable[[Any], Any]], None]:
    """Change the JSON in a file in place: ``rewrite(path, change)``."""

    def apply(path: Path, change: Callable[[Any], Any]) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        write_json(path, value)

    return apply


@pytest.fixture
def fashioniq_root(tmp_path: Path) -> Path:
    for category in ("dress", "shirt", "toptee"):
        pairs = [{"candidate": "A1", "captions": [" is red.", "has, sleeves "], "target": "A2"}]
        pairs.append({"candidate": "A3", "captions": ["", "longer"], "target": "A1"})
        write_json(tmp_path / f"captions/cap.{category}.val.json", pairs)
        write_json(tmp_path / f"image_splits/split.{category}.val.json", ["A3", "A1", "A2"])
        write_json(tmp_path / f"captions/cap.{category}.test.json", [{"candidate": "T1", "captions": ["a", "b"]}])
        write_json(tmp_path / f"image_splits/split.{category}.test.json", ["T1", "T2"])
    return tmp_path


@pytest.fixture
def cirr_root(tmp_path: Path) -> Path:
    def pair(number: int, prefix: str, **extra: Any) -> dict[str, Any]:
        members = [f"{prefix}-{index}" for index in range(4)]
        group = {"id": 7, "members": members, "reference_rank": 0}
        return {"pairid": number, "reference": members[0], "caption": "two dogs", "img_set": group, **extra}

    target = {"target_hard": "dev-2", "target_soft": {"dev-2": 1.0}}
    write_json(tmp_path / "cirr/captions/cap.rc2.val.json", [pair(5, "dev", **target), pair(9, "dev", **target)])
    write_json(tmp_path / "cirr/captions/cap.rc2.test1.json", [pair(12, "test1", caption="")])
    for split, prefix in (("val", "dev"), ("test1", "test1")):
        files = {f"{prefix}-{index}": f"./{prefix}/{prefix}-{index}.png" for index in range(6)}
        write_json(tmp_path / f"cirr/image_splits/split.rc2.{split}.json", files)
    return tmp_path


@pytest.fixture
def circo_root(tmp_path: Path) -> Path:
    query = {"id": 0, "reference_img_id": 11, "relative_caption": "is at night", "shared_concept": "a dog"}
    answers = {"target_img_id": 30, "gt_img_ids": [30, 12], "semantic_aspects": ["negation", "addition"]}
    write_json(tmp_path / "annotations/val.json", [{**query, **answers}])
    write_json(tmp_path / "annotations/test.json", [query, {**query, "id": 1}])
    images = [{"id": id, "file_name": f"{id:012d}.jpg"} for id in (30, 11, 12, 40)]
    write_json(tmp_path / "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json", {"images": images})
    return tmp_path


@pytest.fixture
def genecis_root(tmp_path: Path) -> Path:
    def coco(number: int) -> dict[str, int]:
        return {"val_image_id": number}

    def region(number: int, x: float) -> dict[str, Any]:
        return {"image_id": number, "instance_bbox": [x, 2, 30, 40], "instance_id": "9"}

    objects = {"condition": "wall", "reference": coco(1), "target": coco(2), "gallery": [coco(3), coco(2)]}
    regions = {"condition": "blue", "reference": region(5, 0), "target": region(5, 8.5), "gallery": [region(6, 0)]}
    for task in ("focus", "change"):
        write_json(tmp_path / f"genecis/{task}_object.json", [objects])
        write_json(tmp_path / f"genecis/{task}_attribute.json", [{**regions, "attribute_id": 3}])
    return tmp_path
