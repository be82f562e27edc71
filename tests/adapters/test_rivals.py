"""MoTa-Adapter's rivals: the identity at first, they learn, the backbone never changes, and they survive a disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import convert_weights_to_lp
from torch.nn import functional as F

from motacli.adapters.files import load_adapter, save_adapter, state_digest
from motacli.adapters.frozen_half import TripletFeatures, prepare
from motacli.adapters.lora import Lora
from motacli.adapters.options import TrainOptions
from motacli.adapters.residual import Residual
from motacli.adapters.text_tuning import FullText, TextTuning
from motacli.adapters.training import train_adapter
from motacli.backbones import OpenClipBackbone
from motacli.compose import TokenPrompt, compose_base, compose_queries, tokenize_prompt
from motacli.config import parse_options
from motacli.contracts import GeneratorInfo, Prompt, Triplet
from motacli.encoding import encode_texts
from motacli.errors import DataError, UsageError
from motacli.inversions.pic2word import Pic2Word
from motacli.plugins import PluginHost
from motacli.text_tower import text_features
from motacli.tiny.clip import MODEL_NAME, load_tiny

RIVALS: dict[str, Any] = {cls.name: cls for cls in (Residual, Lora, TextTuning, FullText)}
RETUNED = [name for name in RIVALS if name != "residual"]
FAST = {"text-tuning": {"rate": 0.1}, "full-text": {"rate": 0.1}}
SHAPES = ("circle", "square", "star", "triangle")
COLOURS = ("red", "green", "blue", "yellow")
each_rival = pytest.mark.parametrize("name", RIVALS)
each_retuned = pytest.mark.parametrize("name", RETUNED)


@pytest.fixture(scope="module")
def data(tiny_backbone: Any) -> TripletFeatures:
    """Every change of a shape's colour; captions stand in for the pictures."""
    cases = [(shape, old, new) for shape, old, new in product(SHAPES, COLOURS, COLOURS) if old != new]
    triplets = [
        Triplet(str(n), str(n), str(n), f"a {old} {shape}", f"is {new}", f"a {new} {shape}", "attribute", "keep",
                GeneratorInfo("by hand"))
        for n, (shape, old, new) in enumerate(cases)
    ]  # fmt: skip
    images = torch.from_numpy(encode_texts(tiny_backbone, [t.reference_caption for t in triplets]))
    return prepare(tiny_backbone, triplets, images)


