"""A page of pictures as in the papers' figures: a row per tile; input, truth and each method side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from histoloop.exchange.contact_sheet import contact_sheet
from histoloop.exchange.heat import STOPS
from histoloop.exchange.panels import MASK_COLOUR, TRUTH_COLOUR, panels_of
from histoloop.exchange.writing import export_to
from histoloop.store.files import file_beside, write_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from PIL import Image

    from histoloop.exchange.panels import ComparisonRow, Heading, Panel


def write_comparison(folder: Path, rows: Iterable[ComparisonRow], *, title: str, sheet_rows: int = 12) -> Path:
    """Write pictures/*.jpg, comparison.png (the first `sheet_rows` rows) and index.html; the page's path is returned.

    Rows are drawn one at a time, in the order given; all need the same methods and rules (ValueError). Files that
    were in the folder are replaced, the page last. Raises ExportError when a file cannot be written.
    """
    with export_to(folder):
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
    headings: list[Heading] = []
    page_rows: list[str] = []
    sheet: list[tuple[str, list[Panel]]] = []
    for number, row in enumerate(rows, start=1):
        panels = list(panels_of(row))
        headings = headings or [panel.heading for panel in panels]
        if headings != [panel.heading for panel in panels]:
            raise ValueError(f"{row.name} has other methods than the rows before it")
        page_rows.append(_page_row(row, panels, _save_pictures(folder, number, panels)))
        if number <= sheet_rows:
            sheet.append((f"{row.name}  {row.label}", panels))
    if not page_rows:
        raise ValueError("a comparison needs at least one tile")
    _save(folder / "comparison.png", contact_sheet(sheet, title=title), {"optimize": True})
    page = folder / "index.html"
    with export_to(page):
        write_beside(page, _page(title, headings, page_rows))
    return page


def _save_pictures(folder: Path, row: int, panels: Sequence[Panel]) -> list[str | None]:
    """Paths of the row's pictures from the page, with forward slashes."""
    paths: list[str | None] = []
    for column, panel in enumerate(panels):
        name = f"{row:04d}-{column:02d}.jpg"
        if panel.picture is not None:
            # chroma as fine as luma: thin coloured outlines would fade
            _save(folder / "pictures" / name, panel.picture, {"quality": 88, "subsampling": 0})
        paths.append(None if panel.picture is None else f"pictures/{name}")
    return paths


def _save(path: Path, picture: Image.Image, options: dict[str, Any]) -> None:
    with export_to(path), file_beside(path) as partial:
        picture.save(partial, **options)


# --- the page ---------------------------------------------------------------------------------------------------------


def _page(title: str, headings: Sequence[Heading], rows: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col">{_heading(heading)}</th>' for heading in headings)
    return _PAGE.format(title=escape(title), style=_STYLE, key=_KEY, headings=cells, rows="\n".join(rows))


def _heading(heading: Heading) -> str:
    rule = f"<small>{escape(heading.rule)}</small>" if heading.rule else ""
    return f"{escape(heading.title)}{rule}"


def _page_row(row: ComparisonRow, panels: Sequence[Panel], paths: Sequence[str | None]) -> str:
    name = f'<th scope="row">{escape(row.name)}<small>{escape(row.label)}</small></th>'
    cells = (f"<td>{_figure(row.name, panel, path)}</td>" for panel, path in zip(panels, paths, strict=True))
    return f"<tr>{name}{''.join(cells)}</tr>"


def _figure(name: str, panel: Panel, path: str | None) -> str:
    words = ", ".join(filter(None, (panel.heading.title, panel.heading.rule)))
    caption = f"<figcaption>{escape(panel.caption)}<small>{escape(words)}</small></figcaption>"
    if panel.picture is None:
        return f"<figure>{caption}</figure>"
    width, height = panel.picture.size
    picture = f'<img src="{path}" alt="{escape(f"{name}: {words}")}" width="{width}" height="{height}" loading="lazy">'
    return f"<figure>{picture}{caption}</figure>"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{key}
<table>
<thead><tr><th scope="col">tile</th>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1c1e; --muted: #606066; --line: #dcdce0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161618; --ink: #ececee; --muted: #a4a4aa; --line: #38383c; }
}
body { margin: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.4 system-ui, sans-serif; }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; font-weight: 600; }
.key { color: var(--muted); margin: 0 0 1rem; }
.key span { margin-right: 1rem; }
.key i { display: inline-block; width: 1.6rem; height: .8rem; margin: 0 .4rem 0 0; vertical-align: middle; }
.key .line { background: linear-gradient(#78787c 38%, var(--colour) 38% 62%, #78787c 62%); }
.key .map { width: 7rem; margin: 0 .4rem; }
table { border-collapse: collapse; }
th { font-weight: 600; text-align: left; vertical-align: bottom; padding: .4rem .5rem; }
th small { display: block; font-size: inherit; font-weight: 400; color: var(--muted); }
thead th { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--line); }
tbody th { vertical-align: top; min-width: 9rem; overflow-wrap: anywhere; }
td { vertical-align: top; padding: .4rem .5rem; }
figure { margin: 0; width: 15rem; }
img { display: block; width: auto; height: auto; max-width: 15rem; max-height: 15rem; }
figcaption { margin-top: .25rem; font-variant-numeric: tabular-nums; }
figcaption small { display: block; font-size: .87em; color: var(--muted); }
"""

_KEY = (
    '<p class="key">'
    f'<span><i class="line" style="--colour: {_hex(TRUTH_COLOUR)}"></i>truth</span>'
    f'<span><i class="line" style="--colour: {_hex(MASK_COLOUR)}"></i>mask of the method</span>'
    f'<span>map: 0<i class="map" style="background: linear-gradient(90deg, {", ".join(map(_hex, STOPS))})"></i>1</span>'
    "</p>"
)
