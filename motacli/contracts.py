"""What plugs into what: the frozen records that stages exchange and the Protocols of the parts.

Nothing here imports torch at run time, so a plugin may import this module for free. Shapes use ``B`` batch,
``L`` tokens, ``d`` joint dimension of image and text, ``w`` width of the text encoder, ``n`` pseudo-words per image.
`motacli.testing` checks components against what is said here. Whatever encodes or composes rows gives the same numbers
for the same row, in any batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from motacli.remote.urls import shown

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import torch
    from PIL import Image
    from torch import Tensor

    from motacli.benchmarks.protocol import EvalProtocol
    from motacli.compose import TokenPrompt
    from motacli.console import Progress
    from motacli.inversions.data import PairFeatures
    from motacli.search.vectors import Vectors
    from motacli.watch import Watch

# ---------------------------------------------------------------------------------------------- records


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One picture: its id in the data set and where its pixels are.

    ``box`` is ``(x, y, width, height)`` in pixels for data sets that look at a region (GeneCIS attribute tasks);
    `motacli.datasets.open_image` applies the crop. ``member`` names the picture inside of ``path`` where that
    holds several: a file of tar, Parquet or Arrow, or a data set on the Hugging Face hub (`motacli.datasets`). A
    ``path`` may stand for a URL (`motacli.remote.urls`).
    """

    id: str
    path: Path
    box: tuple[float, float, float, float] | None = None
    member: str = ""

    @property
    def place(self) -> str:
        """Where the picture is, for messages and for telling pictures apart."""
        where = f"{shown(self.path)}/{self.member}" if self.member else shown(self.path)
        return where if self.box is None else f"{where} {self.box}"


@dataclass(frozen=True, slots=True)
class ImageText:
    """One row of an image-text data set; ``id`` is its own where the data set has one, its picture's otherwise."""

    image: ImageRef
    caption: str
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.image.id)


@dataclass(frozen=True, slots=True)
class Query:
    """One composed query of a benchmark.

    ``captions`` are the relative captions exactly as annotated (two in FashionIQ, one elsewhere). ``targets`` holds
    every ground truth, the annotated target first; it is empty where a benchmark keeps its targets secret.
    ``candidates`` is the query's own gallery (GeneCIS), ``subset`` the group that R_subset@K ranks (CIRR, without the
    reference), ``tags`` the labels that metrics or analyses break down by (CIRCO's semantic aspects). ``concept`` says
    what reference and target share, where that is annotated (CIRCO); published protocols leave it out.
    """

    id: str
    reference: str
    captions: tuple[str, ...]
    targets: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    subset: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    concept: str = ""


APDivisor = Literal["min(K, targets)", "targets"]
Ties = Literal["gallery order", "won", "lost"]


@dataclass(frozen=True, slots=True)
class EvalUnit:
    """A set of queries that share a gallery and are scored together, such as ``fashioniq_dress``.

    ``gallery`` lists the image ids in the benchmark's own order, which breaks ties. ``images`` locates every picture
    the unit touches, references included. ``metrics`` names what is computed, for example ``("R@10", "R@50")``.
    ``exclude_reference`` drops the reference from its own query's ranking (CIRR), ``ap_divisor`` is what AP@K divides
    by, ``ties`` who wins among equal scores; `motacli.benchmarks.protocol` sets all of these.
    """

    name: str
    benchmark: str
    split: str
    queries: tuple[Query, ...]
    gallery: tuple[str, ...]
    images: Mapping[str, ImageRef] = field(repr=False)
    metrics: tuple[str, ...]
    exclude_reference: bool = False
    ap_divisor: APDivisor = "min(K, targets)"
    ties: Ties = "gallery order"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A query text around the slot of the pseudo-words: ``prefix [slot] suffix``.

    The two halves are tokenised apart and the slot is spliced in by position, so a caption that happens to contain
    ``$`` or ``*`` stays literal text.
    """

    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True)
class GeneratorInfo:
    """What wrote a triplet: a generator, the language model behind it if any, a digest of its prompt or rules."""

    name: str
    model: str = ""
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Triplet:
    """A text-anchored training triplet: reference picture, relative caption, target caption (method section 1).

    ``source_id`` is the row of the image-text data set it was made from, ``image`` that row's picture; ``id`` is
    unique. ``context`` says what became of what the relative caption leaves open: ``change``, ``keep`` or ``omit``.
    """

    id: str
    source_id: str
    image: str
    reference_caption: str
    relative_caption: str
    target_caption: str
    modification_type: str
    context: str
    generator: GeneratorInfo


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row, or one of the triplets it was asked for, gave nothing.

    ``reason`` is one of a few words that can be counted, ``detail`` what was wrong in this case, ``raw`` the answer or
    the triplet that was refused.
    """

    reason: str
    detail: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that came of a row: triplets, rejections, or both; how often a model was asked, and its tokens."""

    row: ImageText
    triplets: tuple[Triplet, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a language model is asked: ``user`` text under ``system`` instructions, about ``image`` where there is one.

    ``schema`` is the JSON schema that the answer should follow; models may ignore it. ``key`` tells requests apart.
    """

    key: str
    user: str
    system: str = ""
    image: ImageRef | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A model's answer, and how many tokens it cost where the model says so."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best K gallery entries of each query: ``ids`` as ``Q`` tuples, ``scores`` as floats ``(Q, K)``."""

    query_ids: tuple[str, ...]
    ids: tuple[tuple[str, ...], ...]
    scores: np.ndarray


