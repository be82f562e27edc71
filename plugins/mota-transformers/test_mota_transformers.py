"""Backbones of transformers: the library's own features, text from embeddings, and what is refused.

Every model is tiny and random, made here and saved to a folder: nothing is fetched.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from motacli.cli import main
from motacli.compose import compose_base, splice, tokenize_pieces, tokenize_prompt
from motacli.contracts import Backbone, Prompt, TunableText
from motacli.errors import DataError, MotaError, UnknownNameError, UsageError
from motacli.inversions.pic2word import Pic2Word
from motacli.models import BackboneChoice, load_backbone
from motacli.plugins import PluginHost
from motacli.testing import check_backbone
from motacli.tiny.make import make_pairs
from motacli.tiny.mini import write_fashioniq

transformers = pytest.importorskip("transformers", minversion="5.24")

from mota_transformers.loading import load_hf  # noqa: E402
from mota_transformers.pictures import model_inputs  # noqa: E402

TEXTS = ["a photo of a dog", "two red cats, and $ or *!", "", "A DOG", "dog " * 90]
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
VISION = {**TEXT, "image_size": 32, "patch_size": 8}
WORDS = ("a", "dog", "cat", "photo", "of", "that", "is", "red")


# ------------------------------------------------------------------------------------------------ tiny models


def clip_tokenizer() -> Any:
    """CLIP's tokenizer whose words are single bytes; its markers have the highest ids, as CLIP's have."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])


def xlm_tokenizer() -> Any:
    """The kind of tokenizer MetaCLIP 2 has: markers at the lowest ids, and known to the vocabulary itself."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *string.ascii_lowercase, *"<>/"]
    return transformers.XLMRobertaTokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)])


def siglip_tokenizer() -> Any:
    """As SigLIP's: no start marker, padding with the end marker, lower case without punctuation, spaces as words."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = ["<unk>", "</s>", "▁", *(f"▁{word}" for word in WORDS), *string.ascii_lowercase]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=0))
    plain = normalizers.Replace(Regex("[^a-z ]"), "")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), plain, normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>", "model_max_length": 64}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="right", model_input_names=["input_ids"], **names
    )


def siglip2_tokenizer() -> Any:
    """As SigLIP 2's, which is Gemma's: a word in the middle of a text begins with its space; padding with id 0."""
    from tokenizers import processors

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.ascii_lowercase, "do", "dog", "▁dog"]
    merges = [("d", "o"), ("do", "g"), ("▁", "dog")]
    tokenizer = transformers.Siglip2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,
        padding_side="right",
        model_input_names=["input_ids"],
        model_max_length=64,
    )
    end = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.backend_tokenizer.post_processor = end
    return tokenizer


def clip_processor() -> Any:
    return transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def siglip_processor() -> Any:
    return transformers.SiglipImageProcessor(size={"height": 32, "width": 32})


def clip(**text: Any) -> tuple[Any, Any, Any]:
    tokenizer = clip_tokenizer()
    own = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 77, "eos_token_id": tokenizer.eos_token_id}
    config = transformers.CLIPConfig(text_config={**own, **text}, vision_config=VISION, projection_dim=24)
    return transformers.CLIPModel(config), tokenizer, clip_processor()


def metaclip_2() -> tuple[Any, Any, Any]:
    tokenizer = xlm_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 77, "eos_token_id": 2}
    config = transformers.MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=24)
    return transformers.MetaClip2Model(config), tokenizer, clip_processor()


def siglip() -> tuple[Any, Any, Any]:
    tokenizer = siglip_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config=VISION)
    return transformers.SiglipModel(config), tokenizer, siglip_processor()


def siglip2_fixed() -> tuple[Any, Any, Any]:
    """SigLIP 2 for pictures of one size is SigLIP's model with another tokenizer."""
    tokenizer = siglip2_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config=VISION)
    return transformers.SiglipModel(config), tokenizer, siglip_processor()


def siglip2() -> tuple[Any, Any, Any]:
    """SigLIP 2 that keeps a picture's proportions (NaFlex)."""
    tokenizer = siglip2_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 32}
    vision = {**TEXT, "patch_size": 8, "num_patches": 16}
    config = transformers.Siglip2Config(text_config=text, vision_config=vision)
    processor = transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    return transformers.Siglip2Model(config), tokenizer, processor