def build(name: str, backbone: Any, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return RIVALS[name](backbone, RIVALS[name].Options(**options)).eval()


def stir(adapter: Any) -> Any:
    """The adapter with other weights than an untrained one's."""
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(torch.randn(weight.shape, generator=noise), alpha=0.5)
    return adapter


def queries(backbone: Any) -> tuple[torch.Tensor, list[TokenPrompt]]:
    prompts = [Prompt("a photo of", f"that {text}") for text in ("is green", "has no star beside it", "")]
    features = torch.randn(3, 128, generator=torch.Generator().manual_seed(1))
    return features, [tokenize_prompt(backbone, prompt) for prompt in prompts]


def train(adapter: Any, backbone: Any, inversion: Any, data: TripletFeatures, **options: Any) -> list[float]:
    """Losses, starting with a batch before anything is learned."""
    plain = {"batch_size": 48, "warmup": 0, "noise": 0.0, "anchor": 0.0, "beta": 0.0, **options}
    start = train_adapter(adapter, backbone, inversion, data, TrainOptions(**plain | {"steps": 1, "lr": 0.0}))
    return start.loss + train_adapter(adapter, backbone, inversion, data, TrainOptions(**{"steps": 30, **plain})).loss


@each_rival
def test_before_training_the_query_is_the_base_models(name: str, tiny_backbone: Any, inversion: Pic2Word) -> None:
    adapter = build(name, tiny_backbone)
    base = compose_base(tiny_backbone, inversion, *queries(tiny_backbone))
    composed, gates = adapter(tiny_backbone, inversion, *queries(tiny_backbone))
    assert torch.allclose(F.normalize(composed, dim=1), F.normalize(base, dim=1), rtol=0, atol=1e-6)
    assert torch.equal(gates, torch.ones(3, 1))
    with torch.no_grad():  # now both take the same path through torch's attention
        composed = adapter.compose(tiny_backbone, inversion, *queries(tiny_backbone))
        assert torch.equal(composed, compose_base(tiny_backbone, inversion, *queries(tiny_backbone)))
        changed = stir(adapter).compose(tiny_backbone, inversion, *queries(tiny_backbone))
    assert not torch.allclose(changed, base, atol=1e-2)


@each_rival
def test_training_lowers_the_loss_and_changes_nothing_that_is_frozen(
    name: str, tiny_backbone: Any, inversion: Pic2Word, data: TripletFeatures
) -> None:
    adapter = build(name, tiny_backbone, **FAST.get(name, {}))
    before = state_digest(tiny_backbone.model), state_digest(inversion), id(tiny_backbone.tower)
    others = compose_base(tiny_backbone, inversion, *queries(tiny_backbone))
    losses = train(adapter, tiny_backbone, inversion, data)
    assert losses[-1] < losses[0] - 0.3
    assert (state_digest(tiny_backbone.model), state_digest(inversion), id(tiny_backbone.tower)) == before
    assert all(p.grad is None and not p.requires_grad for p in tiny_backbone.model.parameters())
    assert torch.equal(compose_base(tiny_backbone, inversion, *queries(tiny_backbone)), others)


@each_rival
def test_everything_that_an_adapter_holds_learns(name: str, tiny_backbone: Any, inversion: Pic2Word) -> None:
    adapter = stir(build(name, tiny_backbone))
    composed, _ = adapter(tiny_backbone, inversion, *queries(tiny_backbone))
    F.normalize(composed, dim=1)[:, 0].sum().backward()
    still = [key for key, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not still
    assert adapter.trainable_parameters() == sum(value.numel() for value in adapter.state_dict().values())


@each_rival
def test_an_adapter_on_disk_gives_the_same_queries(
    name: str, tmp_path: Path, host: PluginHost, tiny_backbone: Any, inversion: Pic2Word
) -> None:
    adapter = stir(build(name, tiny_backbone))
    digest = state_digest(inversion)
    save_adapter(
        tmp_path, adapter, inversion="pic2word", backbone=tiny_backbone, about={}, inversion_digest=digest
    )  # fmt: skip
    loaded: Any = load_adapter(host, tmp_path, tiny_backbone, inversion)
    assert type(loaded) is RIVALS[name] and loaded.options == adapter.options
    assert not any(p.requires_grad for p in loaded.parameters())
    features, prompts = torch.randn(2, 128), [[Prompt("a photo of", "that is red")], [Prompt("", "on black")]]
    one, other = (compose_queries(tiny_backbone, inversion, features, prompts, a) for a in (adapter, loaded))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "own", "change"),
    [
        ("residual", {}, {"reduction": 2}),
        ("lora", {}, {"rank": 8}),
        ("lora", {}, {"matrices": ["q", "k"]}),
        ("text-tuning", {}, {"layers": 1}),
        ("text-tuning", {"layers": 1}, {"layers": None}),
    ],
)
def test_weights_of_other_options_are_refused(
    name: str, own: Any, change: Any, tmp_path: Path, host: PluginHost, tiny_backbone: Any, inversion: Pic2Word
) -> None:
    save_adapter(tmp_path, build(name, tiny_backbone, **own), inversion="pic2word", backbone=tiny_backbone, about={})
    path = tmp_path / "adapter.json"
    record = json.loads(path.read_text())
    record["options"] |= change
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="wrong weights"):
        load_adapter(host, tmp_path, tiny_backbone, inversion)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("residual", {"reduction": 0}, "below 1"),
        ("residual", {"ratio": 0.0}, "adds nothing"),
        ("lora", {"rank": 0}, "below 1"),
        ("lora", {"alpha": 0.0}, "not above 0"),
        ("lora", {"dropout": 1.0}, "outside"),
        ("lora", {"matrices": ["q", "w"]}, "unknown matrix 'w'"),
        ("lora", {"matrices": []}, "at least one"),
        ("lora", {"matrices": ["q", "q"]}, "once"),
        ("lora", {"layers": 9}, r"outside 0\.\.3"),
        ("lora", {"layers": 0}, "nothing learns"),
        ("text-tuning", {"rate": 0.0}, "not above 0"),
        ("text-tuning", {"layers": -1}, r"outside 0\.\.3"),
        ("text-tuning", {"layers": 0, "norms": False, "projection": False}, "no text weight"),
        ("full-text", {"layers": 2}, "unknown option 'layers'"),
        ("full-text", {"rate": -1.0}, "not above 0"),
    ],
)
def test_wrong_options_are_refused(name: str, options: Any, said: str, tiny_backbone: Any) -> None:
    with pytest.raises(UsageError, match=said):
        RIVALS[name](tiny_backbone, parse_options(RIVALS[name].Options, options, "options"))


LAYER, NORMS, WIDTH, JOINT, POSITIONS = 309_280, 640, 160, 128, 64


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("residual", {}, (JOINT + 1) * 32 + (32 + 1) * JOINT),
        ("residual", {"reduction": 1000}, (JOINT + 1) + 2 * JOINT),
        ("lora", {}, 3 * 4 * 4 * 2 * WIDTH),
        ("lora", {"rank": 2, "matrices": ("q", "v"), "layers": 1}, 2 * 2 * 2 * WIDTH),
        ("lora", {"rank": 1, "matrices": ("mlp",), "layers": 2}, 2 * 2 * 5 * WIDTH),
        ("text-tuning", {}, 3 * LAYER + 2 * WIDTH + WIDTH * JOINT),
        ("text-tuning", {"layers": 1, "norms": False}, LAYER - NORMS + WIDTH * JOINT),
        ("text-tuning", {"layers": 0, "projection": False}, 2 * WIDTH),
        ("text-tuning", {"layers": 0, "projection": False, "embeddings": True, "norms": False}, WIDTH * (1089 + 64)),
        ("full-text", {}, 1_133_120),
    ],
)
def test_how_many_numbers_learn(name: str, options: Any, count: int, tiny_backbone: Any) -> None:
    assert build(name, tiny_backbone, **options).trainable_parameters() == count


