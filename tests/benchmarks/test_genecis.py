import pytest

from motacli.benchmarks.genecis import GeneCIS
from motacli.errors import DataError


def test_object_task_ranks_the_target_and_its_distractors(genecis_root):
    (unit,) = GeneCIS().load(genecis_root, parts=["change_object"])
    assert unit.name == "genecis_change_object" and unit.gallery == ("1", "2", "3")
    query = unit.queries[0]
    assert query.candidates == ("2", "3", "2") and query.targets == ("2",) and query.captions == ("wall",)
    assert unit.images["1"].path == genecis_root / "coco2017/val2017/000000000001.jpg"


def test_boxes_in_one_picture_are_distinct_images(genecis_root):
    (unit,) = GeneCIS().load(genecis_root, parts=["focus_attribute"])
    reference, target, distractor = (unit.images[id] for id in unit.gallery)
    assert reference.path == target.path != distractor.path and reference.id != target.id
    assert target.box == (8.5, 2.0, 30.0, 40.0) and target.path.name == "5.jpg"


def test_all_four_tasks_by_default_and_json_in_the_root(genecis_root):
    assert [unit.name.removeprefix("genecis_") for unit in GeneCIS().load(genecis_root)] == list(GeneCIS.parts)
    assert len(GeneCIS().load(genecis_root / "genecis")) == 4


@pytest.mark.parametrize("folder", ["VG_100K_all", "Visual_Genome/VG_All", "genecis/VG_100K_all"])
def test_visual_genome_folders(genecis_root, folder):
    (genecis_root / folder).mkdir(parents=True)
    (genecis_root / folder / "5.png").touch()
    (unit,) = GeneCIS().load(genecis_root, parts=["focus_attribute"])
    assert unit.images[unit.gallery[0]].path == genecis_root / folder / "5.png"


def test_the_average_needs_all_four_tasks():
    rows = {f"genecis_{part}": {"R@1": 10.0 * i, "R@2": 1.0, "R@3": 2.0} for i, part in enumerate(GeneCIS.parts)}
    assert GeneCIS().averages(rows) == {"genecis_average": {"R@1": 15.0, "R@2": 1.0, "R@3": 2.0}}
    rows.popitem()
    assert GeneCIS().averages(rows) == {}


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("change_object", lambda t: t[0].update(conditon=""), "unknown key 'conditon'"),
        ("change_object", lambda t: t[0].pop("target"), "entry 0: no key 'target'"),
        ("change_object", lambda t: t[0]["gallery"].clear(), "'gallery' holds no distractor"),
        ("change_object", lambda t: t[0]["gallery"][1].clear(), "entry 0, 'gallery' 1: no key 'val_image_id'"),
        ("change_object", lambda t: t[0].update(target=4), "entry 0, 'target': expected an object, found an integer"),
        ("focus_attribute", lambda t: t[0]["target"].update(instance_bbox=[1, 2, 0, 4]), "'instance_bbox' must be"),
        ("focus_attribute", lambda t: t[0]["target"].update(instance_bbox=[1, 2]), "'instance_bbox' must be"),
        ("focus_attribute", lambda t: t[0]["target"].update(instance_bbox=["1"]), "must be a list of numbers"),
    ],
)
def test_faults_name_file_and_entry(genecis_root, rewrite, task, change, message):
    rewrite(genecis_root / f"genecis/{task}.json", change)
    with pytest.raises(DataError, match=message) as caught:
        GeneCIS().load(genecis_root, parts=[task])
    assert f"{task}.json" in caught.value.message


def test_a_missing_task_file_says_how_to_go_on(genecis_root):
    (genecis_root / "genecis/focus_attribute.json").unlink()
    with pytest.raises(DataError, match=r"focus_attribute\.json not found .*name fewer parts"):
        GeneCIS().load(genecis_root)
