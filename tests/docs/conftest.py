"""The guide's pages, read as Markdown."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
_MARK = re.compile(r"<!-- (tour|by hand): (.+?) -->")
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: its language ('' when indented), its text, and why it is not run ('' when it is)."""

    language: str
    text: str
    not_run: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the guide by its path; `name` is the path below docs/."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(DOCS).as_posix() if DOCS in self.path.parents else self.path.name

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def tokens(self) -> Sequence[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text())

    def blocks(self) -> Iterator[Block]:
        """The code blocks in their order."""
        reason = ""
        for token in self.tokens():
            if token.type in ("fence", "code_block"):
                yield Block(token.info.strip(), token.content, reason)
            found = _NOT_RUN.search(token.content) if token.type == "html_block" else None
            reason = found[1] if found else ""


Deed = Literal["press", "type", "see", "by hand"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the tutorial: the step of the tour it names, its pictures, and what to do and see, in order."""

    title: str
    tour: tuple[str, ...]
    pictures: tuple[str, ...]
    deeds: tuple[tuple[Deed, str], ...]


def steps(page: Page) -> list[Step]:
    """The numbered sections: **bold** is pressed, `keys` are typed, *italics* seen, what has a mark done by hand."""
    found: list[Step] = []
    tokens = list(page.tokens())
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            heading = tokens[place + 1].content
            section = list(itertools.takewhile(lambda later: later.type != "heading_open", tokens[place + 3 :]))
            if heading[0].isdigit():
                found.append(_step(heading, section))
    return found


def _step(title: str, section: Sequence[Token]) -> Step:
    tour, pictures, deeds = [], [], []
    for token in section:
        for kind, text in _MARK.findall(token.content) if token.type == "html_block" else ():
            if kind == "tour":
                tour.append(text)
            else:
                deeds.append(("by hand", text))
        children = list(token.children or ())
        for child, following in itertools.zip_longest(children, children[1:]):
            if child.type == "image":
                pictures.append(Path(str(child.attrs["src"])).name)
            elif child.type == "strong_open":
                deeds.append(("press", following.content))
            elif child.type == "em_open":
                deeds.append(("see", following.content))
            elif child.type == "code_inline" and not child.content.startswith("histoloop"):
                deeds.append(("type", child.content))
    return Step(title, tuple(tour), tuple(pictures), tuple(deeds))


def all_pages() -> list[Page]:
    """Every page of the guide, and those at the top of the repository."""
    return [Page(path) for path in sorted((*DOCS.rglob("*.md"), *ROOT.glob("*.md")))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each `page`, `example` (of the developers' pages), `run_page` (with commands to run), `step`."""
    pages = all_pages()
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages, ids=lambda page: page.name)
    if "example" in metafunc.fixturenames:
        examples = [page for page in pages if page.name.startswith("developing/")]
        metafunc.parametrize("example", examples, ids=lambda page: page.name)
    if "run_page" in metafunc.fixturenames:
        run = [page for page in pages if any(block.language == "bash" and not block.not_run for block in page.blocks())]
        metafunc.parametrize("run_page", run, ids=lambda page: page.name)
    if "step" in metafunc.fixturenames:
        metafunc.parametrize("step", steps(Page(DOCS / "tutorial.md")), ids=lambda step: step.title)


@pytest.fixture(scope="session")
def docs() -> Path:
    """The folder of the guide."""
    return DOCS


@pytest.fixture(scope="session")
def tutorial() -> list[Step]:
    """The steps of the tutorial."""
    return steps(Page(DOCS / "tutorial.md"))
