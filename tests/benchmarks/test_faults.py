"""The fault table: kinds of broken data on each benchmark, and the clear error or the documented behaviour of each.

None of them may change a number silently: what is accepted keeps the ids and the number of queries and gallery entries.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.genecis import GeneCIS
from motacli.benchmarks.integrity import find_broken
from motacli.contracts import EvalUnit
from motacli.datasets import open_image
from motacli.encoding import encode_images
from motacli.errors import DataError
from motacli.evaluating import encode_units, evaluate
from motacli.inversions.pic2word import Pic2Word
from motacli.query_sources import Composed, TextOnly
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis


@dataclass(frozen=True)
class Disk:
    """A benchmark on disk: where its files are, and the keys that hold an entry's id, caption and target."""

    benchmark: Any
    write: Callable[[Path], None]
    annotations: str
    gallery: str | None
    id: str
    caption: str
    target: str | None
    parts: tuple[str, ...] = ()

    def load(self, root: Path) -> EvalUnit:
        return self.benchmark.load(root, None, self.parts)[0]  # type: ignore[no-any-return]


DISKS = {
    "fashioniq": Disk(
        FashionIQ(),
        lambda root: write_fashioniq(root, 1, "val", queries=4),
        *("captions/cap.dress.val.json", "image_splits/split.dress.val.json", "candidate", "captions", "target"),
        parts=("dress",),
    ),
    "cirr": Disk(
        CIRR(),
        lambda root: write_cirr(root, 1, "val", sets=2),
        *("cirr/captions/cap.rc2.val.json", "cirr/image_splits/split.rc2.val.json", "pairid", "caption", "target_hard"),
    ),
    "circo": Disk(
        CIRCO(),
        lambda root: write_circo(root, 1, "val", queries=3, others=6),
        *("annotations/val.json", "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"),
        *("id", "relative_caption", "target_img_id"),
    ),
    "genecis": Disk(
        GeneCIS(),
        lambda root: write_genecis(root, 1, "val", queries=2, others=30),
        *("genecis/change_object.json", None, "reference", "condition", None),
        parts=("change_object",),
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each benchmark without a fault."""
    roots = {name: tmp_path_factory.mktemp("whole") / name for name in DISKS}
    for name, disk in DISKS.items():
        disk.write(roots[name])
    return roots


@pytest.fixture
def root(request: pytest.FixtureRequest, whole: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to break; its pictures are links, so that a test replaces rather than changes them."""
    name = request.node.callspec.params["name"]
    shutil.copytree(whole[name], tmp_path / name, copy_function=lambda a, b: Path(b).symlink_to(a))
    for file in (tmp_path / name).rglob("*.json"):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    return tmp_path / name


def entries_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    document = entries_of(path)
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed), encoding="utf-8")


# ---------------------------------------------------------------------------------------------- annotation files


def cut(path: Path, disk: Disk) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def not_utf8(path: Path, disk: Disk) -> None:
    path.write_bytes(path.read_bytes().replace(b'"', b'"\xff', 1))


def repeated_key(path: Path, disk: Disk) -> None:
    text = path.read_text()
    key = f'"{disk.caption}": '
    path.write_text(text.replace(key, f"{key}0, {key}", 1))


def replaced_by_folder(path: Path, disk: Disk) -> None:
    path.unlink()
    path.mkdir()


