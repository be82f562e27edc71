"""URLs as paths, and URLs without their secrets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from motacli.contracts import ImageRef
from motacli.errors import MotaError
from motacli.remote.redaction import without_secrets
from motacli.remote.urls import beside, folder_of, is_remote, name_of, path_of, shown, stem_of, suffix_of, url_of
from motacli.runs import jsonable

SIGNED = "https://h/a%20b.tar?X-Amz-Expires=60&X-Amz-Signature=f00d&part=2"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a/x.tar",
        "s3://bucket/a//x.tar",
        "s3://bucket/./x?y#z.tar",
        "hdfs:///data/x.tar",
        "hdfs://host:8020/data/x.tar",
        "memory://x",
        "http://h",
        SIGNED,
    ],
)
def test_a_url_survives_as_a_path(url: str) -> None:
    path = path_of(url)
    assert is_remote(url) and is_remote(path) and url_of(path) == url and url_of(url) == url
    assert path_of(path) == path and url_of(path_of(f"{url}/")) in (url, f"{url}/")


@pytest.mark.parametrize("name", ["a/x.tar", "/a/x.tar", "C:/x.tar", "hf://a/b", "hf-hub:a/b?split=x", "a:b/c", "~/x"])
def test_what_is_none(name: str) -> None:
    assert not is_remote(name) and path_of(name) == Path(name) and shown(name) == name


def test_files() -> None:
    assert path_of("file:///a%20b/x.tar") == Path("/a b/x.tar")


def test_names() -> None:
    signed, odd = path_of(SIGNED), path_of("s3://b/a%20b?.c.tar")
    assert (name_of(signed), stem_of(signed), suffix_of(signed)) == ("a b.tar", "a b", ".tar")
    assert (name_of(odd), stem_of(odd), suffix_of(odd)) == ("a%20b?.c.tar", "a%20b?.c", ".tar")
    assert (url_of(folder_of(signed)), url_of(folder_of(odd))) == ("https://h", "s3://b")


@pytest.mark.parametrize(
    ("folder", "text", "wanted"),
    [
        ("s3://b/t", "p q/1?.jpg", "s3://b/t/p q/1?.jpg"),
        ("https://h/t", "p q/1?.jpg", "https://h/t/p%20q/1%3F.jpg"),
        ("s3://b/t", "../p/./1.jpg", "s3://b/p/1.jpg"),
        ("s3://b/t", "https://h/1.jpg?x=//y", "https://h/1.jpg?x=//y"),
        ("/data", "s3://b/1.jpg", "s3://b/1.jpg"),
        ("s3://b/t", "/mnt/1.jpg", "/mnt/1.jpg"),
        ("/data", "p/1.jpg", "/data/p/1.jpg"),
    ],
)
def test_beside(folder: str, text: str, wanted: str) -> None:
    found = beside(path_of(folder), text)
    assert (url_of(found) if is_remote(found) else str(found)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (SIGNED, "https://h/a%20b.tar?X-Amz-Expires=***&X-Amz-Signature=***&part=2"),
        ("https://h/x?sv=1&se=2&sig=3", "https://h/x?sv=***&se=***&sig=***"),
        (
            "https://h/x?access_token=a&Expires=2&Key-Pair-Id=3",
            "https://h/x?access_token=***&Expires=***&Key-Pair-Id=***",
        ),
        ("s3://id:secret@b/x@y.tar, and so", "s3://***@b/x@y.tar, and so"),
        ("https:/me:pw@h/x", "https:/***@h/x"),
        ("https://h/x?page=2&expires=1&monkey=3", "https://h/x?page=2&expires=1&monkey=3"),
        ("C:/x?key=1 a:/b", "C:/x?key=1 a:/b"),
    ],
)
def test_secrets(text: str, wanted: str) -> None:
    assert without_secrets(text) == wanted == without_secrets(wanted)


def test_nobody_is_told_secrets() -> None:
    path = path_of("https://me:pw@h/x.tar?sig=f00d")
    error = MotaError(f"{path} is broken", f"see {url_of(path)}")
    told = [str(error), repr(error), error.message, error.hint, ImageRef("a", path, member="1").place]
    told += [shown(path), json.dumps(jsonable({"data": path}))]
    assert not any("pw" in one or "f00d" in one for one in told) and "https://***@h/x.tar?sig=***" in told[-1]


def test_it_is_light() -> None:
    import subprocess

    code = "import sys, motacli.remote.urls, motacli.contracts; print({'fsspec', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
