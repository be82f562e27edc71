"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from serving import Running, serving
from tiny_index import TinyIndex

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'mota[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
TOKEN = "a-token-of-some-length"
SLOW = 30_000
SETTLED = """() => { const results = document.querySelector('#results');
    return results.dataset.address === location.pathname + location.search && !results.hasAttribute('aria-busy'); }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Watched:
    """A page, and everything it said and asked for."""

    def __init__(self, browser: Any, **how: Any) -> None:
        self.context = browser.new_context(viewport=how.pop("viewport", {"width": 1280, "height": 900}), **how)
        self.context.set_default_timeout(SLOW)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def require_clean(self, server: Running) -> None:
        assert self.said == []
        assert self.asked and {urlsplit(url).netloc for url in self.asked} == {f"127.0.0.1:{server.port}"}

    def ids(self, column: int = 0) -> list[str]:
        pictures = self.page.locator(".column").nth(column).locator(".pick img")
        return [
            urlsplit(address).path.rpartition("/")[2] for address in pictures.evaluate_all("all => all.map(i => i.src)")
        ]

    def until(self, expression: str, arg: Any = None) -> None:
        """Wait for an expression to hold; Playwright's own way is what the page's policy forbids."""
        deadline = time.monotonic() + SLOW / 1000
        while not self.page.evaluate(expression, arg):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(30)

    def settled(self) -> None:
        """Wait until the results are those of the address."""
        self.until(SETTLED)

    def reference(self) -> str:
        return str(self.page.locator("#references img").first.get_attribute("src"))


@pytest.fixture
def watched(browser: Any, server: Running) -> Iterator[Watched]:
    made = Watched(browser)
    yield made
    made.context.close()


def expected(server: Running, **fields: str | bytes) -> list[str]:
    reply = server.post("/api/search", [("k", "24"), *fields.items()])
    return [hit["id"] for hit in json.loads(reply.body)["results"]]


def test_a_search_from_a_picture_to_the_next(
    watched: Watched, server: Running, world: TinyIndex, picture: Path
) -> None:
    page = watched.page
    page.goto(server.url)
    page.wait_for_selector(".hit .pick")
    assert page.title() == "mota" and page.locator("#hero").is_visible()
    assert page.locator("#about").inner_text() == f"my.mota · {len(world.data.unit.gallery)} pictures"

    page.set_input_files("#file", picture)
    page.wait_for_selector("#references img")
    watched.settled()
    assert watched.ids() == expected(server, image=picture.read_bytes())
    assert page.locator("#hero").is_hidden() and "/api/uploads/" in watched.reference()

    page.locator("#text").press_sequentially("in red", delay=30)
    watched.until("document.title === 'in red · mota'")
    watched.settled()
    assert "lincir + mota" in page.locator("#status").inner_text()
    changed = expected(server, image=picture.read_bytes(), text="in red")
    assert watched.ids() == changed and page.title() == "in red · mota"
    searches = [url for url in watched.asked if url.endswith("/api/search")]
    assert len(searches) <= 4, "not one for every letter"

    page.locator(".hit .pick").nth(3).click()
    watched.until("id => document.querySelector('#references img').src.endsWith(id)", changed[3])
    watched.settled()
    assert page.locator("#text").input_value() == "" and page.evaluate("document.activeElement.id") == "text"
    assert changed[3] not in watched.ids()
    assert page.locator("#trail a").count() == 1

    page.go_back()
    watched.until("document.querySelector('#text').value === 'in red'")
    watched.until("id => document.querySelector('.pick img').src.endsWith(id)", changed[0])
    assert watched.ids() == changed and "/api/uploads/" in watched.reference()
    page.go_back()
    page.wait_for_selector("#hero", state="visible")
    page.go_forward()
    watched.until("id => document.querySelector('.pick img')?.src.endsWith(id)", changed[0])
    page.reload()
    watched.until("id => document.querySelector('.pick img')?.src.endsWith(id)", changed[0])
    assert page.locator("#text").input_value() == "in red"
    watched.require_clean(server)


def test_the_keyboard_is_enough(watched: Watched, server: Running) -> None:
    page = watched.page
    page.goto(server.url)
    page.wait_for_selector(".hit .pick")
    page.keyboard.press("/")
    page.keyboard.type("a red star")
    watched.settled()
    first = watched.ids()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.row") == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    row = int(page.evaluate("document.activeElement.dataset.row"))
    assert 2 < row < 12 and page.locator(".pick[tabindex='0']").count() == 1
    page.keyboard.press("o")
    page.wait_for_selector("#viewer[open]")
    assert page.locator("#viewer-name").inner_text() == first[row]
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-name").inner_text() == first[row + 1]
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    page.keyboard.press("Enter")
    watched.until("id => document.querySelector('#references img')?.src.endsWith(id)", first[row])
    page.locator("#compare").focus()
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_selector(".column:nth-child(2)")
    watched.require_clean(server)


def test_side_by_side(watched: Watched, server: Running, world: TinyIndex, picture: Path) -> None:
    page = watched.page
    page.goto(f"{server.url}?id={picture.name}&text=in+red&compare=1")
    page.wait_for_selector(".column:nth-child(2) .score")
    for column, adapted in enumerate(("true", "false")):
        asked = expected(server, reference=picture.name, exclude=picture.name, text="in red", adapted=adapted)
        assert watched.ids(column) == asked
    assert watched.ids(0) != watched.ids(1) and page.locator(".shift").count() == 48
    watched.require_clean(server)


def test_refining_and_finding_nothing(watched: Watched, server: Running) -> None:
    page = watched.page
    page.goto(f"{server.url}?text=a+red+star")
    watched.settled()
    page.locator("#refine").click()
    page.locator("#where").fill("path~00000011*")
    watched.settled()
    assert watched.ids() == expected(server, text="a red star", where="path~00000011*")
    assert 0 < len(watched.ids()) < 24 and page.locator("#refined").text_content() == " · 1"
    page.locator("#where").fill("path=none")
    page.wait_for_selector(".nothing")
    page.locator("#where").fill("colour=red")
    page.wait_for_selector("#alert:not([hidden])")
    assert "colour" in page.locator("#alert p").inner_text()
    page.locator("#where").fill("")
    watched.settled()
    assert page.locator("#alert").is_hidden()
    page.locator("#show-more").click()
    watched.until("document.querySelectorAll('.hit').length === 48")
    assert [line for line in watched.said if "422" not in line] == []


def test_pictures_are_dropped_and_pasted_and_refused(watched: Watched, server: Running, picture: Path) -> None:
    page = watched.page
    page.goto(server.url)
    page.wait_for_selector(".hit .pick")
    give = """([bytes, name, type, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, {type}));
        const options = {bubbles: true, cancelable: true};
        window.dispatchEvent(kind === "drop" ? new DragEvent("drop", {...options, dataTransfer: data})
                                             : new ClipboardEvent("paste", {...options, clipboardData: data}));
    }"""
    data = list(picture.read_bytes())
    page.evaluate(give, [data, "a.jpg", "image/jpeg", "drop"])
    page.wait_for_selector("#references img")
    watched.settled()
    page.evaluate(give, [data, "a.jpg", "image/jpeg", "paste"])
    page.wait_for_selector("#trail a")
    page.evaluate(give, [list(b"no picture"), "a.txt", "text/plain", "drop"])
    page.wait_for_selector("#alert:not([hidden])")
    page.evaluate(give, [list(b"no picture"), "a.jpg", "image/jpeg", "drop"])
    watched.until("document.querySelector('#alert p').textContent.includes('cannot be used')")
    assert [line for line in watched.said if "422" not in line] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Any, server: Running, picture: Path, scheme: str) -> None:
    phone = {"width": 360, "height": 740}
    watched = Watched(browser, viewport=phone, is_mobile=True, has_touch=True, color_scheme=scheme)
    page = watched.page
    for address in ("", f"?id={picture.name}&text=in+red", f"?id={picture.name}&text=in+red&compare=1"):
        page.goto(server.url + address)
        page.wait_for_selector(".hit .pick")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#refine").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = page.evaluate(
        "[...document.querySelectorAll('.chip')].filter(c => c.offsetParent).map(c => c.offsetHeight)"
    )
    assert sizes and min(sizes) >= 40
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(20, 19, 24)") == (scheme == "dark")
    watched.require_clean(server)
    watched.context.close()


UNNAMED = """() => [...document.querySelectorAll('button, input, a[href], img, section, nav, dialog')].filter(e => {
    if (e.tagName === 'IMG') return !e.hasAttribute('alt');
    const said = ['aria-label', 'aria-labelledby'].map(name => e.getAttribute(name));
    return ![...said, e.labels?.length, e.textContent.trim()].some(Boolean);
}).map(e => e.outerHTML)"""
CONTRAST = """() => {
    const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
    const under = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (c.startsWith('rgb(')) return c; } return 'rgb(255, 255, 255)'; };
    return [...document.querySelectorAll('p, label, .chip, .name, .rank, h2, small, output, .about')]
        .filter(e => e.offsetParent && e.textContent.trim() && !e.closest(':disabled')).map(e => {
            const [a, b] = [light(getComputedStyle(e).color), light(under(e))].sort((x, y) => y - x);
            return [(a + .05) / (b + .05), e.className || e.tagName]; }).filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_can_be_read(browser: Any, server: Running, picture: Path, scheme: str) -> None:
    watched = Watched(browser, color_scheme=scheme, reduced_motion="reduce")
    page = watched.page
    page.goto(f"{server.url}?id={picture.name}&text=in+red&compare=1")
    page.wait_for_selector(".column:nth-child(2) .score")
    page.locator("#refine").click()
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(CONTRAST) == []
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("[role=status]").count() == 1
    watched.context.close()