def joined() -> tuple[Any, Any, Any]:
    """A CLIP text tower beside another family's image tower, as in EVA-CLIP."""
    tokenizer = clip_tokenizer()
    text = transformers.CLIPTextConfig(
        **TEXT, vocab_size=len(tokenizer), max_position_embeddings=77, eos_token_id=tokenizer.eos_token_id
    )
    vision = transformers.ViTConfig(**VISION)
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=24)
    return transformers.VisionTextDualEncoderModel(config=config), tokenizer, clip_processor()


MODELS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "clip": clip,
    "clip-legacy": lambda: clip(eos_token_id=2),
    "metaclip_2": metaclip_2,
    "siglip": siglip,
    "siglip2-fixed": siglip2_fixed,
    "siglip2": siglip2,
    "joined": joined,
}
CAUSAL = ("clip", "clip-legacy", "metaclip_2", "joined")


def save(folder: Path, made: tuple[Any, Any, Any]) -> Path:
    """A model whose weights all matter, in a folder of its own; those of a fresh model are partly zero."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in made[0].named_parameters():
        if name not in ("logit_scale", "logit_bias"):
            fresh = 0.3 * torch.randn(weight.shape, generator=generator)
            weight.data = fresh + 1 if "norm" in name and name.endswith("weight") else fresh
    for part in made:
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")

    def of(name: str) -> Path:
        return root / name if (root / name).is_dir() else save(root / name, MODELS[name]())

    return of


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, folders: Callable[[str], Path]) -> Path:
    return folders(name)


@pytest.fixture(scope="module")
def backbone(folder: Path, host: PluginHost) -> Any:
    return load_backbone(host, BackboneChoice(f"hf:{folder}", device="cpu"))


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    """The library's own model and processors, loaded without mota."""
    auto = transformers.AutoModel, transformers.AutoTokenizer, transformers.AutoImageProcessor
    model, tokenizer, processor = (one.from_pretrained(folder) for one in auto)
    return model.eval(), tokenizer, processor


def pictures() -> list[Image.Image]:
    """Noise in wide, high, small and grey."""
    rng = np.random.default_rng(0)
    shapes = [(60, 90, 3), (100, 40, 3), (20, 20, 3)]
    drawn = [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]
    return [*drawn, drawn[0].convert("L")]


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float((one - other).abs().max() / other.abs().max())


# ------------------------------------------------------------------------------------------------ equality


def test_it_is_a_backbone_with_text_weights(backbone: Any, folder: Path, name: str) -> None:
    assert isinstance(backbone, Backbone) and isinstance(backbone, TunableText)
    assert backbone.causal == (name in CAUSAL) and backbone.context_length == (77 if name in CAUSAL else 64)
    assert (backbone.start_token is None) == (name not in CAUSAL)
    assert (backbone.text_width, backbone.text_layers) == (32, 3)
    assert backbone.joint_dim == (24 if name in CAUSAL else 32)
    assert backbone.logit_scale == pytest.approx(float(backbone.model.logit_scale.exp()))
    assert backbone.parameter_count() == sum(p.numel() for p in backbone.model.parameters())
    assert not any(p.requires_grad for p in backbone.model.parameters())
    check_backbone(backbone, load=lambda device: load_hf(str(folder), device=device))


@torch.no_grad()
def test_text_features_are_the_librarys(backbone: Any, theirs: Any, name: str) -> None:
    model, tokenizer, _ = theirs
    padding = True if name in CAUSAL else "max_length"
    inputs = tokenizer(TEXTS, padding=padding, truncation=True, max_length=backbone.context_length, return_tensors="pt")
    expected = model.get_text_features(**inputs).pooler_output
    features = backbone.encode_text(TEXTS)
    assert features.dtype == torch.float32 and features.shape == (len(TEXTS), backbone.joint_dim)
    assert far(features, expected) < 1e-5
    assert far(torch.cat([backbone.encode_text([text]) for text in TEXTS]), expected) < 1e-5


