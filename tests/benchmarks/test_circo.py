import pytest

from motacli.benchmarks.circo import CIRCO
from motacli.errors import DataError


def test_gallery_follows_cocos_list_and_targets_start_with_the_annotated_one(circo_root, rewrite):
    rewrite(circo_root / "annotations/val.json", lambda queries: queries[0].update(gt_img_ids=[12, 30]))
    (unit,) = CIRCO().load(circo_root)
    assert unit.name == "circo_val" and unit.gallery == ("30", "11", "12", "40") and not unit.exclude_reference
    query = unit.queries[0]
    assert (query.id, query.reference, query.targets) == ("0", "11", ("30", "12"))
    assert query.tags == ("negation", "addition") and query.captions == ("is at night",)
    assert unit.images["30"].path == circo_root / "COCO2017_unlabeled/unlabeled2017/000000000030.jpg"


def test_test_split_is_secret(circo_root):
    (unit,) = CIRCO().load(circo_root, "test")
    assert unit.metrics == () and [query.targets for query in unit.queries] == [(), ()]


def test_coco_folder_without_its_wrapper(circo_root):
    listed = circo_root / "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"
    listed.rename(circo_root / "annotations" / listed.name)
    assert CIRCO().load(circo_root)[0].images["30"].path == circo_root / "unlabeled2017/000000000030.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q[0].update(gt_img_ids=[30, 99]), r"val\.json: entry 0: 'gt_img_ids' names '99', which is not in"),
        (lambda q: q[0].update(gt_img_ids=[30, 30]), r"'gt_img_ids' names '30' twice"),
        (lambda q: q[0].update(target_img_id=40), r"'target_img_id' 40 is not among 'gt_img_ids'"),
        (lambda q: q[0].update(reference_img_id=99), r"'reference_img_id' names '99'"),
        (lambda q: q[0].update(reference_img_id=True), r"'reference_img_id' must hold an id"),
        (lambda q: q[0].pop("gt_img_ids"), r"entry 0: no key 'gt_img_ids'"),
        (lambda q: q.append(q[0]), r"val\.json: id '0' appears twice"),
        (lambda q: q[0].update(relativ_caption=""), r"unknown key 'relativ_caption'"),
    ],
)
def test_faults_in_annotations_name_file_and_entry(circo_root, rewrite, change, message):
    rewrite(circo_root / "annotations/val.json", change)
    with pytest.raises(DataError, match=message):
        CIRCO().load(circo_root)


def test_the_image_list_is_asked_for_when_missing(circo_root):
    (circo_root / "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json").unlink()
    with pytest.raises(DataError, match=r"image_info_unlabeled2017\.json not found .*cocodataset\.org"):
        CIRCO().load(circo_root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda coco: coco["images"].append(coco["images"][0]), "image '30' appears twice"),
        (lambda coco: coco["images"].clear(), "the gallery is empty"),
        (lambda coco: coco.pop("images"), "top level: no key 'images'"),
        (lambda coco: coco["images"][1].pop("file_name"), "'images' 1: no key 'file_name'"),
    ],
)
def test_faults_in_the_image_list(circo_root, rewrite, change, message):
    rewrite(circo_root / "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json", change)
    with pytest.raises(DataError, match=message):
        CIRCO().load(circo_root)