FAULTS: dict[str, tuple[Callable[[Path, Disk], None], str]] = {
    "missing file": (lambda path, disk: path.unlink(), "not found"),
    "a folder in its place": (replaced_by_folder, "not found"),
    "cut in half": (cut, "not valid JSON at line"),
    "empty file": (lambda path, disk: path.write_bytes(b""), "not valid JSON at line 1"),
    "not UTF-8": (not_utf8, "not UTF-8 text at byte"),
    "repeated key": (repeated_key, "appears twice in one object"),
    "nested too deep": (lambda path, disk: path.write_text("[" * 100_000), "not valid JSON: .*recursion"),
    "a number of 5000 digits": (lambda p, d: p.write_text(f'[{{"id": {"1" * 5000}}}]'), "not valid JSON: .*digits"),
    "no entries": (lambda path, disk: path.write_text("[]"), "expected a list of entries, found nothing in it"),
    "another shape": (lambda path, disk: path.write_text('{"a": 1}'), "expected a list of entries, found an object"),
    "an entry that is none": (lambda p, d: rewrite(p, lambda e: e.insert(0, "x")), "entry 0: expected an object"),
    "unknown key": (lambda p, d: rewrite(p, lambda e: e[1].update(extra=1)), "entry 1: unknown key 'extra'"),
    "missing caption": (lambda p, d: rewrite(p, lambda e: e[1].pop(d.caption) and None), "entry 1: no key"),
    "caption that is no text": (lambda p, d: rewrite(p, lambda e: e[1].update({d.caption: 7})), "entry 1: .* must be"),
    "missing reference": (
        lambda p, d: rewrite(p, lambda e: e[0].pop("reference_img_id" if d.id == "id" else d.id) and None),
        "entry 0: no key",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", DISKS)
def test_faults_of_annotation_files_name_file_and_entry(name: str, fault: str, root: Path) -> None:
    disk, (apply, said) = DISKS[name], FAULTS[fault]
    path = root / disk.annotations
    apply(path, disk)
    if name == "cirr" and fault == "missing reference":  # its id is the pair's
        said = "entry 0: no key 'pairid'"
    with pytest.raises(DataError, match=said) as caught:
        disk.load(root)
    assert str(path) in caught.value.message and caught.value.hint


def emptied(document: Any) -> Any:
    """A gallery without a picture, in the gallery file's own shape."""
    if isinstance(document, dict) and "images" in document:
        return {**document, "images": []}
    return type(document)()


GALLERY_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing file": (lambda path: path.unlink(), "not found"),
    "cut in half": (lambda path: path.write_bytes(path.read_bytes()[:40]), "not valid JSON"),
    "empty gallery": (lambda path: rewrite(path, emptied), "expected (a list|an object) of|the gallery is empty"),
    "another shape": (lambda path: path.write_text('"text"'), "expected"),
}


@pytest.mark.parametrize("fault", GALLERY_FAULTS)
@pytest.mark.parametrize("name", [name for name, disk in DISKS.items() if disk.gallery])
def test_faults_of_gallery_files_name_the_file(name: str, fault: str, root: Path) -> None:
    disk, (apply, said) = DISKS[name], GALLERY_FAULTS[fault]
    path = root / str(disk.gallery)
    apply(path)
    with pytest.raises(DataError, match=said) as caught:
        disk.load(root)
    assert str(path) in caught.value.message and caught.value.hint


def twice(document: Any) -> Any:
    """A gallery that lists a picture twice, under one name or two."""
    if isinstance(document, list):
        return [*document, document[0]]
    if "images" in document:
        return {**document, "images": [*document["images"], document["images"][0]]}
    return {**document, "another": next(iter(document.values()))}


@pytest.mark.parametrize("name", [name for name, disk in DISKS.items() if disk.gallery])
def test_a_gallery_that_lists_a_picture_twice_is_refused(name: str, root: Path) -> None:
    disk = DISKS[name]
    rewrite(root / str(disk.gallery), twice)
    with pytest.raises(DataError, match="appears twice") as caught:
        disk.load(root)
    assert str(root / str(disk.gallery)) in caught.value.message


@pytest.mark.parametrize("key", ["target", "reference"])
@pytest.mark.parametrize("name", [name for name, disk in DISKS.items() if disk.gallery])
def test_pictures_outside_the_gallery_are_named_with_their_entry(name: str, key: str, root: Path) -> None:
    disk = DISKS[name]
    keys = {"fashioniq": "candidate", "cirr": "reference", "circo": "reference_img_id"}
    field = str(disk.target) if key == "target" else keys[name]
    stranger = 999999999 if name == "circo" else "stranger"
    rewrite(root / disk.annotations, lambda entries: entries[1].update({field: stranger}))
    with pytest.raises(DataError, match=r"entry 1: .*(not in the gallery|not among)") as caught:
        disk.load(root)
    assert str(root / disk.annotations) in caught.value.message and str(stranger) in caught.value.message


@pytest.mark.parametrize("name", [name for name, disk in DISKS.items() if disk.gallery])
def test_a_gallery_that_lost_a_picture_a_query_names_is_refused(name: str, root: Path) -> None:
    """Without it the query would never be answered: the split file comes from elsewhere or was cut by hand."""
    disk = DISKS[name]
    target = disk.load(root).queries[-1].targets[0]

    def without(document: Any) -> Any:
        if isinstance(document, list):
            return [id for id in document if id != target]
        if "images" in document:
            return {**document, "images": [image for image in document["images"] if str(image["id"]) != target]}
        return {id: path for id, path in document.items() if id != target}

    rewrite(root / str(disk.gallery), without)
    with pytest.raises(DataError, match=rf"entry \d+.*{target}.*not in the gallery of") as caught:
        disk.load(root)
    assert str(root / disk.annotations) in caught.value.message and str(disk.gallery) in caught.value.message


def ask_for_the_reference(entry: dict[str, Any], name: str) -> None:
    if name == "circo":
        entry["gt_img_ids"].append(entry["reference_img_id"])
    elif name == "genecis":
        entry["gallery"][3] = entry["reference"]
    else:
        entry[str(DISKS[name].target)] = entry["candidate" if name == "fashioniq" else "reference"]


@pytest.mark.parametrize("name", DISKS)
def test_a_query_for_its_own_reference_is_refused(name: str, root: Path) -> None:
    """Anything that looks at the reference alone would answer it. No published file has one."""
    disk = DISKS[name]
    rewrite(root / disk.annotations, lambda entries: ask_for_the_reference(entries[1], name))
    with pytest.raises(DataError, match="entry 1: ") as caught:
        disk.load(root)
    assert str(root / disk.annotations) in caught.value.message


GENECIS_FAULTS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "target is the reference": (
        "change_object",
        lambda entries: entries[1].update(target=entries[1]["reference"]),
        r"entry 1: the reference \d+ is the target or in the gallery itself",
    ),
    "no distractors": ("change_object", lambda entries: entries[1]["gallery"].clear(), "entry 1: 'gallery' holds no"),
    "id that is text": (
        "change_object",
        lambda entries: entries[1]["gallery"][2].update(val_image_id="7"),
        "entry 1, 'gallery' 2: 'val_image_id' must be an integer, found a string",
    ),
    "box of three": (
        "change_attribute",
        lambda entries: entries[1]["target"].update(instance_bbox=[1, 2, 3]),
        "entry 1, 'target': 'instance_bbox' must be",
    ),
    "box without area": (
        "change_attribute",
        lambda entries: entries[1]["target"].update(instance_bbox=[1, 2, 3, 0]),
        "entry 1, 'target': 'instance_bbox' must be",
    ),
    "box that is no number": (
        "change_attribute",
        lambda entries: entries[1]["target"].update(instance_bbox=[1, 2, 3, float("nan")]),
        "entry 1, 'target': 'instance_bbox' must be",
    ),
}