@torch.no_grad()
def test_pictures_and_their_features_are_the_librarys(backbone: Any, theirs: Any) -> None:
    model, _, processor = theirs
    inputs = processor(images=[picture.convert("RGB") for picture in pictures()], return_tensors="pt")
    pixels = torch.stack([backbone.preprocess(picture) for picture in pictures()])
    assert pixels.dtype == torch.float32 and pixels.ndim == 4 and pixels.shape[1] == 3
    again = model_inputs(pixels, strips="spatial_shapes" in inputs)
    assert set(again) == set(inputs)
    for key, value in inputs.items():
        assert torch.equal(again[key].to(value.dtype), value)
    features = backbone.encode_image(pixels)
    assert features.dtype == torch.float32 and features.shape == (4, backbone.joint_dim)
    assert far(features, model.get_image_features(**inputs).pooler_output) < 1e-5


def test_pictures_are_padded_before(folders: Callable[[str], Path]) -> None:
    wide = Image.new("RGB", (100, 40), (250, 250, 250))
    plain, padded = (load_hf(str(folders("clip")), preprocessing=name) for name in ("clip", "targetpad"))
    assert padded.preprocess(wide).min() < plain.preprocess(wide).min()
    assert plain.fingerprint() != padded.fingerprint()


# ------------------------------------------------------------------------------------------------ embeddings


@torch.no_grad()
def test_what_stands_behind_the_end_does_not_count(backbone: Any) -> None:
    start = [] if backbone.start_token is None else [backbone.start_token]
    ids = [*start, *backbone.tokenize("a dog that is red"), backbone.end_token]
    embeddings, ends = backbone.embed_tokens(torch.tensor([ids])), torch.tensor([len(ids) - 1])
    expected = backbone.encode_text(["a dog that is red"])
    assert far(backbone.encode_embeddings(embeddings, ends), expected) < 1e-5
    noise = 9 * torch.randn(1, backbone.context_length - len(ids), backbone.text_width)
    for longer in (noise[:, :3], noise):
        assert far(backbone.encode_embeddings(torch.cat([embeddings, longer], dim=1), ends), expected) < 1e-5


@torch.no_grad()
def test_the_mask_is_causal_where_it_should_be(backbone: Any, name: str) -> None:
    embeddings, ends = torch.randn(1, 12, 32), torch.tensor([11])
    other = embeddings.clone()
    other[:, 7] = torch.randn(32)  # not a constant, which layer norms take away
    before, after = (backbone.tower.hidden(given, ends)[0] for given in (embeddings, other))
    moved = (before - after).abs().amax(1)
    assert (moved[7:] > 1e-3).all()
    assert bool((moved[:7] == 0).all()) == (name in CAUSAL)
    assert bool((moved[:7] > 1e-3).all()) == (name not in CAUSAL)


@torch.no_grad()
def test_hidden_states_are_the_librarys_with_deep_prompts_that_change_nothing(backbone: Any, theirs: Any) -> None:
    """Deep prompts that are the library's own hidden states of those positions leave its features as they are."""
    model = theirs[0]
    first = int(backbone.start_token is not None)
    text = "a dog that is red"
    ids = [*[backbone.start_token][:first], *backbone.tokenize(text), backbone.end_token]
    padded = ids + [backbone.tokens.padding] * (backbone.context_length - len(ids))
    told = model.text_model(input_ids=torch.tensor([padded]), output_hidden_states=True)
    deep = torch.stack([states[:, first : first + 2] for states in told.hidden_states[1:3]], dim=1)  # (1, 2, 2, w)
    embeddings, ends = backbone.embed_tokens(torch.tensor([ids])), torch.tensor([len(ids) - 1])
    expected = backbone.encode_text([text])
    assert far(backbone.encode_embeddings(embeddings, ends, deep), expected) < 1e-5
    for layer in range(2):
        changed = deep.clone()
        changed[:, layer] = torch.randn(2, 32)
        assert far(backbone.encode_embeddings(embeddings, ends, changed), expected) > 1e-3


@torch.no_grad()
def test_a_word_in_the_slot_gives_the_texts_own_features(backbone: Any) -> None:
    prompt = tokenize_prompt(backbone, Prompt("a photo of", "that is red"))
    (word,) = {tuple(backbone.tokenize(" dog"))}
    embedded = backbone.embed_tokens(torch.tensor([word]))
    spliced = splice(backbone, [prompt], embedded)
    features = backbone.encode_embeddings(spliced.embeddings, spliced.ends)
    assert far(features, backbone.encode_text(["a photo of dog that is red"])) < 1e-5


