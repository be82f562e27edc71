import pytest

from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.images import ImageFolder, missing_images, require_images
from motacli.errors import DataError


def test_missing_images_are_listed_and_refused(fashioniq_root):
    folder = fashioniq_root / "images"
    folder.mkdir()
    (folder / "A1.jpg").touch()
    (unit,) = FashionIQ().load(fashioniq_root, parts=["dress"])
    assert [image.id for image in missing_images(unit)] == ["A3", "A2"]
    with pytest.raises(DataError, match=r"fashioniq_dress: 2 of 3 pictures are missing, the first is .*A3\.jpg"):
        require_images(unit)


def test_nothing_is_missing_once_every_file_is_there(fashioniq_root):
    (fashioniq_root / "images").mkdir()
    for id in ("A1", "A2", "A3"):
        (fashioniq_root / f"images/{id}.png").touch()
    (unit,) = FashionIQ().load(fashioniq_root, parts=["dress"])
    require_images(unit)


def test_a_dot_in_a_name_is_not_an_ending(tmp_path):
    (tmp_path / "v1.2.png").touch()
    assert ImageFolder(tmp_path).find("v1.2.jpg").name == "v1.2.png"
    assert ImageFolder(tmp_path).find("v1.2").name == "v1.2.png"


@pytest.mark.parametrize("ending", [".JPG", ".jpeg", ".JPEG", ".PNG"])
def test_endings_in_capitals_are_found_and_exact_names_come_first(tmp_path, ending):
    (tmp_path / f"A1{ending}").touch()
    assert ImageFolder(tmp_path).find("A1.jpg").name == f"A1{ending}"
    (tmp_path / "A1.jpg").touch()
    assert ImageFolder(tmp_path).find("A1.jpg").name == "A1.jpg"
