import pytest

from motacli.benchmarks.annotations import read_json
from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.genecis import GeneCIS
from motacli.errors import DataError

FILES = [
    (FashionIQ, "fashioniq_root", "captions/cap.dress.val.json"),
    (FashionIQ, "fashioniq_root", "image_splits/split.dress.val.json"),
    (CIRR, "cirr_root", "cirr/captions/cap.rc2.val.json"),
    (CIRR, "cirr_root", "cirr/image_splits/split.rc2.val.json"),
    (CIRCO, "circo_root", "annotations/val.json"),
    (CIRCO, "circo_root", "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"),
    (GeneCIS, "genecis_root", "genecis/change_object.json"),
]


@pytest.mark.parametrize(("benchmark", "root", "file"), FILES)
def test_a_file_cut_in_half_is_named(request, benchmark, root, file):
    path = request.getfixturevalue(root) / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"not valid JSON at line 1.*download it again") as caught:
        benchmark().load(request.getfixturevalue(root))
    assert str(path) in caught.value.message


@pytest.mark.parametrize(("benchmark", "root", "file"), FILES)
def test_a_file_in_another_encoding_is_named(request, benchmark, root, file):
    path = request.getfixturevalue(root) / file
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"', b'"\xe9', 1))
    with pytest.raises(DataError, match="not UTF-8 text at byte") as caught:
        benchmark().load(request.getfixturevalue(root))
    assert str(path) in caught.value.message


@pytest.mark.parametrize(("benchmark", "root", "file"), FILES)
def test_a_missing_file_is_named(request, benchmark, root, file):
    path = request.getfixturevalue(root) / file
    path.unlink()
    with pytest.raises(DataError, match="not found") as caught:
        benchmark().load(request.getfixturevalue(root))
    assert path.name in caught.value.message and caught.value.hint


@pytest.mark.parametrize(("content", "found"), [('{"a": 1}', "an object"), ("null", "None"), ("[]", "nothing in it")])
def test_a_file_of_another_shape_is_named(fashioniq_root, content, found):
    path = fashioniq_root / "captions/cap.dress.val.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"cap\.dress\.val\.json: expected a list of entries, found {found}"):
        FashionIQ().load(fashioniq_root)


def test_a_byte_order_mark_is_no_error_and_a_folder_is(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]
    with pytest.raises(DataError, match="directory"):
        read_json(tmp_path)