def test_gradients_reach_what_is_spliced_in(backbone: Any) -> None:
    prompts = [tokenize_pieces(backbone, ("a", "dog", "red")), tokenize_pieces(backbone, ("", ""))]
    words, task = torch.randn(2, 2, 32, requires_grad=True), torch.randn(2, 3, 32, requires_grad=True)
    deep = torch.randn(2, 2, 3, 32, requires_grad=True)
    spliced = splice(backbone, prompts, words, task)
    first = int(backbone.start_token is not None)
    assert torch.equal(spliced.embeddings[:, first : first + 3], task)
    backbone.encode_embeddings(spliced.embeddings, spliced.ends, deep).square().sum().backward()
    for given in (words, task, deep):
        assert given.grad is not None and given.grad.isfinite().all()
        assert (given.grad.flatten(1).abs().amax(1) > 0).all()


def test_markers_in_a_text_are_ordinary_text(backbone: Any) -> None:
    for marker in ("<|endoftext|>", "<|startoftext|>", "</s>", "<s>", "<eos>", "<pad>"):
        ids = backbone.tokenize(f"a {marker} dog")
        assert not {backbone.start_token, backbone.end_token, backbone.tokens.padding} & set(ids)
    assert len(backbone.tokenize("dog " * 90)) > backbone.context_length


def test_a_prompt_that_overruns_the_context_keeps_its_first_slot(backbone: Any) -> None:
    long = tokenize_prompt(backbone, Prompt("a photo of " * 40, "that is red"))
    spliced = splice(backbone, [long], torch.full((1, 2, 32), 7.0))
    assert spliced.embeddings.shape[1] == backbone.context_length == int(spliced.ends[0]) + 1
    assert (spliced.embeddings[0, -3:-1] == 7).all()


# ------------------------------------------------------------------------------------------------ weights


@torch.no_grad()
def test_the_same_text_weights_make_the_same_backbone(backbone: Any) -> None:
    weights = backbone.text_weights()
    assert weights["transformer.resblocks.2.attn.in_proj_weight"].shape == (96, 32)
    twin = backbone.with_text_weights(weights)
    assert torch.equal(twin.encode_text(TEXTS), backbone.encode_text(TEXTS))
    assert twin.fingerprint() == backbone.fingerprint()
    text = sum(p.numel() for p in backbone.model.text_model.parameters())
    text += sum(p.numel() for p in getattr(backbone.model, "text_projection", torch.nn.Identity()).parameters())
    assert sum(weight.numel() for weight in weights.values()) == text


def test_each_text_weight_counts_and_learns(backbone: Any) -> None:
    before = backbone.encode_text(TEXTS)
    weights = {key: value.clone().requires_grad_() for key, value in backbone.text_weights().items()}
    twin = backbone.with_text_weights(weights)
    word = torch.tensor([[backbone.tokenize("dog")[0], backbone.end_token]])
    twin.encode_embeddings(twin.embed_tokens(word), torch.tensor([1])).square().sum().backward()
    for key, weight in weights.items():
        assert weight.grad is not None and weight.grad.isfinite().all(), key
        assert weight.grad.abs().max() > 0, key
    assert torch.equal(backbone.encode_text(TEXTS), before)
    with pytest.raises(ValueError, match="no text weight"):
        backbone.with_text_weights({"ln_final.weight": torch.zeros(3)})


