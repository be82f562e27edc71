import pytest

from motacli.benchmarks.fashioniq import FashionIQ
from motacli.contracts import Query
from motacli.errors import DataError, UnknownNameError


def test_units_queries_and_gallery_order(fashioniq_root):
    units = FashionIQ().load(fashioniq_root)
    assert [unit.name for unit in units] == ["fashioniq_dress", "fashioniq_shirt", "fashioniq_toptee"]
    assert units[0].gallery == ("A3", "A1", "A2") and not units[0].exclude_reference
    assert units[0].queries[0] == Query("A1|A2", "A1", (" is red.", "has, sleeves "), ("A2",))
    assert units[0].queries[1].captions == ("", "longer")
    assert units[0].images["A1"].path == fashioniq_root / "images/A1.jpg"


def test_parts_and_the_secret_split(fashioniq_root):
    (unit,) = FashionIQ().load(fashioniq_root, "test", ["shirt"])
    assert (unit.name, unit.metrics, unit.queries[0].targets) == ("fashioniq_shirt_test", (), ())


def test_targets_of_the_test_split_are_used_where_somebody_has_them(fashioniq_root, rewrite):
    rewrite(fashioniq_root / "captions/cap.shirt.test.json", lambda pairs: pairs[0].update(target="T2"))
    (unit,) = FashionIQ().load(fashioniq_root, "test", ["shirt"])
    assert unit.metrics == ("R@10", "R@50") and unit.queries[0].targets == ("T2",)


@pytest.mark.parametrize("prefix", ["fashioniq", "fashion-iq"])
def test_the_folder_above_and_the_json_folder_are_accepted(fashioniq_root, tmp_path_factory, prefix):
    above = tmp_path_factory.mktemp("data")
    fashioniq_root.joinpath("captions").rename(fashioniq_root / "json")
    fashioniq_root.rename(above / prefix)
    assert FashionIQ().load(above, parts=["dress"])[0].images["A1"].path == above / prefix / "images/A1.jpg"


def test_png_pictures_are_found(fashioniq_root):
    (fashioniq_root / "images").mkdir()
    for name in ("A1.png", "A2.jpg"):
        (fashioniq_root / "images" / name).touch()
    images = FashionIQ().load(fashioniq_root, parts=["dress"])[0].images
    assert [images[id].path.name for id in ("A1", "A2", "A3")] == ["A1.png", "A2.jpg", "A3.jpg"]


def test_the_average_needs_all_three_categories():
    rows = {
        f"fashioniq_{part}": {"R@10": 10.0 * i, "R@50": 60.0} for i, part in enumerate(("dress", "shirt", "toptee"))
    }
    expected = {"R@10": 10.0, "R@50": 60.0, "mean_of_R@10_and_R@50": 35.0}
    assert FashionIQ().averages(rows) == {"fashioniq_average": expected}
    del rows["fashioniq_shirt"]
    assert FashionIQ().averages(rows) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs[1].pop("target"), r"cap\.dress\.val\.json: entry 1: no key 'target'"),
        (lambda pairs: pairs[1].update(targt="A1"), r"entry 1: unknown key 'targt' \(did you mean 'target'"),
        (lambda pairs: pairs[0].update(target="A9"), r"entry 0: 'target' names 'A9', which is not in the gallery"),
        (lambda pairs: pairs[0].update(candidate="A9"), r"entry 0: 'candidate' names 'A9'"),
        (lambda pairs: pairs[0].update(captions=["one"]), r"entry 0: 'captions' must hold two captions, found 1"),
        (lambda pairs: pairs[0].update(captions="one"), r"entry 0: 'captions' must be a list"),
        (lambda pairs: pairs[0].update(captions=["one", None]), r"entry 0: 'captions' must be a list of strings"),
        (lambda pairs: pairs.clear(), r"cap\.dress\.val\.json: expected a list of entries"),
        (lambda pairs: pairs.append(3), r"entry 2: expected an object, found an integer"),
    ],
)
def test_faults_in_captions_name_file_and_entry(fashioniq_root, rewrite, change, message):
    rewrite(fashioniq_root / "captions/cap.dress.val.json", change)
    with pytest.raises(DataError, match=message):
        FashionIQ().load(fashioniq_root, parts=["dress"])


def test_a_repeated_gallery_image_is_refused(fashioniq_root, rewrite):
    rewrite(fashioniq_root / "image_splits/split.dress.val.json", lambda ids: ids.append("A1"))
    with pytest.raises(DataError, match=r"split\.dress\.val\.json: image 'A1' appears twice"):
        FashionIQ().load(fashioniq_root)


def test_a_missing_split_file_is_named(fashioniq_root):
    (fashioniq_root / "image_splits/split.dress.val.json").unlink()
    with pytest.raises(DataError, match=r"split\.dress\.val\.json not found \(git clone"):
        FashionIQ().load(fashioniq_root)


def test_an_empty_folder_names_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"captions/cap\.dress\.val\.json not found"):
        FashionIQ().load(tmp_path)


def test_unknown_split_and_part(fashioniq_root):
    with pytest.raises(UnknownNameError, match="unknown fashioniq split 'vall'"):
        FashionIQ().load(fashioniq_root, "vall")
    with pytest.raises(UnknownNameError, match="did you mean 'shirt'"):
        FashionIQ().load(fashioniq_root, parts=["shirts"])