# ---------------------------------------------------------------------------------------------- parts


@runtime_checkable
class Backbone(Protocol):
    """A frozen CLIP-like dual encoder whose text side can start from token embeddings.

    ``causal`` says that a token never sees what follows it. Callers need not ask: whatever the tower, they pad a batch
    to its longest text, and `encode_embeddings` makes that exact.
    """

    name: str
    joint_dim: int
    text_width: int
    text_layers: int
    context_length: int
    causal: bool

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    @property
    def logit_scale(self) -> float:
        """The temperature's inverse that the weights were trained with (already exponentiated)."""

    def preprocess(self, image: Image.Image) -> Tensor:
        """A picture as the encoder wants it: float tensor ``(3, H, W)``.

        A backbone may have ``preparation`` besides, a picklable callable that does the same without the weights, as
        `motacli.preprocessing.Preparation` is: only such pictures can be prepared in other processes.
        """

    def encode_image(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to projected features ``(B, d)``, float32, not normalised."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text without start and end markers, not truncated.

        A space in front says that the text goes on behind another word. Marker strings are ordinary text.
        """

    @property
    def start_token(self) -> int | None:
        """The marker that every text begins with; None where the model's texts have none (SigLIP)."""

    @property
    def end_token(self) -> int:
        """Id of the end marker, where the text feature is read."""

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Token ids ``(B, L)`` to embeddings ``(B, L, w)``, positions not yet added."""

    def encode_embeddings(self, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        """Token embeddings ``(B, L, w)`` to projected text features ``(B, d)``, not normalised.

        ``ends`` ``(B,)`` is the position of each row's end token. What lies behind it, and how long ``L`` is, must not
        change a feature: a tower that sees its padding puts its own there, to the length it was trained with.
        ``deep_prompts`` ``(B, J - 1, M, w)`` overwrites the ``M`` positions behind the start token (the first ``M``
        where there is none) at the input of layers ``2..J`` (method section 3, our choice).
        """

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Plain texts to projected features ``(B, d)``, float32, not normalised; long ones lose their end."""

    def parameter_count(self) -> int:
        """Parameters of both towers."""

    def fingerprint(self) -> str:
        """A digest of weights and preprocessing: equal digests mean interchangeable features.

        A backbone may have ``fingerprint_parts() -> dict[str, str]`` besides, by which caches say what differs.
        """


@runtime_checkable
class TunableText(Protocol):
    """What a `Backbone` has besides if its text tower can be run with other weights than its own.

    Adapters that change those (``lora``, ``text-tuning``, ``full-text``) refuse a backbone without it. The names of the
    weights are open_clip's (``transformer.resblocks.0.attn.in_proj_weight``), relative to the text tower.
    """

    def text_weights(self) -> Mapping[str, Tensor]:
        """Everything that the text tower holds, token embeddings included, by name; not to be written to."""

    def with_text_weights(self, weights: Mapping[str, Tensor]) -> Backbone:
        """A backbone with ``weights`` in place of those of the same names, which gradients flow to.

        All else is shared, and the backbone itself never changes.
        """


@runtime_checkable
class Inversion(Protocol):
    """A network from image features to pseudo-words, ``(B, d) -> (B, n, w)``. In practice a `torch.nn.Module`.

    Its class is built as ``Class(joint_dim=d, text_width=w)``. One that ``mota train-inversion`` can train is a
    `TrainableInversion` too, and one whose inner width may vary has a classmethod
    ``sizes(state_dict) -> motacli.inversions.sizes.Sizes``, which raises `motacli.errors.DataError` for the weights of
    other networks: by it `motacli.inversions.load_inversion` finds out whose weights a file holds.
    """

    name: str

    def __call__(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, n, w)``."""


class TrainableInversion(Inversion, Protocol):
    """An inversion whose class can be trained: it has ``Options``, a frozen dataclass with defaults, and `fit`."""

    Options: ClassVar[type[Any]]

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        data: PairFeatures,
        options: Any,
        watch: Watch | None = None,
    ) -> tuple[Self, dict[str, Any]]:
        """A trained network, frozen and in eval mode, and the record of its training.

        ``data`` are image features ``(N, d)`` and captions with their text features ``(N, d)``; ``watch`` says who is
        told of the steps, where unfinished training is kept and resumed from, what it is validated on, and which
        processes (``watch.world``) train one network together: `motacli.inversions.training.fit_network` sees to all of
        it. The record is written to ``metrics.json`` as it is and holds at least the final ``loss``, ``recall_at_1``
        among the first 1000 rows, ``rows``, ``steps``, ``seconds`` and a ``history`` of losses.
        """


@runtime_checkable
class Adapter(Protocol):
    """What is added to a frozen backbone and inversion: it turns features and prompts into composed query features.

    In practice a `torch.nn.Module` that keeps the ``options`` it was built with and counts what learns
    (``trainable_parameters()``). Called like `compose`, it gives composed features and gates ``(B, K)`` whose rows sum
    to 1: ones ``(B, 1)`` where nothing is mixed. A method ``calibrate(features)``, if there, is called before training.
    """

    name: str

    def compose(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> Tensor:
        """Image features ``(B, d)`` and ``B`` tokenised prompts to composed features ``(B, d)``, not normalised."""


class Benchmark(Protocol):
    """A benchmark: where its files are, what a query says, and which numbers it reports.

    One whose rankings a server scores has an attribute ``submission``, a
    `motacli.benchmarks.submission_format.SubmissionFormat`. ``tags_name`` names the breakdown by its queries' tags, and
    ``images_hint`` says where its pictures come from and where they go, and
    ``load_with_gallery(root, split, parts, ids, where)`` loads it without a list of its gallery that may be absent.
    """

    name: str
    headline: str
    splits: tuple[str, ...]
    parts: tuple[str, ...]

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read the annotation files below ``root``; ``parts`` restricts to categories or tasks, empty means all."""

    def protocol(self, name: str) -> EvalProtocol:
        """What a named protocol says about this benchmark: prompts, what is ranked, metrics.

        `motacli.benchmarks.protocol.ProtocolFiles` answers this from the protocols' files.
        """

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """Derived rows, such as the mean over FashionIQ's categories: unit name to metrics in percent."""


class TripletGenerator(Protocol):
    """Writes triplets from image-text rows; ``info`` goes into each of its records.

    One with an attribute ``reads_images`` that is true looks at the pictures, which then count among a row's contents.
    One whose ``in_order`` is true answers rows in their order, and then so do several of it on a cluster together. One
    that asks a server has an `motacli.llms.asking.AskOptions` as ``options.asking``, whose concurrency these share.
    """

    name: str

    @property
    def info(self) -> GeneratorInfo:
        """What each of its records says about it."""

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        """Exactly one outcome for each row, in any order; rows may be read ahead of the answers."""


class LLMClient(Protocol):
    """A language model that answers one request at a time; many calls may be under way at once.

    ``complete`` may also be a plain function, which is then called in threads. It raises
    `motacli.llms.errors.LLMError`, which says whether asking again can help. ``close`` is called at the end, if there.
    One with an attribute ``in_process`` that is true runs its model itself: several on a cluster do not share a server.
    """

    name: str
    model: str

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The answer to one request."""


class IndexStore(Protocol):
    """Where the pictures of a search index are looked up by vector: all of them in turn, a graph, or a server.

    Its class has ``Options``, a frozen dataclass, and two classmethods. Rows are those of `Vectors`, from 0. A store
    may be asked from several threads at once. Scores are cosines, exact or nearly so: who asks computes those of the
    best again. An approximate store may miss rows, but gives none twice and none that is not allowed.

    One that keeps rows elsewhere (a server) may have a classmethod ``forget(folder, options)``, called before the
    folder of a store is removed, even where it was never finished; it raises `motacli.errors.MotaError`.
    """

    name: str

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Progress) -> None:
        """Write what `open` needs for ``vectors``, below ``folder``, which is empty; nothing where they are enough.

        A store elsewhere (a server) writes down where its rows are. What it wrote for an index that came to nothing
        must not disturb one that is in use.
        """

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        """The store that was built in ``folder``, which may have been moved since."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The best rows of unit vectors ``(Q, d)``, float32: rows ``(Q, K)`` int64 and scores ``(Q, K)`` float32.

        Best first, ``K = min(k, N)``; where fewer are found, row -1 and score -inf at the end. ``allowed`` ``(N,)``,
        bool, says which rows may be given.
        """

    def close(self) -> None:
        """Let go of files and connections."""


class Register(Protocol):
    """The callback a hook receives, bound to the calling plugin."""

    def __call__(self, name: str, target: Callable[..., Any] | str, *, summary: str = "") -> None: ...