@pytest.mark.parametrize("fault", GENECIS_FAULTS)
@pytest.mark.parametrize("name", ["genecis"])
def test_faults_of_genecis_name_file_and_entry(name: str, fault: str, root: Path) -> None:
    task, change, said = GENECIS_FAULTS[fault]
    path = root / f"genecis/{task}.json"
    rewrite(path, change)
    with pytest.raises(DataError, match=said) as caught:
        GeneCIS().load(root, parts=(task,))
    assert str(path) in caught.value.message


@pytest.mark.parametrize("name", ["genecis"])
def test_boxes_may_be_whole_or_broken_numbers_but_lie_in_the_picture(name: str, root: Path) -> None:
    path = root / "genecis/change_attribute.json"
    (before,) = GeneCIS().load(root, parts=("change_attribute",))
    box = entries_of(path)[0]["target"]["instance_bbox"]
    rewrite(path, lambda entries: entries[0]["target"].update(instance_bbox=[float(value) for value in box]))
    (unit,) = GeneCIS().load(root, parts=("change_attribute",))
    assert (unit.queries, unit.gallery) == (before.queries, before.gallery) and find_broken([unit]) == [{}]
    rewrite(path, lambda entries: entries[0]["target"].update(instance_bbox=[9000.5, 0, 10, 10]))
    (unit,) = GeneCIS().load(root, parts=("change_attribute",))
    (broken,) = find_broken([unit])
    assert [(picture.id, picture.kind) for picture in broken.values()] == [(unit.queries[0].targets[0], "box outside")]
    with pytest.raises(DataError, match="leaves nothing of a picture"):
        open_image(unit.images[unit.queries[0].targets[0]])


@pytest.mark.parametrize("name", ["cirr", "circo"])
def test_ids_given_twice_are_refused(name: str, root: Path) -> None:
    disk = DISKS[name]
    rewrite(root / disk.annotations, lambda entries: entries[1].update({disk.id: entries[0][disk.id]}))
    with pytest.raises(DataError, match=rf"{disk.id} '\d+' appears twice"):
        disk.load(root)


# ---------------------------------------------------------------------------------------------- pictures