def test_names_of_files_stay_text(browser: Any, server: Running, tmp_path: Path) -> None:
    """A file's name with a tag in it, in the address as a reference and in the question's text."""
    watched = Watched(browser)
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    watched.page.goto(f"{server.url}?id={evil}&text={evil}")
    watched.page.wait_for_selector("#alert:not([hidden])")
    assert watched.page.locator("img[src='x']").count() == 0
    assert watched.page.locator("#text").input_value() == "<img src=x onerror=alert(1)>"
    watched.context.close()


def test_the_token_opens_the_page(browser: Any, world: TinyIndex, tmp_path: Path) -> None:
    with serving(world.path, tmp_path, "--device", "cpu", "--token", TOKEN) as server:
        assert server.url.endswith(f"#token={TOKEN}")
        bare = server.url.partition("#")[0]
        for address in (bare, server.url):
            watched = Watched(browser)
            watched.page.goto(address)
            if address == bare:
                watched.page.wait_for_selector("#login[open]")
                watched.page.fill("#token", "wrong")
                watched.page.click("#login-form button")
                watched.until("document.querySelector('#login-wrong').textContent !== ''")
                watched.page.fill("#token", TOKEN)
                watched.page.click("#login-form button")
            watched.page.wait_for_selector(".hit .pick img")
            assert TOKEN not in watched.page.url
            watched.context.close()
