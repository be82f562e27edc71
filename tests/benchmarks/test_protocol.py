import pytest

from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.protocol import find_protocol
from motacli.contracts import Prompt, Query
from motacli.errors import UnknownNameError


def test_searle_reads_a_pair_in_both_orders_and_strips_it():
    query = Query("0", "a", (" is red. ", "has, sleeves?"))
    assert FashionIQ().prompts(query, "searle") == (
        Prompt("a photo of ", " that is red and has, sleeves"),
        Prompt("a photo of ", " that has, sleeves and is red"),
    )
    assert FashionIQ().text(query, "searle") == "is red and has, sleeves"


def test_pic2word_reads_the_second_caption_first_and_leaves_it_raw():
    query = Query("0", "a", ("is red. ", "longer?"))
    assert FashionIQ().prompts(query, "pic2word") == (Prompt("a photo of ", " , longer? and is red. "),)
    assert FashionIQ().text(query, "pic2word") == "longer? and is red. "


def test_a_single_caption_is_used_as_annotated():
    assert CIRR().prompts(Query("0", "a", (" two dogs. ",)), "searle") == (Prompt("a photo of ", " that  two dogs. "),)


@pytest.mark.parametrize("caption", ["costs $5", "a * star", "{caption} {0} %s", "", "$", "a photo of $ that"])
@pytest.mark.parametrize("protocol", ["searle", "pic2word"])
def test_slot_signs_and_braces_in_a_caption_stay_text(caption, protocol):
    (prompt,) = CIRR().prompts(Query("0", "a", (caption,)), protocol)
    assert prompt.prefix == "a photo of "
    assert prompt.suffix == {"searle": " that ", "pic2word": " , "}[protocol] + caption


def test_an_empty_caption_of_a_pair_keeps_its_place():
    first, second = find_protocol("searle").render(("", "longer"))
    assert (first.suffix, second.suffix) == (" that  and longer", " that longer and ")


def test_unknown_protocol_suggests_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'searle'"):
        find_protocol("searl")