def replace_picture(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def as_jpeg(image: Image.Image, path: Path) -> bytes:
    image.convert("RGB").resize((64, 64)).save(path.with_suffix(".tmp"), "JPEG", quality=95)
    return path.with_suffix(".tmp").read_bytes()


def truncated(path: Path) -> None:
    with Image.open(path) as image:
        content = as_jpeg(image, path)
    replace_picture(path, content[: len(content) // 2])


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


PICTURE_FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "missing": (lambda path: path.unlink(), "missing", "pictures are missing|no such picture"),
    "zero bytes": (lambda path: replace_picture(path, b""), "empty", "the file is empty"),
    "truncated JPEG": (truncated, "truncated", "truncated"),
    "a folder in its place": (folder_in_its_place, "undecodable", "[Dd]irectory"),
    "dangling link": (dangling_link, "missing", "no such picture"),
    "text": (lambda path: replace_picture(path, b"not a picture"), "undecodable", "cannot identify"),
    "HTML of a failed download": (
        lambda path: replace_picture(path, b"<!doctype html><title>404</title>"),
        *("undecodable", "cannot identify"),
    ),
}


@pytest.mark.parametrize("fault", PICTURE_FAULTS)
@pytest.mark.parametrize("name", DISKS)
def test_broken_pictures_stop_an_evaluation_and_are_found_beforehand(
    name: str, fault: str, root: Path, tiny_backbone: Any
) -> None:
    disk, (apply, kind, said) = DISKS[name], PICTURE_FAULTS[fault]
    before = disk.load(root)
    reference = before.images[before.queries[0].reference]
    apply(reference.path)
    unit = disk.load(root)
    assert [query.id for query in unit.queries] == [query.id for query in before.queries]
    assert unit.gallery == before.gallery  # nothing leaves the gallery by itself
    (broken,) = find_broken([unit])
    assert [(picture.id, picture.kind) for picture in broken.values()] == [(reference.id, kind)]
    with pytest.raises(DataError, match=said) as caught:
        encode_units([unit], tiny_backbone, disk.benchmark.protocol())
    assert reference.path.stem in caught.value.message


MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "CMYK JPEG": lambda image: image.convert("CMYK"),
    "palette": lambda image: image.convert("RGB").convert("P"),
    "greyscale": lambda image: image.convert("L"),
    "transparent": lambda image: image.convert("RGBA"),
    "16 bits": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
    "black and white": lambda image: image.convert("1"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", DISKS)
def test_pictures_of_every_mode_are_read_as_rgb(name: str, mode: str, root: Path, tiny_backbone: Any) -> None:
    disk = DISKS[name]
    before = disk.load(root)
    path = before.images[before.queries[0].reference].path
    with Image.open(path) as image:
        changed = MODES[mode](image.copy())
    path.unlink()
    changed.save(path, "JPEG" if mode == "CMYK JPEG" else "PNG")
    unit = disk.load(root)
    assert (unit.queries, unit.gallery) == (before.queries, before.gallery) and find_broken([unit]) == [{}]
    features = encode_images(tiny_backbone, [unit.images[unit.queries[0].reference]])
    assert np.isfinite(features).all() and np.linalg.norm(features) > 0


# ---------------------------------------------------------------------------------------------- captions


CAPTIONS = {
    "empty": "",
    "blanks": "   ",
    "dollar": "costs $ 5, [$] or $",
    "star": "with a * on it",
    "braces": "{caption} {0} %s",
    "markers": "<start_of_text> <end_of_text>",
    "300 words": "very " * 299 + "red",
    "other scripts": "шапка, 帽子 and a hat\u2019s brim",
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, text) for name in DISKS for text in CAPTIONS if name == "cirr" or text in ("empty", "markers")),
        *(
            pytest.param(name, text, marks=pytest.mark.thorough)
            for name in DISKS
            for text in CAPTIONS
            if name != "cirr" and text not in ("empty", "markers")
        ),
    ],
)
def test_captions_of_every_kind_are_asked_as_they_are(name: str, text: str, root: Path, tiny_backbone: Any) -> None:
    """An empty caption is still a query, signs of other codes' slots stay text, and long texts lose their end."""
    disk, caption = DISKS[name], CAPTIONS[text]
    before = disk.load(root)
    value: Any = [caption, caption] if name == "fashioniq" else caption
    rewrite(root / disk.annotations, lambda entries: entries[0].update({disk.caption: value}))
    unit = disk.load(root)
    assert [query.id for query in unit.queries] == [query.id for query in before.queries]
    assert unit.gallery == before.gallery and set(unit.queries[0].captions) == {caption}
    (prompt, *_) = disk.benchmark.protocol().prompts(unit.queries[0])
    assert prompt.prefix == "a photo of " and caption.strip(".?, ") in prompt.suffix
    torch.manual_seed(0)
    inversion = Pic2Word(joint_dim=128, text_width=160).eval()
    data = encode_units([unit], tiny_backbone, disk.benchmark.protocol())
    for source in (TextOnly(), Composed(inversion)):
        vectors = source.vectors(data[0].inputs)
        assert torch.isfinite(vectors).all() and vectors.shape == (len(before.queries), 128)
        assert evaluate(disk.benchmark, data, source, resamples=0).results[0].n == len(before.queries)


