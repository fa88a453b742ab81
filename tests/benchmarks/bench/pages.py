"""What a benchmark puts into a page of docs, between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def put_between(page: Path, start: str, end: str, content: str) -> None:
    """Replace what stands between the marks `start` and `end`, each of which is there once."""
    before, rest = page.read_text(encoding="utf-8").split(start)
    _old, after = rest.split(end)
    page.write_text(f"{before}{start}\n\n{content}\n\n{end}{after}", encoding="utf-8")
