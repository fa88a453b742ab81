"""A page as one sheet of A4 in a PDF, drawn by Matplotlib: it needs neither Qt nor a display. Lengths are points."""

from __future__ import annotations

import bisect
import warnings
from typing import TYPE_CHECKING

from histoloop import __version__
from histoloop.exchange.pages.page import ELLIPSIS
from histoloop.exchange.plain_text import without_marks
from histoloop.exchange.writing import export_to
from histoloop.store.files import file_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from histoloop.exchange.pages.page import Page, PagePicture, PageTable, PageText

WIDTH, HEIGHT = 595.3, 841.9
MARGIN, GAP = 40.0, 12.0
PICTURE_HEIGHT, PICTURE_WIDTH = 250.0, 330.0
SMALL, NORMAL, HEADING, TITLE = 7.5, 8.5, 10.0, 16.0
LINE = 1.35
MEASURED = 100.0
"""The size at which words are measured: at small ones their width is rounded to whole points."""
MOST_SIGNS = 400
"""No line has more."""
INK, MUTED, RED, RULE = "#1c1c1e", "#606066", "#b3261e", "#c8c8cc"


def write_pdf(path: Path, page: Page) -> None:
    """Write the file; ExportError where that cannot be."""
    from matplotlib import rc_context  # only who draws waits for it

    about = {"Title": without_marks(page.title), "Creator": f"HistoLoop {__version__}"}
    with (
        warnings.catch_warnings(),
        rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans"}),
        export_to(path),
        file_beside(path) as partial,
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of names in signs that the font has not
        _Sheet().draw(page).savefig(partial, format="pdf", metadata=about)


class _Sheet:
    """Draws from the top down; `y` is how far it has come."""

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties

        self.figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
        self._renderer = RendererAgg(WIDTH, HEIGHT, 72)  # type: ignore[no-untyped-call]
        self._fonts = FontProperties
        self.y = MARGIN

    def draw(self, page: Page) -> Figure:
        """Everything; what there is no room for at the end is cut."""
        self._line(page.title, TITLE, bold=True)
        self._line(page.subtitle, NORMAL, colour=MUTED)
        self.y += 3
        self._notice(page.notice)
        below = self._pictures(page.pictures)
        left = MARGIN if not page.pictures else below[0] + GAP
        top = self.y
        self._facts(page.facts, left)
        self._key(page.key, left)
        self.y = max(self.y, below[1] if page.pictures else top) + GAP / 2
        bottom = HEIGHT - MARGIN - 2 * NORMAL
        for table in page.tables:
            self._table(table, bottom)
        for text in page.texts:
            self._section(text, bottom)
        self._rule(HEIGHT - MARGIN - NORMAL * LINE)
        self._put(page.footer, MARGIN, HEIGHT - MARGIN, SMALL, colour=MUTED)
        return self.figure

    # --- parts ----------------------------------------------------------------------------------------------------

    def _notice(self, text: str) -> None:
        height = NORMAL * LINE + 6
        self._box(MARGIN, self.y, WIDTH - 2 * MARGIN, height, edge=RED)
        self._put(text, MARGIN + 5, self.y + NORMAL + 3, NORMAL, colour=RED, bold=True)
        self.y += height + GAP

    def _pictures(self, pictures: Sequence[PagePicture]) -> tuple[float, float]:
        """Right edge and bottom of the pictures, which stand one below the other."""
        right, y = MARGIN, self.y
        for picture in pictures:
            height_px, width_px = picture.pixels.shape[:2]
            scale = min(PICTURE_WIDTH / width_px, PICTURE_HEIGHT / len(pictures) / height_px)
            width, height = width_px * scale, height_px * scale
            axes = self.figure.add_axes((MARGIN / WIDTH, 1 - (y + height) / HEIGHT, width / WIDTH, height / HEIGHT))
            axes.imshow(picture.pixels, interpolation="none", aspect="auto")
            axes.set_axis_off()
            right, y = max(right, MARGIN + width), y + height
            if picture.caption:
                self._put(self._cut(picture.caption, SMALL, width), MARGIN, y + SMALL + 1, SMALL, colour=MUTED)
                y += SMALL * LINE + 2
        return right, y

    def _facts(self, facts: Sequence[tuple[str, str]], left: float) -> None:
        for what, value in facts:
            self._put(self._cut(what, SMALL, WIDTH - MARGIN - left), left, self.y + SMALL, SMALL, colour=MUTED)
            self.y += SMALL * LINE
            for line in self._wrapped(value, NORMAL, WIDTH - MARGIN - left, most=3):
                self._put(line, left, self.y + NORMAL, NORMAL)
                self.y += NORMAL * LINE
            self.y += 2

    def _key(self, key: Sequence[tuple[str, str]], left: float) -> None:
        self.y += 3
        for name, colour in key:
            self._box(left, self.y + 1, SMALL, SMALL, face=colour, edge=INK)
            name = self._cut(name, NORMAL, WIDTH - MARGIN - left - 14)
            self._put(name, left + 14, self.y + SMALL + 1, NORMAL)
            self.y += NORMAL * LINE

    def _table(self, table: PageTable, bottom: float) -> None:
        self._title(table.title)
        rows = [*([table.headings] if table.headings else []), *table.rows]
        widths = self._widths(rows) if rows else []
        for number, row in enumerate(rows):
            if self.y + NORMAL * LINE > bottom:
                break
            is_head = bool(table.headings) and number == 0
            x = MARGIN
            for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
                text = self._cut(cell, NORMAL, width - 6, bold=is_head)
                right = table.figures and place > 0
                self._put(text, x + width - 6 if right else x, self.y + NORMAL, NORMAL, bold=is_head, right=right)
                x += width
            self.y += NORMAL * LINE
            if is_head:
                self._rule(self.y)
                self.y += 1.5
        if table.note and self.y + SMALL * LINE <= bottom:
            for line in self._wrapped(table.note, SMALL, WIDTH - 2 * MARGIN, most=2):
                self._put(line, MARGIN, self.y + SMALL + 1, SMALL, colour=MUTED)
                self.y += SMALL * LINE
        self.y += GAP / 2

    def _widths(self, rows: Sequence[Sequence[str]]) -> list[float]:
        """Of the columns: what they need, and where that is too much, those above an even share give way alike."""
        needed = [
            max(self._length(row[at][:MOST_SIGNS], NORMAL, bold=True) + 8 for row in rows) for at in range(len(rows[0]))
        ]
        room = WIDTH - 2 * MARGIN
        over = sum(needed) - room
        if over <= 0:
            return [width * room / sum(needed) for width in needed]
        share = room / len(needed)
        beyond = [max(0.0, width - share) for width in needed]
        return [width - over * own / sum(beyond) for width, own in zip(needed, beyond, strict=True)]

    def _section(self, text: PageText, bottom: float) -> None:
        most = int((bottom - self.y - HEADING * LINE) / (NORMAL * LINE))
        if most < 1:
            return
        self._title(text.title)
        for line in self._wrapped(text.text, NORMAL, WIDTH - 2 * MARGIN, most=most):
            self._put(line, MARGIN, self.y + NORMAL, NORMAL)
            self.y += NORMAL * LINE
        self.y += GAP / 2

    def _title(self, title: str) -> None:
        self._put(title, MARGIN, self.y + HEADING, HEADING, bold=True)
        self.y += HEADING * LINE + 2

    # --- words ----------------------------------------------------------------------------------------------------

    def _line(self, text: str, size: float, *, colour: str = INK, bold: bool = False) -> None:
        self._put(self._cut(text, size, WIDTH - 2 * MARGIN, bold=bold), MARGIN, self.y + size, size, colour, bold=bold)
        self.y += size * LINE

    def _put(
        self, text: str, x: float, y: float, size: float, colour: str = INK, *, bold: bool = False, right: bool = False
    ) -> None:
        """Text whose line stands at `y`; nothing in it is read as mathematics."""
        weight, side = ("bold" if bold else "normal"), ("right" if right else "left")
        self.figure.text(
            x / WIDTH, 1 - y / HEIGHT, without_marks(text), size=size, color=colour, weight=weight, ha=side,
            va="baseline", parse_math=False,
        )  # fmt: skip

    def _length(self, text: str, size: float, *, bold: bool = False) -> float:
        font = self._fonts(size=MEASURED, weight="bold" if bold else "normal")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")
            size_of = self._renderer.get_text_width_height_descent
            width, _height, _descent = size_of(without_marks(text), font, False)  # type: ignore[no-untyped-call]
        return float(width) * size / MEASURED

    def _cut(self, text: str, size: float, room: float, *, bold: bool = False) -> str:
        """The text, or as much of its beginning as there is room for, with dots."""
        if len(text) < MOST_SIGNS and self._length(text, size, bold=bold) <= room:
            return text
        fits = bisect.bisect(
            range(1, min(len(text), MOST_SIGNS)),
            room,
            key=lambda count: self._length(text[:count] + ELLIPSIS, size, bold=bold),
        )
        return text[:fits].rstrip() + ELLIPSIS

    def _wrapped(self, text: str, size: float, room: float, *, most: int) -> list[str]:
        """The words on at most so many lines; what is left over ends in dots."""
        lines: list[str] = []
        words = text.split()
        while words and len(lines) < most:
            count = 1
            while count < len(words) and self._length(" ".join(words[: count + 1]), size) <= room:
                count += 1
            if len(lines) == most - 1:
                count = min(len(words), MOST_SIGNS)
            lines.append(self._cut(" ".join(words[:count]), size, room))
            words = words[count:]
        return lines

    # --- lines ----------------------------------------------------------------------------------------------------

    def _rule(self, y: float) -> None:
        from matplotlib.lines import Line2D

        place = [1 - y / HEIGHT] * 2
        self.figure.add_artist(Line2D([MARGIN / WIDTH, 1 - MARGIN / WIDTH], place, color=RULE, linewidth=0.6))

    def _box(self, x: float, y: float, width: float, height: float, *, edge: str, face: str = "none") -> None:
        from matplotlib.patches import Rectangle

        place = (x / WIDTH, 1 - (y + height) / HEIGHT)
        self.figure.add_artist(
            Rectangle(place, width / WIDTH, height / HEIGHT, edgecolor=edge, facecolor=face, linewidth=0.6)
        )
