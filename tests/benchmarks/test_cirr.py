import pytest

from motacli.benchmarks.cirr import CIRR
from motacli.errors import DataError, UnknownNameError


def test_unit_drops_the_reference_from_ranking_and_subset(cirr_root):
    (unit,) = CIRR().load(cirr_root)
    query = unit.queries[0]
    assert unit.name == "cirr_val" and unit.exclude_reference and len(unit.gallery) == 6
    assert (query.id, query.reference, query.targets) == ("5", "dev-0", ("dev-2",))
    assert query.subset == ("dev-1", "dev-2", "dev-3")


def test_test1_has_no_targets_and_may_have_an_empty_caption(cirr_root):
    (unit,) = CIRR().load(cirr_root, "test1")
    assert (unit.name, unit.metrics) == ("cirr_test1", ())
    assert unit.queries[0].targets == () and unit.queries[0].captions == ("",)


@pytest.mark.parametrize("place", ["", "cirr", "cirr/img_raw"])
def test_pictures_beside_inside_or_in_img_raw(cirr_root, place):
    folder = cirr_root / place / "dev"
    folder.mkdir(parents=True)
    (folder / "dev-0.png").touch()
    (folder / "dev-1.jpg").touch()
    images = CIRR().load(cirr_root)[0].images
    assert images["dev-0"].path.samefile(folder / "dev-0.png")
    assert images["dev-1"].path.samefile(folder / "dev-1.jpg")


def test_flat_layout_and_the_folder_above(cirr_root, tmp_path_factory):
    above = tmp_path_factory.mktemp("data")
    (cirr_root / "cirr").rename(above / "CIRR")
    assert CIRR().load(above)[0].gallery == CIRR().load(above / "CIRR")[0].gallery


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs[1].update(pairid=5), r"cap\.rc2\.val\.json: pairid '5' appears twice"),
        (lambda pairs: pairs[0].update(pairid="x"), r"'pairid' must be an integer, found a string"),
        (lambda pairs: pairs[0].update(target_hard="dev-9"), r"entry 0: 'target_hard' names 'dev-9', which is not in"),
        (lambda pairs: pairs[0].update(target_hard="dev-5"), r"entry 0: 'target_hard' 'dev-5' has to be a member"),
        (lambda pairs: pairs[0].update(target_hard="dev-0"), r"entry 0: 'target_hard' 'dev-0' has to be a member"),
        (lambda pairs: pairs[1].pop("target_hard"), r"entry 1: no key 'target_hard'"),
        (lambda pairs: pairs[0].pop("img_set"), r"entry 0: no key 'img_set'"),
        (lambda pairs: pairs[0].update(captoin="x"), r"unknown key 'captoin' \(did you mean 'caption'"),
        (lambda pairs: pairs[0].update(caption=None), r"'caption' must be a string, found None"),
        (lambda pairs: pairs[0]["img_set"]["members"].append("dev-1"), r"'members' names 'dev-1' twice"),
        (lambda pairs: pairs[0]["img_set"]["members"].remove("dev-0"), r"'members' lacks the reference 'dev-0'"),
        (lambda pairs: pairs[0].update(reference="dev-8"), r"'reference' names 'dev-8'"),
    ],
)
def test_faults_in_captions_name_file_and_entry(cirr_root, rewrite, change, message):
    rewrite(cirr_root / "cirr/captions/cap.rc2.val.json", change)
    with pytest.raises(DataError, match=message):
        CIRR().load(cirr_root)


def test_a_repeated_gallery_name_is_refused(cirr_root):
    path = cirr_root / "cirr/image_splits/split.rc2.val.json"
    path.write_text('{"dev-0": "./dev/a.png", "dev-0": "./dev/b.png"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"split\.rc2\.val\.json: 'dev-0' appears twice"):
        CIRR().load(cirr_root)


def test_two_names_for_one_file_are_refused(cirr_root, rewrite):
    path = cirr_root / "cirr/image_splits/split.rc2.val.json"
    rewrite(path, lambda files: files.update({"dev-1": files["dev-0"]}))
    with pytest.raises(DataError, match=r"file './dev/dev-0.png' appears twice"):
        CIRR().load(cirr_root)


def test_parts_do_not_exist(cirr_root):
    with pytest.raises(UnknownNameError, match="unknown part of cirr 'dress'"):
        CIRR().load(cirr_root, parts=["dress"])
