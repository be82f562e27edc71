"""Every key that a file of rates may have, with what it means; the unit is in its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """``meaning`` says what is counted; a key that may be zero is a size or a fixed time, all others are rates."""

    meaning: str
    may_be_zero: bool = False


def _sizes(**meanings: str) -> dict[str, Key]:
    return {name: Key(meaning, may_be_zero=True) for name, meaning in meanings.items()}


def _rates(**meanings: str) -> dict[str, Key]:
    return {name: Key(meaning) for name, meaning in meanings.items()}


def _on_both(name: str, meaning: str) -> dict[str, Key]:
    """A rate of the model, on a GPU and, for plans without any, on a core."""
    return _rates(**{f"{name}_per_gpu": f"{meaning}, on one GPU", f"{name}_per_core": f"{meaning}, on one core"})


TABLES: Mapping[str, Mapping[str, Key]] = {
    "data": {
        **_rates(joint_dim="numbers of a feature, d"),
        **_sizes(
            picture_bytes="bytes of a picture's file",
            id_bytes="UTF-8 bytes of a picture's id",
            path_bytes="bytes of the path that a picture is listed with",
            caption_bytes="UTF-8 bytes of a caption",
            relative_caption_bytes="UTF-8 bytes of a triplet's relative caption",
            target_caption_bytes="UTF-8 bytes of a triplet's target caption",
        ),
    },
    "start": _sizes(
        model_seconds="loading the backbone and digesting its weights",
        cache_seconds="start of `mota cache`, the model apart, and what a build takes however small",
        triplets_seconds="the same of `mota gen-triplets`",
        inversion_seconds="the same of `mota train-inversion`",
        train_seconds="the same of `mota train`",
        index_seconds="the same of `mota index`",
        eval_seconds="the same of `mota eval`",
        ray_seconds="start of a Ray cluster, or of a connection to one",
    ),
    "draw": _rates(pictures_per_second="pictures of the tiny world drawn and written, by one process"),
    "listing": _rates(rows_per_second="rows of a source read and listed, by one process"),
    "read": _rates(bytes_per_second_per_machine="pictures' bytes that reach a machine from where they are kept"),
    "decode": _rates(pictures_per_second_per_core="pictures decoded and prepared, by one core"),
    "encode": _on_both("pictures_per_second", "prepared pictures encoded"),
    "build": _rates(
        rows_per_second="rows that a building process takes from its list, collects and hands on",
        parts_per_second="rows that one driver writes to parts",
    ),
    "captions": _on_both("texts_per_second", "captions read from parts, encoded and written"),
    "finishing": _rates(
        rows_per_second="rows put together into the finished file",
        merged_per_second="rows that `mota cache merge` reads, checks and writes",
    ),
    "rules": {
        **_rates(
            rows_per_second_per_core="captions edited by rule, by one core",
            journal_per_second="rows read, checked and written through to the disk, by one process",
            triplets_per_row="triplets that a row gives",
        ),
        **_sizes(rejects_per_row="refusals that a row gives"),
    },
    "llm": {
        **_rates(
            client_requests_per_second="requests that one process makes, reads, checks and writes",
            requests_per_second="requests that the endpoint allows, however many are in flight",
            completion_tokens_per_second_per_gpu="tokens that a model in the cluster writes, on one GPU",
            triplets_per_row="triplets that a row gives",
            requests_per_row="requests that a row takes, those asked again among them",
        ),
        **_sizes(
            latency_seconds="time between a request and its answer",
            rejects_per_row="refusals that a row gives",
            prompt_tokens_per_request="tokens of a request",
            completion_tokens_per_request="tokens of an answer",
        ),
    },
    "frozen": _on_both("triplets_per_second", "triplets read, and what stays frozen of them computed"),
    "train": _on_both("samples_per_second", "triplets in steps of training an adapter"),
    "inversion": {
        **_on_both("samples_per_second", "rows in steps of training an inversion network"),
        **_rates(rows_per_second="rows of a cache read and made ready for training, by one process"),
    },
    "index": _rates(
        rows_per_second="pictures listed, digested and written to an index, by one process, encoding apart",
        hnsw_rows_per_second_per_core="rows added to a graph of about the planned size, by one core",
        ivfpq_rows_per_second_per_core="rows added to lists of codes, by one core",
    ),
    "eval": {
        **_on_both("queries_per_second", "queries composed and scored"),
        **_rates(comparisons_per_second="pairs of query and picture compared, by one process"),
    },
}
KEYS: Mapping[str, Key] = {f"{table}.{name}": key for table, keys in TABLES.items() for name, key in keys.items()}