# ---------------------------------------------------------------------------------------------- layouts


@pytest.mark.parametrize("name", DISKS)
def test_pictures_in_the_wrong_folder_are_missed_by_name(name: str, root: Path, tiny_backbone: Any) -> None:
    disk = DISKS[name]
    folder = next(iter(disk.load(root).images.values())).path.parent
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(DataError, match=r"(\d+) of \1 pictures are missing"):
        encode_units([disk.load(root)], tiny_backbone, disk.benchmark.protocol())


@pytest.mark.parametrize("name", DISKS)
def test_an_empty_data_root_says_what_belongs_there(name: str, whole: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found.*git clone"):
        DISKS[name].load(tmp_path)


def scored(disk: Disk, root: Path, backbone: Any) -> tuple[EvalUnit, Any]:
    unit = disk.load(root)
    data = encode_units([unit], backbone, disk.benchmark.protocol())
    return unit, evaluate(disk.benchmark, data, TextOnly(), keep_top=5)


@pytest.mark.parametrize("name", DISKS)
def test_without_a_fault_nothing_is_found_and_a_copy_gives_the_same_numbers(
    name: str, root: Path, whole: dict[str, Path], tiny_backbone: Any
) -> None:
    disk = DISKS[name]
    before, expected = scored(disk, whole[name], tiny_backbone)
    unit, found = scored(disk, root, tiny_backbone)
    assert find_broken([unit], workers=2) == [{}]
    assert (unit.queries, unit.gallery) == (before.queries, before.gallery)
    assert found.report == expected.report and found.results[0].n == len(unit.queries)
    assert found.results[0].top.ids == expected.results[0].top.ids


def json_folder(root: Path) -> Path:
    (root / "captions").rename(root / "json")
    return root


def a_folder_down(root: Path) -> Path:
    below = root.with_name("above") / "fashion-iq"
    below.parent.mkdir()
    root.rename(below)
    return below.parent


def img_raw(root: Path) -> Path:
    (root / "cirr/img_raw").mkdir()
    (root / "dev").rename(root / "cirr/img_raw/dev")
    return root


def img_raw_in_the_root(root: Path) -> Path:
    return img_raw(root) / "cirr"


def coco_unwrapped(root: Path) -> Path:
    for file in (root / "COCO2017_unlabeled/annotations").iterdir():
        file.rename(root / "annotations" / file.name)
    (root / "COCO2017_unlabeled/unlabeled2017").rename(root / "unlabeled2017")
    return root


def genecis_twice(root: Path) -> Path:
    (root / "genecis").rename(root / "inner")
    (root / "genecis").mkdir()
    (root / "inner").rename(root / "genecis/genecis")
    return root


def task_folder_as_root(root: Path) -> Path:
    (root / "coco2017/val2017").rename(root / "genecis/val2017")
    return root / "genecis"


def endings_in_capitals(root: Path) -> Path:
    for path in [path for path in root.rglob("*") if path.suffix in (".jpg", ".png")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    return root


LAYOUTS = [
    *(("fashioniq", layout) for layout in (json_folder, a_folder_down, endings_in_capitals)),
    *(("cirr", layout) for layout in (img_raw, img_raw_in_the_root, endings_in_capitals)),
    *(("circo", layout) for layout in (coco_unwrapped, endings_in_capitals)),
    *(("genecis", layout) for layout in (genecis_twice, task_folder_as_root, endings_in_capitals)),
]


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_every_layout_that_is_accepted_gives_the_same_numbers(
    name: str, layout: Callable[[Path], Path], root: Path, whole: dict[str, Path], tiny_backbone: Any
) -> None:
    disk = DISKS[name]
    before, expected = scored(disk, whole[name], tiny_backbone)
    unit, found = scored(disk, layout(root), tiny_backbone)
    assert (unit.queries, unit.gallery) == (before.queries, before.gallery)
    assert found.report == expected.report