def test_fingerprints_tell_models_apart(folders: Callable[[str], Path], tmp_path: Path) -> None:
    one, again = (load_hf(str(folders("clip"))) for _ in range(2))
    assert one.fingerprint() == again.fingerprint()
    model, tokenizer, processor = clip(hidden_act="gelu")
    other = load_hf(str(save(tmp_path / "gelu", (model, tokenizer, processor))))
    parts, others = one.fingerprint_parts(), other.fingerprint_parts()
    assert [key for key in parts if parts[key] != others[key]] == ["architecture"]
    half = load_hf(str(folders("clip")), precision="bf16").fingerprint_parts()
    assert {key for key in parts if parts[key] != half[key]} == {"weights", "precision"}
    processor.image_mean = [0.4, 0.4, 0.4]
    moved = load_hf(str(save(tmp_path / "mean", (clip()[0], tokenizer, processor)))).fingerprint_parts()
    assert [key for key in parts if parts[key] != moved[key]] == ["transform"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@torch.no_grad()
def test_half_precision_is_near_full(precision: str, name: str, folder: Path, backbone: Any, host: PluginHost) -> None:
    half = load_backbone(host, BackboneChoice(f"hf:{folder}", device="cpu", precision=precision))
    texts, pixels = half.encode_text(TEXTS), torch.stack([half.preprocess(picture) for picture in pictures()])
    images = half.encode_image(pixels)
    assert texts.dtype == images.dtype == torch.float32
    assert F.cosine_similarity(texts, backbone.encode_text(TEXTS)).min() > 0.99
    assert F.cosine_similarity(images, backbone.encode_image(pixels)).min() > 0.99
    network = Pic2Word(joint_dim=half.joint_dim, text_width=half.text_width).eval()
    prompt = tokenize_prompt(half, Prompt("a photo of", "that is red"))
    assert compose_base(half, network, images, [prompt] * 4).isfinite().all()


# ------------------------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2"])
def test_the_whole_method_through_the_command_line(
    name: str, folders: Callable[[str], Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features, an inversion network, a MoTa adapter and LoRA, trained a few steps and scored."""
    folder = folders(name)
    make_pairs(tmp_path / "pairs", seed=1, count=24)
    write_fashioniq(tmp_path / "fashioniq", 1, "val", queries=3)
    model = ["--model", f"hf:{folder}", "--device", "cpu", "--quiet"]
    cache, triplets, phi = (str(tmp_path / file) for file in ("f.h5", "t.jsonl", "phi"))
    pairs, benchmark = str(tmp_path / "pairs"), ["fashioniq", "--data-root", str(tmp_path / "fashioniq")]
    few = ["--steps", "3", "--batch-size", "8"]
    capsys.readouterr()  # what saving the model printed

    def run(*argv: str) -> Any:
        code = main([*argv], host=host)
        told = capsys.readouterr()
        assert code == 0 and told.err == "", told.err
        return json.loads(told.out) if "--json" in argv else told.out

    run("cache", pairs, "-o", cache, *model)
    run("gen-triplets", pairs, "-o", triplets, "--quiet")
    run("train-inversion", "lincir", "--features", cache, "--out", phi, *few, *model)
    scores = [run("eval", *benchmark, "--inversion", phi, "--json", *model)]
    for kind in ("mota", "lora"):
        out = str(tmp_path / kind)
        data = ["--inversion", phi, "--triplets", triplets, "--features", cache, "--train-option", "long_captions=cut"]
        run("train", *data, "--adapter-type", kind, "--lr", "0.1", "--out", out, *few, *model)
        scores.append(run("eval", *benchmark, "--inversion", phi, "--adapter", out, "--json", *model))
    assert all(score for score in scores)
    refused = main(["eval", *benchmark, "--adapter", str(tmp_path / "mota"), "--inversion", phi], host=host)
    assert refused != 0 and "tiny" in capsys.readouterr().err


def test_the_model_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", Path(__file__).with_name("README.md").read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {})
    assert load_hf("./tiny-clip").joint_dim == 24


def test_listed_and_named(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row.status for row in host.rows() if row.name == "transformers"] == ["ok"]
    assert main(["ls", "backbones"], host=host) == 0
    assert "hf" in capsys.readouterr().out
    for model in ("hf", "hf:"):
        with pytest.raises(UsageError, match="no model of transformers is named"):
            load_backbone(host, BackboneChoice(model, device="cpu"))


# ------------------------------------------------------------------------------------------------ refusals


def refusal(folder: Path | str, **more: Any) -> MotaError:
    with pytest.raises(MotaError) as caught:
        load_hf(str(folder), **more)
    assert "\n" not in str(caught.value) and caught.value.hint
    return caught.value


def test_no_such_folder(tmp_path: Path) -> None:
    assert "there is no folder" in refusal(tmp_path / "gone").message
    assert "holds no config.json" in refusal(tmp_path).message
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert f"local-dir:{tmp_path}" in refusal(tmp_path).hint


def test_ids_of_the_hub_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    error = refusal("nobody/no-such-model-as-this")
    assert "nobody/no-such-model-as-this" in error.message and not isinstance(error, DataError)


def test_weights_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "clip", clip())
    state = transformers.CLIPModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    assert "no safetensors" in refusal(folder).message and "pickled" in refusal(folder).hint


def test_models_without_an_image_tower_or_of_other_kinds(tmp_path: Path) -> None:
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = transformers.BertModel(transformers.BertConfig(**small, vocab_size=9))
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(**small, vocab_size=9))
    seg = transformers.CLIPSegConfig()
    for model, words in ((bert, "'bert', which has no image tower"), (text, "'clip_text_model', which has no image")):
        model.save_pretrained(tmp_path / words[1:5])
        error = refusal(tmp_path / words[1:5])
        assert isinstance(error, UsageError) and words in error.message and "siglip" in error.message
    text.save_pretrained(tmp_path / "seg")
    seg.save_pretrained(tmp_path / "seg")
    assert "of type 'clipseg': clip" in refusal(tmp_path / "seg").message


def test_code_of_a_repository_is_never_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "clip", clip())
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "evil.EvilConfig", "AutoModel": "evil.EvilModel"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil_clip", "auto_map": names}))
    error = refusal(folder)
    assert "'evil_clip'" in error.message and "never run" in error.hint
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": names}))
    assert load_hf(str(folder)).joint_dim == 24


def test_a_bidirectional_text_tower_of_another_kind(tmp_path: Path) -> None:
    vision, text = transformers.ViTConfig(**VISION), transformers.BertConfig(**TEXT, vocab_size=99)
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text)
    transformers.VisionTextDualEncoderModel(config=config).save_pretrained(tmp_path)
    error = refusal(tmp_path)
    assert "'bert'" in error.message and "takes no pseudo-words" in error.message


def test_folders_that_lack_something(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file, words in (
        ("tokenizer.json", "its tokenizer"),
        ("preprocessor_config.json", "image processor"),
    ):
        folder = save(tmp_path / file, clip())
        (folder / file).unlink()
        assert words in refusal(folder).message
    weights = load_file(folder / "model.safetensors")
    text = {key: value for key, value in weights.items() if key.startswith("text_")}
    clip_processor().save_pretrained(folder)
    save_file(text, folder / "model.safetensors", {"format": "pt"})
    assert "lacks weights" in refusal(folder).message and "and" in refusal(folder).message
    (folder / "model.safetensors").write_bytes(b"no weights")
    assert "could not load the weights" in refusal(folder).message
    (folder / "config.json").write_text("[")
    assert "could not load the configuration" in refusal(folder).message


def test_tokenizers_that_do_not_fit_the_text_tower(tmp_path: Path) -> None:
    _, tokenizer, processor = clip()
    other = save(tmp_path / "eos", (clip(eos_token_id=5)[0], tokenizer, processor))
    assert f"read at token 5, but its tokenizer ends a text with {tokenizer.eos_token_id}" in refusal(other).message
    pieces = {piece: number for number, piece in enumerate(sorted(tokenizer.get_vocab()))}
    low = transformers.CLIPTokenizer(vocab=pieces, merges=[])
    legacy = save(tmp_path / "legacy", (clip(eos_token_id=2)[0], low, processor))
    assert "read at the highest id" in refusal(legacy).message
    small = save(tmp_path / "small", (clip(vocab_size=100)[0], tokenizer, processor))
    assert "its text tower only 100" in refusal(small).message
    left = siglip_tokenizer()
    left.padding_side = left.init_kwargs["padding_side"] = "left"
    assert "on the right" in refusal(save(tmp_path / "left", (siglip()[0], left, siglip_processor()))).message


def test_wrong_options(folders: Callable[[str], Path]) -> None:
    with pytest.raises(UnknownNameError, match="precision"):
        load_hf(str(folders("clip")), precision="int8")
    with pytest.raises(UsageError, match="no revision"):
        load_hf(str(folders("clip")), "main")