def test_dropout_is_for_training_alone(tiny_backbone: Any, inversion: Pic2Word) -> None:
    adapter = stir(build("lora", tiny_backbone, dropout=0.5))
    parts = (tiny_backbone, inversion, *queries(tiny_backbone))
    with torch.no_grad():
        assert torch.equal(adapter.compose(*parts), adapter.compose(*parts))
        assert not torch.equal(adapter.train().compose(*parts), adapter.compose(*parts))


@each_retuned
def test_a_step_makes_its_text_weights_once(name: str, tiny_backbone: Any, inversion: Pic2Word) -> None:
    adapter = build(name, tiny_backbone)
    first = adapter.retuned(tiny_backbone)
    assert adapter.retuned(tiny_backbone) is first
    stir(adapter)
    second = adapter.retuned(tiny_backbone)
    assert second is not first
    for _ in range(2):  # the second time needs a graph of its own
        adapter(tiny_backbone, inversion, *queries(tiny_backbone))[0].sum().backward()
    assert adapter.retuned(tiny_backbone) is not second
    with torch.no_grad():
        assert not any(w.requires_grad for w in adapter.retuned(tiny_backbone).model.parameters() if w.is_leaf)


@each_retuned
def test_a_backbone_without_text_weights_is_refused(name: str, tiny_backbone: Any) -> None:
    class Closed:
        name, text_layers = "closed", 3

    with pytest.raises(UsageError, match="'closed' does not let its text weights be changed"):
        RIVALS[name](Closed(), RIVALS[name].Options())


def test_a_changed_backbone_is_told_from_its_origin(tiny_backbone: Any) -> None:
    name = "token_embedding.weight"
    changed = tiny_backbone.with_text_weights({name: tiny_backbone.text_weights()[name] * 2})
    assert changed.fingerprint() != tiny_backbone.fingerprint() == load_tiny().fingerprint()
    assert changed.inversion_weights == {} and changed.parameter_count() == tiny_backbone.parameter_count()
    assert torch.equal(changed.embed_tokens(torch.tensor([[7]])), 2 * tiny_backbone.embed_tokens(torch.tensor([[7]])))
    pixels = torch.randn(1, 3, 64, 64)
    assert torch.equal(changed.encode_image(pixels), tiny_backbone.encode_image(pixels))
    for weights in ({"visual.proj": torch.zeros(1)}, {name: torch.zeros(3)}):
        with pytest.raises(ValueError, match="no text weight of 'tiny'"):
            tiny_backbone.with_text_weights(weights)


@each_retuned
def test_a_tower_of_its_own_in_half_precision(name: str, tiny_backbone: Any) -> None:
    net = open_clip.CustomTextCLIP(**open_clip.get_model_config(MODEL_NAME))
    convert_weights_to_lp(net, torch.bfloat16)
    backbone = OpenClipBackbone(net, tiny_backbone.preprocess, tiny_backbone.tokenizer, name="custom")
    adapter, before = build(name, backbone), state_digest(net)
    with torch.no_grad():
        same = adapter.retuned(backbone).encode_text(["a red star"])
        assert torch.equal(same, backbone.encode_text(["a red star"]))
        assert not torch.equal(stir(adapter).retuned(backbone).encode_text(["a red star"]), same)
    assert state_digest(net) == before and {p.dtype for p in adapter.parameters()} == {torch.float32}


@pytest.fixture(scope="module")
def precise() -> Any:
    """A tiny CLIP in double precision."""
    backbone = load_tiny()
    backbone.model.double()
    return backbone


@each_retuned
def test_gradients_are_the_slopes(name: str, precise: Any) -> None:
    adapter = stir(build(name, precise, **FAST.get(name, {}))).double()
    ids, ends = torch.tensor([[1, 7, 9, 4, 2], [1, 30, 31, 2, 0]]), torch.tensor([4, 3])

    def value(backbone: Any) -> torch.Tensor:
        found = text_features(backbone.tower, backbone.embed_tokens(ids), ends)
        return F.normalize(found, dim=1)[:, :7].sum()

    value(adapter.retuned(precise)).backward()
    along: Callable[[torch.Tensor], torch.Tensor] = torch.sign
    slope = sum(float((p.grad * along(p.grad)).sum()) for p in adapter.parameters())
    ahead, behind = (_moved(adapter, precise, value, along, step) for step in (1e-6, -1e-6))
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-4)


def _moved(adapter: Any, backbone: Any, value: Any, along: Callable[[torch.Tensor], torch.Tensor], by: float) -> float:
    """The value with all parameters moved along their gradients' signs."""
    before = [p.detach().clone() for p in adapter.parameters()]
    with torch.no_grad():
        for p in adapter.parameters():
            p.add_(along(p.grad), alpha=by)
        found = float(value(adapter.retuned(backbone)))
        for p, old in zip(adapter.parameters(), before, strict=True):
            p.copy_(old)
    return found
