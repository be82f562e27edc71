"""A triplets file in numbers: one pass over it, and a sample where a number needs the texts side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.analysis.caption_overlap import jaccard, overlap_coefficient, repeats
from motacli.analysis.distributions import Histogram, Summary, histogram, summary
from motacli.analysis.diversity import Diversity, lexical_diversity
from motacli.analysis.duplicates import NearDuplicates, Repeating, Repeats
from motacli.analysis.sampling import Reservoir
from motacli.analysis.type_bias import TypeBias, type_bias
from motacli.analysis.vocabulary import Vocabulary, vocabulary
from motacli.analysis.words import normalised, words
from motacli.contracts import Triplet
from motacli.runs import file_digest
from motacli.triplets.schema import iter_triplets

if TYPE_CHECKING:
    from motacli.analysis.clip_texts import TextSimilarity, TokenCounts

SAMPLE = 10_000
OVERLAP_BINS = 20
LONGEST = 40
"""Words of the last bin of the histogram of lengths."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many triplets have a value, and which share of all that is."""

    value: str
    triplets: int
    share: float


@dataclass(frozen=True, slots=True)
class TypeRow(Count):
    """Of a modification type: also mean words of its relative captions, and mean Jaccard of the captions' words."""

    relative_words: float
    jaccard: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """Words that reference and target caption share: means, and the histogram of their Jaccard index."""

    jaccard: float
    overlap_coefficient: float
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class TripletStatistics:
    """What a triplets file holds. Shares are in 0..1.

    ``sample`` triplets, drawn with ``seed``, are behind ``diversity``, ``near_duplicates``, ``tokens`` and
    ``similarity``; all else is of the whole file. ``repeated`` counts triplets whose three captions, and captions that
    alone, occurred before but for case and punctuation.
    """

    path: str
    sha256: str
    triplets: int
    images: int
    sources: int
    types: tuple[TypeRow, ...]
    contexts: tuple[Count, ...]
    generators: tuple[Count, ...]
    lengths: Mapping[str, Summary | None]
    length_histogram: Histogram
    vocabulary: Mapping[str, Vocabulary]
    overlap: Overlap
    target_is_reference: float
    relative_repeats_target: float
    repeated: Mapping[str, Repeats]
    seed: int
    sample: int
    diversity: Diversity
    near_duplicates: Mapping[str, NearDuplicates] | None
    tokens: TokenCounts | None = None
    similarity: TextSimilarity | None = None
    bias: TypeBias | None = None


@dataclass
class Tally:
    """What is counted on the way through the file."""

    triplets: int = 0
    images: set[int] = field(default_factory=set)
    sources: set[int] = field(default_factory=set)
    types: Counter[str] = field(default_factory=Counter)
    contexts: Counter[str] = field(default_factory=Counter)
    generators: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)
    words: dict[str, Counter[str]] = field(default_factory=dict)
    type_words: Counter[str] = field(default_factory=Counter)
    type_jaccard: dict[str, float] = field(default_factory=dict)
    jaccards: Counter[float] = field(default_factory=Counter)
    coefficients: float = 0.0
    same: int = 0
    repeating: int = 0
    seen: dict[str, Repeating] = field(default_factory=dict)

    def add(self, triplet: Triplet) -> None:
        """Count a triplet."""
        self.triplets += 1
        self.images.add(hash(triplet.image))
        self.sources.add(hash(triplet.source_id))
        self.types[triplet.modification_type] += 1
        self.contexts[triplet.context] += 1
        self.generators[_generator(triplet)] += 1
        captions = {
            "reference": words(triplet.reference_caption),
            "relative": words(triplet.relative_caption),
            "target": words(triplet.target_caption),
        }
        self._count_words(captions, triplet.modification_type)
        self._compare(captions, triplet)

    def _count_words(self, captions: Mapping[str, list[str]], kind: str) -> None:
        for name, found in captions.items():
            self.lengths.setdefault(name, Counter())[len(found)] += 1
            self.words.setdefault(name, Counter()).update(found)
        self.type_words[kind] += len(captions["relative"])

    def _compare(self, captions: Mapping[str, list[str]], triplet: Triplet) -> None:
        before, after = set(captions["reference"]), set(captions["target"])
        shared = jaccard(before, after)
        self.jaccards[round(shared, 4)] += 1
        kind = triplet.modification_type
        self.type_jaccard[kind] = self.type_jaccard.get(kind, 0.0) + shared
        self.coefficients += overlap_coefficient(before, after)
        reference, relative, target = (
            normalised(text, captions[name])
            for name, text in (
                ("reference", triplet.reference_caption),
                ("relative", triplet.relative_caption),
                ("target", triplet.target_caption),
            )
        )
        self.same += reference == target
        self.repeating += repeats(captions["relative"], captions["target"])
        texts = {
            "triplets": (reference, relative, target),
            "relative captions": (relative,),
            "target captions": (target,),
        }
        for name, together in texts.items():
            self.seen.setdefault(name, Repeating()).add(*together)


