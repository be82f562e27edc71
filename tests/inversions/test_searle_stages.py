"""SEARLE's stages one by one: concepts, phrases, inversion without a network."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motacli.config import parse_options
from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import DataError, MotaError, UsageError
from motacli.inversions.concepts import associate, concept_features, read_concepts, templates
from motacli.inversions.data import PairFeatures, photo_prompt, spliced_features
from motacli.inversions.oti import OTIOptions, SearleOTI
from motacli.inversions.phrases import ConceptBook, names_of, read_phrases, rule_phrases
from motacli.inversions.searle import Searle, SearleOptions
from motacli.inversions.written_phrases import write_phrases
from motacli.llms.asking import AskOptions

NAMES = ("circle", "star", "square", "triangle")


def test_there_are_24_templates_with_one_slot_each() -> None:
    found = templates()
    assert len(found) == len(set(found)) == 24 and all(text.count("{}") == 1 for text in found)


def test_concepts_come_from_lines_or_from_a_column(tmp_path: Path) -> None:
    lines, table, other = tmp_path / "c.txt", tmp_path / "c.csv", tmp_path / "other.csv"
    lines.write_text("circle\n\n star \ncircle\n")
    table.write_text('LabelName,DisplayName\n/m/1,"Hat, red"\n/m/2,Dog\n')
    other.write_text("a,b\n1,2\n")
    assert read_concepts(lines) == ("circle", "star") and read_concepts(table) == ("Hat, red", "Dog")
    for path, said in ((other, "no column"), (tmp_path / "gone", "no such file")):
        with pytest.raises(DataError, match=said):
            read_concepts(path)
    lines.write_text("\n")
    with pytest.raises(DataError, match="names no concept"):
        read_concepts(lines)


def test_pictures_are_associated_with_the_concepts_closest_to_them(tiny_backbone: Any) -> None:
    features = concept_features(tiny_backbone, NAMES)
    assert features.shape == (4, 128) and torch.allclose(features.norm(dim=1), torch.ones(4), atol=1e-5)
    found = associate(tiny_backbone, 7 * features[[2, 0]], NAMES, 3)
    assert found.shape == (2, 3) and names_of(found[:, :1], NAMES) == [["square"], ["circle"]]
    expected = (features[[2, 0]] @ features.T).argsort(dim=1, descending=True)[:, :3]
    assert np.array_equal(found, expected.numpy())


def test_phrases_are_drawn_per_picture_and_encoded_once(tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from motacli.inversions import phrases

    encoded: list[str] = []
    real = phrases.encode_texts_shared
    monkeypatch.setattr(
        phrases,
        "encode_texts_shared",
        lambda backbone, texts, *more: encoded.extend(texts) or real(backbone, texts, *more),
    )
    book = ConceptBook(tiny_backbone, [["circle"], ["star", "square"]], rule_phrases(NAMES))
    prompts, wholes = book.draw([0, 1] * 40, Random(0))
    assert len(prompts) == len(wholes) == 80 and len(encoded) == len(set(encoded))
    book.draw([0] * 200, Random(1))
    assert len(encoded) == len(set(encoded))
    (circle,) = tiny_backbone.tokenize("circle")
    word = tiny_backbone.embed_tokens(torch.tensor([[circle]]))
    again = spliced_features(tiny_backbone, prompts[:1], word)
    assert F.cosine_similarity(again, wholes[:1]).item() == pytest.approx(1, abs=1e-4)


def test_concepts_whose_phrases_do_not_hold_them_are_left_out(tiny_backbone: Any) -> None:
    phrases = {"circle": ["a circle", "something else"], "star": ["a star"]}
    prompts, _ = ConceptBook(tiny_backbone, [["circle", "star"]], phrases).draw([0] * 20, Random(0))
    assert len(set(prompts)) == 1
    with pytest.raises(DataError, match="picture 0 has no concept"):
        ConceptBook(tiny_backbone, [["circle"]], phrases)


def test_phrase_files(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"star": ["a star"]}))
    assert read_phrases(path) == {"star": ["a star"]}
    for text, said in (("[1]", "no JSON of phrases"), ("{", "no JSON of phrases"), ('{"a": "b"}', "no JSON")):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_phrases(path)
    with pytest.raises(DataError, match="is a pickle"):
        read_phrases(tmp_path / "concept_to_phrases.pkl")
    with pytest.raises(DataError, match="no such file"):
        read_phrases(tmp_path / "gone.json")


class Writer:
    """A language model that numbers its lines and sometimes forgets the concept."""

    name = model = "writer"

    def __init__(self, knows: str = "star circle") -> None:
        self.asked: list[str] = []
        self.knows = knows.split()

    def complete(self, request: ChatRequest) -> ChatAnswer:
        concept = request.user.split("a photo of ")[1].split(" that")[0]
        self.asked.append(concept)
        if concept not in self.knows:
            return ChatAnswer("no")
        return ChatAnswer(f"1. a photo of {concept} that shines\n- a photo of some\n2. a photo of {concept} that fell")


def test_a_language_model_writes_phrases_and_is_asked_again_for_those_without(tmp_path: Path) -> None:
    writer, out = Writer(), tmp_path / "phrases.json"
    found = write_phrases(writer, ["star", "circle", "square"], 5, out, AskOptions(attempts=3))
    assert found["star"] == ["a photo of star that shines", "a photo of star that fell"]
    assert read_phrases(out) == found and set(found) == {"star", "circle"}
    assert Counter(writer.asked) == {"star": 1, "circle": 1, "square": 3}
    with pytest.raises(MotaError, match="exists already"):
        write_phrases(writer, ["star"], 5, out)
    with pytest.raises(MotaError, match="wrote no phrase"):
        write_phrases(writer, ["square"], 5, tmp_path / "other.json", AskOptions(attempts=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phrases.json"]


def test_what_an_interrupted_attempt_was_told_is_not_asked_again(tmp_path: Path) -> None:
    writer, out = Writer(), tmp_path / "phrases.json"
    partial = tmp_path / "phrases.json.partial"
    partial.write_text('["star", ["a photo of star that waits"]]\n["circle", ["a pho')
    found = write_phrases(writer, ["star", "circle"], 5, out)
    assert found["star"] == ["a photo of star that waits"] and writer.asked == ["circle"]
    assert read_phrases(out) == found and not partial.exists()


@pytest.mark.parametrize("source", ["rules", "file"])
def test_training_on_pictures_and_concepts_alone(source: str, tiny_backbone: Any, tmp_path: Path) -> None:
    (tmp_path / "concepts.txt").write_text("\n".join(NAMES))
    (tmp_path / "phrases.json").write_text(json.dumps(rule_phrases(NAMES[:2])))
    image = torch.randn(10, 128, generator=torch.Generator().manual_seed(0))
    data = PairFeatures(image, (), torch.zeros(0, 128))
    options = SearleOptions(
        epochs=0,
        steps=3,
        batch_size=5,
        concepts=str(tmp_path / "concepts.txt"),
        phrases="rules" if source == "rules" else str(tmp_path / "phrases.json"),
        oti=OTIOptions(steps=2, concepts=2),
    )
    phi, record = Searle.fit(tiny_backbone, data, options)
    assert record["rows"] == 10 and torch.isfinite(phi(image)).all()
    with pytest.raises(DataError, match="trained on captions"):
        Searle.fit(tiny_backbone, data, SearleOptions(epochs=0, steps=1))
    with pytest.raises(UsageError, match="need a file of concepts"):
        parse_options(SearleOptions, {"phrases": "rules"}, "options")


def test_single_pictures_are_inverted_when_they_are_asked_for(tiny_backbone: Any) -> None:
    image = 5 * torch.randn(3, 128, generator=torch.Generator().manual_seed(1))
    phi = SearleOTI(tiny_backbone, OTIOptions(steps=60, templates="short", ema=0.8)).eval()
    with torch.no_grad():
        words = phi(image[[0, 1, 2, 0]])
        found = spliced_features(tiny_backbone, [photo_prompt(tiny_backbone)] * 4, words)
    assert words.shape == (4, 1, 160) and torch.equal(words[0], words[3]) and not words.requires_grad
    start = SearleOTI(tiny_backbone, OTIOptions(steps=1, templates="short"))(image)
    before = spliced_features(tiny_backbone, [photo_prompt(tiny_backbone)] * 3, start)
    closer = F.cosine_similarity(found[:3], image) - F.cosine_similarity(before, image)
    assert float(closer.min()) > 0.05


def test_mota_eval_takes_it_without_weights(tmp_path: Path, tiny_backbone: Any, host: Any, monkeypatch: Any) -> None:
    from motacli.cli import main
    from motacli.models import load_inversion
    from motacli.tiny.mini import write_circo

    phi: Any = load_inversion(host, "searle-oti", tiny_backbone)
    assert phi.options.templates == "short" and phi.options.steps == 120, "what the tiny CLIP's recipe says"
    monkeypatch.setattr(OTIOptions, "__post_init__", lambda self: object.__setattr__(self, "steps", 2))
    write_circo(tmp_path / "circo", 1, "val", queries=3, others=4)
    argv = ["eval", "circo", "--data-root", str(tmp_path / "circo"), "--inversion", "searle-oti"]
    assert main(argv, host=host) == 0
    assert main([*argv, "--inversion-weights", "x.pt"], host=host) == 2
