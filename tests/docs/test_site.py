"""The guide as a reader meets it: built strictly, whole, and readable from a disk without a network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from .conftest import Page

FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
NOT_FETCHED = {"search", "next", "prev", "index", "canonical", "author"}
"""Relations of a link element that a browser follows only when asked to."""


@dataclass
class Html(HTMLParser):
    """What a page names itself, what it leads to, and what a browser fetches to show it."""

    file: Path
    names: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for name, value in given.items():
            if (tag, name) in FETCHED and not (tag == "link" and given.get("rel", "") in NOT_FETCHED):
                self.fetched.append(value)


@pytest.fixture(scope="session")
def site(docs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Html]:
    """The built pages by their file; warnings are errors, as in `make docs`."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-d", str(out / "trees")]
    done = subprocess.run([*command, str(docs), str(out / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {file: Html(file) for file in (out / "html").rglob("*.html")}


def test_every_page_is_built(site: dict[Path, Html], docs: Path) -> None:
    built = {file.stem for file in site}
    assert {page.stem for page in docs.rglob("*.md")} <= built


def test_links_pictures_and_anchors_lead_somewhere(site: dict[Path, Html]) -> None:
    broken = []
    for file, page in site.items():
        for link in (*page.links, *page.fetched):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in _names(site, target)):
                broken.append(f"{file.name}: {link}")
    assert not broken


def _names(site: dict[Path, Html], target: Path) -> set[str]:
    return site[target].names if target in site else set()


def test_nothing_is_fetched_from_elsewhere(site: dict[Path, Html]) -> None:
    for file, page in site.items():
        elsewhere = [
            name for name in page.fetched if urlsplit(name).netloc or urlsplit(name).scheme not in ("", "data")
        ]
        assert not elsewhere, file
    styles = [style for file in site for style in file.parent.rglob("*.css")]
    assert not [style.name for style in styles if "url(http" in style.read_text(encoding="utf-8")]


def test_the_search_knows_the_words_and_needs_no_server(site: dict[Path, Html]) -> None:
    search = next(file for file in site if file.name == "search.html")
    index = search.parent / "searchindex.js"
    assert "searchindex.js" in [Path(name.partition("?")[0]).name for name in site[search].fetched]
    text = index.read_text(encoding="utf-8")
    assert text.startswith("Search.setIndex(")  # a script: from a disk a browser loads it, where it may not fetch
    assert '"qupath"' in text or "qupath:" in text
    options = (search.parent / "_static" / "documentation_options.js").read_text(encoding="utf-8")
    assert "SHOW_SEARCH_SUMMARY: false" in options


def test_links_of_the_markdown_lead_to_files_of_the_repository(page: Page) -> None:
    """As they are read in the repository, without the site."""
    inline = [child for token in page.tokens() for child in token.children or ()]
    links = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in inline if child.attrs]
    local = [unquote(urlsplit(link).path) for link in links if not urlsplit(link).scheme and urlsplit(link).path]
    assert [link for link in local if not (page.path.parent / link).exists()] == []


def test_every_picture_is_shown_somewhere(docs: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in docs.rglob("*.md"))
    assert [picture.name for picture in (docs / "pictures").iterdir() if picture.name not in text] == []
