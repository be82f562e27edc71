from dataclasses import replace
from pathlib import Path

import pytest

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.genecis import GeneCIS
from motacli.benchmarks.protocol import RankingRule, find_protocol, protocol_names
from motacli.contracts import Prompt, Query
from motacli.errors import DataError, UnknownNameError, UsageError


def test_searle_reads_a_pair_in_both_orders_and_strips_it():
    query = Query("0", "a", (" is red. ", "has, sleeves?"))
    assert FashionIQ().protocol("searle").prompts(query) == (
        Prompt("a photo of ", " that is red and has, sleeves"),
        Prompt("a photo of ", " that has, sleeves and is red"),
    )
    assert FashionIQ().protocol("searle").text(query) == "is red and has, sleeves"


def test_pic2word_reads_the_second_caption_first_and_leaves_it_raw():
    query = Query("0", "a", ("is red. ", "longer?"))
    assert FashionIQ().protocol("pic2word").prompts(query) == (Prompt("a photo of ", " , longer? and is red. "),)
    assert FashionIQ().protocol("pic2word").text(query) == "longer? and is red. "


def test_a_single_caption_is_used_as_annotated():
    found = CIRR().protocol("searle").prompts(Query("0", "a", (" two dogs. ",)))
    assert found == (Prompt("a photo of ", " that  two dogs. "),)


@pytest.mark.parametrize("caption", ["costs $5", "a * star", "{caption} {0} %s", "", "$", "a photo of $ that"])
@pytest.mark.parametrize("protocol", ["searle", "pic2word"])
def test_slot_signs_and_braces_in_a_caption_stay_text(caption, protocol):
    (prompt,) = CIRR().protocol(protocol).prompts(Query("0", "a", (caption,)))
    assert prompt.prefix == "a photo of "
    assert prompt.suffix == {"searle": " that ", "pic2word": " , "}[protocol] + caption


def test_an_empty_caption_of_a_pair_keeps_its_place():
    first, second = find_protocol("searle", "fashioniq").prompt.render(("", "longer"))
    assert (first.suffix, second.suffix) == (" that  and longer", " that longer and ")


def test_unknown_protocol_suggests_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'searle'"):
        find_protocol("searl", "cirr")


def test_every_named_protocol_covers_every_benchmark():
    assert protocol_names() == ("pic2word", "searle")
    for name in protocol_names():
        for benchmark in (FashionIQ(), CIRR(), CIRCO(), GeneCIS()):
            protocol = benchmark.protocol(name)
            assert protocol.name == name and protocol.ranking and protocol.ranking.metrics


def test_what_the_two_protocols_rank_and_count():
    searle, pic2word = (find_protocol(name, "cirr").ranking for name in ("searle", "pic2word"))
    assert searle and pic2word and searle.reference == pic2word.reference == "removed"
    assert pic2word.metrics == ("R@1", "R@5", "R@10", "R@50", "R@100") and "Rsubset@1" in searle.metrics
    assert find_protocol("searle", "fashioniq").ranking == RankingRule(("R@10", "R@50"))


def test_a_file_takes_over_what_it_does_not_say(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "searle"\nsource = "me"\n[prompts]\ntemplate = "$ but {caption}"\nslot = "$"\n')
    protocol = FashionIQ().protocol(str(file))
    assert (protocol.name, protocol.source) == ("mine", "me")
    assert protocol.prompts(Query("0", "a", ("red", "long"))) == (Prompt("", " but red and long"),)
    assert protocol.ranking == find_protocol("searle", "fashioniq").ranking
    assert protocol.record()["prompt"]["template"] == "$ but {caption}"


RULES = '[ranking.cirr]\nmetrics = ["R@1"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('source = "x"\n' + RULES, "no table \\[prompts\\]"),
        ('source = "x"\nbase = "searl"', "did you mean 'searle'"),
        ('sauce = "x"', "unknown option 'sauce'"),
        ("source = ", "not valid TOML"),
        ('source = "x"\nbase = "searle"\n[ranking.cirr]\nmetrics = ["P@1"]', "unknown metric 'P@1'"),
        ('source = "x"\nbase = "searle"\n' + RULES + 'reference = "gone"', "reference must be one of"),
        ('source = "x"\n[prompts]\ntemplate = "a photo of {caption}"\nslot = "$"', "needs one '\\$'"),
        ('source = "x"\n[prompts]\ntemplate = "{caption} $"\nslot = "$"', "before {caption}"),
    ],
)
def test_mistakes_in_a_file_are_named(text: str, said: str, tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        CIRR().protocol(str(file))
    with pytest.raises(DataError, match="no such protocol file"):
        CIRR().protocol(str(tmp_path / "other.toml"))


def test_a_rule_changes_a_unit_by_what_it_says(cirr_root: Path, circo_root: Path):
    (cirr,), (circo,) = CIRR().load(cirr_root), CIRCO().load(circo_root)
    kept = RankingRule(("R@1",), reference="kept", ties="lost").apply(cirr)
    assert (kept.metrics, kept.exclude_reference, kept.ties) == (("R@1",), False, "lost")
    narrow = RankingRule(("mAP@5",), gallery="queried", targets="annotated", ap_divisor="targets").apply(circo)
    assert narrow.gallery == ("30", "11", "12") and narrow.queries[0].targets == ("30",)
    assert (narrow.ap_divisor, narrow.metrics) == ("targets", ("mAP@5",))
    (secret,) = CIRR().load(cirr_root, "test1")
    assert RankingRule(("R@1",)).apply(secret).metrics == ()


def test_the_shared_concept_is_said_on_request_only(circo_root: Path):
    (query,) = CIRCO().load(circo_root)[0].queries
    protocol = CIRCO().protocol()
    assert query.concept == "a dog" and protocol.prompts(query) == (Prompt("a photo of ", " that is at night"),)
    told = protocol.with_concept()
    assert told.name == "searle+concept"
    assert told.prompts(query) == (Prompt("a photo of ", " , a dog, that is at night"),)
    tricky = replace(query, concept="{caption}", captions=("{concept}",))
    assert told.prompts(tricky) == (Prompt("a photo of ", " , {caption}, that {concept}"),)
    with pytest.raises(UsageError, match="no prompt for a shared concept"):
        CIRCO().protocol("pic2word").with_concept()
