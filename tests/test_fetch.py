"""Where weights are, whatever names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motacli.errors import DataError
from motacli.fetch import local_weights


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    "address", ["hf-hub:owner/models/deep/x.pt", "https://example.org/a/x.pt?download=1", "http://example.org/x.pt"]
)
def test_addresses_are_fetched_even_where_a_path_lost_a_slash(
    address: str, kind: Callable[[str], Path | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motacli.fetch.fetch_weights", lambda asked: Path("copy") / asked.replace("/", "|"))
    assert local_weights(kind(address)) == Path("copy") / address.replace("/", "|")


@pytest.mark.parametrize("place", ["x.pt", "./https/x.pt", "/data/http:/x.pt", "C:/x.pt", "."])
def test_paths_are_left_alone_whether_or_not_they_exist(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motacli.fetch.fetch_weights", lambda asked: pytest.fail(f"fetched {asked}"))
    assert local_weights(place) == local_weights(Path(place)) == Path(place)


def test_addresses_that_name_no_file_are_refused() -> None:
    with pytest.raises(DataError, match="names no file on the hub"):
        local_weights(Path("hf-hub:owner/models"))