def triplet_statistics(
    path: Path,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    reference: Mapping[str, float] | None = None,
    near: Callable[[list[str]], NearDuplicates] | None = None,
    describe: Callable[[list[Triplet]], tuple[TokenCounts, TextSimilarity | None]] | None = None,
    watch: Callable[[Iterator[Triplet]], Iterator[Triplet]] = iter,
) -> TripletStatistics:
    """The statistics of a triplets file, which is read once and never held whole.

    ``reference`` are shares per modification type to compare with. ``near`` counts near-duplicates
    (`motacli.analysis.duplicates.near_duplicates`), ``describe`` what CLIP makes of the sample; both may be left out.
    ``watch`` sees the triplets go by. Raises as `motacli.triplets.schema.read_triplets` does.
    """
    tally, reservoir = Tally(), Reservoir[Triplet](sample, seed)
    for triplet in watch(iter_triplets(path)):
        tally.add(triplet)
        reservoir.add(triplet)
    drawn = reservoir.items()
    tokens, similarity = describe(drawn) if describe else (None, None)
    return TripletStatistics(
        path=str(path),
        sha256=file_digest(path),
        triplets=tally.triplets,
        images=len(tally.images),
        sources=len(tally.sources),
        types=_type_rows(tally),
        contexts=_counts(tally.contexts),
        generators=_counts(tally.generators),
        lengths={name: summary(counts) for name, counts in tally.lengths.items()},
        length_histogram=histogram(tally.lengths["relative"], 0, 1, LONGEST + 1),
        vocabulary={name: vocabulary(counts) for name, counts in tally.words.items()},
        overlap=_overlap(tally),
        target_is_reference=tally.same / tally.triplets,
        relative_repeats_target=tally.repeating / tally.triplets,
        repeated={name: seen.result() for name, seen in tally.seen.items()},
        seed=seed,
        sample=len(drawn),
        diversity=lexical_diversity([words(triplet.relative_caption) for triplet in drawn]),
        near_duplicates=_near(drawn, near) if near else None,
        tokens=tokens,
        similarity=similarity,
        bias=type_bias(tally.types, reference) if reference else None,
    )


def _near(drawn: list[Triplet], near: Callable[[list[str]], NearDuplicates]) -> dict[str, NearDuplicates]:
    relative = [normalised(triplet.relative_caption) for triplet in drawn]
    whole = [
        " | ".join(map(normalised, (triplet.reference_caption, triplet.relative_caption, triplet.target_caption)))
        for triplet in drawn
    ]
    return {"triplets": near(whole), "relative captions": near(relative)}


def _generator(triplet: Triplet) -> str:
    """Generator, model and digest of the prompt, as far as they are known: ``llm / some-model / 3f2a``."""
    made = triplet.generator
    return " / ".join(filter(None, (made.name, made.model, made.prompt_hash)))


def _counts(counts: Counter[str]) -> tuple[Count, ...]:
    total = counts.total()
    return tuple(Count(name, n, n / total) for name, n in _by_size(counts))


def _type_rows(tally: Tally) -> tuple[TypeRow, ...]:
    return tuple(
        TypeRow(name, n, n / tally.triplets, tally.type_words[name] / n, tally.type_jaccard[name] / n)
        for name, n in _by_size(tally.types)
    )


def _by_size(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _overlap(tally: Tally) -> Overlap:
    jaccards = tally.jaccards
    mean = sum(tally.type_jaccard.values()) / tally.triplets
    bins = histogram(jaccards, 0.0, 1 / OVERLAP_BINS, OVERLAP_BINS)
    return Overlap(mean, tally.coefficients / tally.triplets, bins)
