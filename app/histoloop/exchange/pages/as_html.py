"""A page as one HTML file: pictures are inside, nothing is loaded from elsewhere; printed, it is one sheet of A4."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from PIL import Image

from histoloop.exchange.plain_text import without_marks
from histoloop.exchange.writing import exported_file

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.exchange.pages.page import Page, PagePicture, PageTable

JPEG_QUALITY = 88
STYLE = """
@page { size: A4; margin: 10mm 14mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 8mm; max-width: 200mm; color: #1c1c1e; background: #fff; font: 9pt/1.3 sans-serif;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
header { display: flex; justify-content: space-between; align-items: flex-end; border-bottom: 1px solid #c8c8cc; }
h1 { font-size: 15pt; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 10pt; margin: 3mm 0 1mm; }
p { margin: 0 0 1mm; overflow-wrap: anywhere; }
.muted { color: #606066; }
.notice { margin: 2mm 0; padding: 1mm 2mm; border: 1px solid #b3261e; color: #b3261e; font-weight: bold; }
.top { display: flex; gap: 5mm; align-items: flex-start; }
figure { margin: 0; flex: 0 1 auto; min-width: 0; }
img { display: block; max-width: 100%; max-height: 88mm; }
.beside { flex: 1 1 56mm; min-width: 56mm; }
.beside td:first-child { white-space: nowrap; }
.key span { display: inline-block; margin-right: 4mm; }
.key i { display: inline-block; width: 3mm; height: 3mm; margin-right: 1mm; border: 1px solid #0004; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: bold; border-bottom: 1px solid #c8c8cc; }
th, td { padding: 0.4mm 2mm 0.4mm 0; vertical-align: top; overflow-wrap: anywhere; }
.figures th + th, .figures td + td { text-align: right; }
footer { margin-top: 3mm; border-top: 1px solid #c8c8cc; padding-top: 1mm; }
@media print { body { padding: 0; max-width: none; } h2, tr { break-inside: avoid; } }
"""


def write_html(path: Path, page: Page) -> None:
    """Write the file; ExportError where that cannot be."""
    with exported_file(path) as file:
        file.write(html_of(page).encode())


def html_of(page: Page) -> str:
    """The file's text."""
    parts = [
        f"<header><div><h1>{_text(page.title)}</h1><p class='muted'>{_text(page.subtitle)}</p></div></header>",
        f"<p class='notice'>{_text(page.notice)}</p>",
        "<div class='top'>",
        *map(_figure, page.pictures),
        f"<div class='beside'>{_facts(page)}{_key(page)}</div>",
        "</div>",
        *map(_table, page.tables),
        *(f"<section><h2>{_text(one.title)}</h2><p>{_text(one.text)}</p></section>" for one in page.texts),
        f"<footer class='muted'>{_text(page.footer)}</footer>",
    ]
    return (
        f"<!DOCTYPE html>\n<html lang='{_text(page.language)}'>\n<head><meta charset='utf-8'>"
        f"<title>{_text(page.title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n"
        "</html>\n"
    )


def _text(text: str) -> str:
    return html.escape(without_marks(text))


def _figure(picture: PagePicture) -> str:
    packed = io.BytesIO()
    Image.fromarray(picture.pixels).save(packed, "JPEG", quality=JPEG_QUALITY)
    source = base64.b64encode(packed.getvalue()).decode()
    caption = f"<figcaption class='muted'>{_text(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure><img alt='{_text(picture.caption)}' src='data:image/jpeg;base64,{source}'>{caption}</figure>"


def _facts(page: Page) -> str:
    rows = "".join(
        f"<tr><td class='muted'>{_text(what)}</td><td>{_text(value)}</td></tr>" for what, value in page.facts
    )
    return f"<table>{rows}</table>"


def _key(page: Page) -> str:
    parts = "".join(
        f"<span><i style='background:{_text(colour)}'></i>{_text(name)}</span>" for name, colour in page.key
    )
    return f"<p class='key'>{parts}</p>"


def _table(table: PageTable) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.headings)
    rows = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    note = f"<p class='muted'>{_text(table.note)}</p>" if table.note else ""
    kind = " class='figures'" if table.figures else ""
    body = f"<table{kind}>{f'<tr>{head}</tr>' if head else ''}{rows}</table>" if rows else ""
    return f"<section><h2>{_text(table.title)}</h2>{body}{note}</section>"
