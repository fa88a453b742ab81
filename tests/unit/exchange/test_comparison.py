"""A page of pictures shows what was measured, stands alone and is written whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from histoloop.errors import ExportError
from histoloop.exchange.comparison import write_comparison
from histoloop.exchange.contact_sheet import SHEET_PX, contact_sheet, fitted, wrapped
from histoloop.exchange.heat import STOPS, heat
from histoloop.exchange.panels import MASK_COLOUR, PANEL_PX, TRUTH_COLOUR, ComparisonColumn, ComparisonRow, panels_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GREY = 128


def half(height: int = 40, width: int = 60) -> NDArray[np.bool_]:
    """Foreground in the left half."""
    return np.arange(width)[None, :] < np.full((height, 1), width // 2)


def column(method: str = "CAM", rule: str = "predicted", **options: Any) -> ComparisonColumn:
    settings = {"value": half() * np.float32(0.8), "threshold": 0.5, "dice": 0.725}
    return ComparisonColumn(method, rule, **(settings | options))


def row(name: str = "a.png", *columns: ComparisonColumn, **options: Any) -> ComparisonRow:
    settings = {"pixels": np.full((40, 60, 3), GREY, np.uint8), "truth": half(), "label": "Polyp"}
    return ComparisonRow(name, columns=columns or (column(),), **(settings | options))


def pixels_of(picture: Image.Image | None) -> NDArray[np.uint8]:
    assert picture is not None
    return np.asarray(picture)


def is_colour(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((pixels == colour).all(axis=2))


# --- panels -----------------------------------------------------------------------------------------------------------


def test_a_row_is_input_truth_and_each_method_with_its_rule_and_dice() -> None:
    panels = list(
        panels_of(row("a.png", column(), column(rule="true-label", dice=None), column("U-Net", "", dice=1.0)))
    )
    assert [(panel.heading.title, panel.heading.rule, panel.caption) for panel in panels] == [
        ("input", "", ""),
        ("truth", "", "size 50.0 %"),
        ("CAM", "predicted", "Dice 72.5 %"),
        ("CAM", "true-label", ""),
        ("U-Net", "", "Dice 100.0 %"),
    ]


def test_pictures_keep_the_shape_of_the_tile_with_the_longer_side_alike() -> None:
    for height, width in ((40, 60), (900, 300), (1, 5000)):
        value = np.zeros((height, width), np.float32)
        one = row("a", column(value=value), pixels=np.zeros((height, width, 3), np.uint8), truth=value > 0)
        for panel in panels_of(one):
            assert panel.picture is not None
            assert max(panel.picture.size) == PANEL_PX
            assert panel.picture.width == max(1, round(PANEL_PX * width / max(height, width)))


def test_the_truth_is_outlined_where_it_ends_and_not_along_the_border_of_the_tile() -> None:
    outlined = is_colour(pixels_of(list(panels_of(row()))[1].picture), TRUTH_COLOUR)
    columns = np.flatnonzero(outlined.any(axis=0))
    assert outlined[:, columns].all()
    assert PANEL_PX // 2 - 4 <= columns.min() <= columns.max() < PANEL_PX // 2


def test_the_mask_outlined_is_where_the_map_is_above_its_threshold() -> None:
    value = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    for threshold in (0.25, 0.5):
        outlined = is_colour(
            pixels_of(list(panels_of(row("a", column(value=value, threshold=threshold))))[2].picture), MASK_COLOUR
        )
        first = np.flatnonzero(outlined.any(axis=0)).min()
        assert first == pytest.approx(threshold * PANEL_PX, abs=4)


def test_without_a_threshold_the_map_has_no_outline() -> None:
    shown = pixels_of(list(panels_of(row("a", column(threshold=None))))[2].picture)
    assert not is_colour(shown, MASK_COLOUR).any()


def test_a_map_is_coloured_everywhere_and_a_mask_only_inside() -> None:
    mapped, masked = (
        pixels_of(panel.picture) for panel in list(panels_of(row("a", column(), column(value=half()))))[2:]
    )
    assert (masked[:, -20:] == GREY).all()
    assert (masked[:, :20] != GREY).any()
    assert (mapped[:, -20:] != GREY).any()
    assert is_colour(masked, MASK_COLOUR).any()


def test_an_unknown_truth_has_no_picture_but_says_so() -> None:
    panel = list(panels_of(row(truth=None)))[1]
    assert (panel.picture, panel.caption) == (None, "not known")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_empty_and_a_full_mask_have_no_outline(share: float) -> None:
    shown = list(panels_of(row("a", column(value=np.full((40, 60), share)), truth=np.full((40, 60), share > 0))))
    assert not is_colour(pixels_of(shown[1].picture), TRUTH_COLOUR).any()
    assert not is_colour(pixels_of(shown[2].picture), MASK_COLOUR).any()


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_a_map_that_is_no_share_is_refused_by_method(value: float) -> None:
    with pytest.raises(ValueError, match="CAM"):
        column(value=np.full((40, 60), value))


@pytest.mark.parametrize(
    "options",
    [
        {"pixels": np.zeros((40, 60), np.uint8)},
        {"pixels": np.zeros((40, 60, 3), np.float32)},
        {"truth": np.zeros((40, 61), bool)},
        {"truth": np.zeros((40, 60), np.uint8)},
        {"pixels": np.zeros((41, 60, 3), np.uint8), "truth": None},
    ],
)
def test_what_does_not_fit_the_tile_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^a\.png: "):
        row(**options)


# --- colours ----------------------------------------------------------------------------------------------------------


def test_heat_runs_from_the_first_stop_to_the_last_and_ever_brighter() -> None:
    colours = heat(np.linspace(0, 1, 50)[None])
    assert tuple(colours[0, 0]) == STOPS[0]
    assert tuple(colours[0, -1]) == STOPS[-1]
    assert (np.diff(colours[0] @ (0.2126, 0.7152, 0.0722)) > 0).all()


# --- the sheet --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("methods", "widest"), [(1, 3 * 290 + 40), (4, SHEET_PX), (10, SHEET_PX), (30, 32 * 106 + 40)])
def test_the_sheet_is_as_wide_as_its_columns_and_no_wider_than_a_page_while_they_can_be_seen(
    methods: int, widest: int
) -> None:
    panels = list(panels_of(row("a", *(column(f"method {number} of many") for number in range(methods)))))
    sheet = contact_sheet([("a", panels), ("b", panels)], title="t")
    assert widest - 120 < sheet.width <= widest
    assert contact_sheet([("a", panels)], title="A title " * 100).width == sheet.width


def test_captions_and_names_are_drawn_on_the_sheet() -> None:
    panels = list(panels_of(row("a", column(dice=None))))
    with_dice = list(panels_of(row("a", column(dice=0.5))))
    plain, captioned, named = (
        np.asarray(contact_sheet([(name, one)], title="t"))
        for name, one in (("", panels), ("", with_dice), ("tile 7", panels))
    )
    assert plain.shape == captioned.shape == named.shape
    assert (plain != captioned).any()
    assert (plain != named).any()


def test_long_words_end_in_dots_within_their_width() -> None:
    font = ImageFont.load_default(14)
    assert fitted("CAM", font, 200) == "CAM"
    cut = fitted("a very long name of a method", font, 80)
    assert cut.endswith("...")
    assert font.getlength(cut) <= 80
    assert fitted("anything", font, 0) == "..."


def test_a_heading_is_broken_between_words() -> None:
    font = ImageFont.load_default(14)
    lines = wrapped("log-sum-exp pooling of a classifier", font, 100, lines=3)
    assert " ".join(lines) == "log-sum-exp pooling of a classifier"
    assert all(font.getlength(line) <= 100 for line in lines)
    last = wrapped("one two three four five six seven", font, 60, lines=2)
    assert len(last) == 2
    assert last[1].endswith("...")
    assert wrapped("", font, 60, lines=2) == []


# --- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags with their attributes, and all words outside the style sheet."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.words += data + " "

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_shows_every_picture_with_its_size_and_what_it_is(tmp_path: Path) -> None:
    path = write_comparison(
        tmp_path / "out",
        [row("a.png", column(), column("U-Net", "")), row("b.png", column(), column("U-Net", ""))],
        title="GlaS",
    )
    assert path == tmp_path / "out" / "index.html"
    pictures = Page(path).of("img")
    assert [picture["alt"] for picture in pictures[:4]] == [
        "a.png: input",
        "a.png: truth",
        "a.png: CAM, predicted",
        "a.png: U-Net",
    ]
    assert len(pictures) == 8
    for picture in pictures:
        with Image.open(path.parent / str(picture["src"])) as opened:
            assert (str(opened.width), str(opened.height)) == (picture["width"], picture["height"])


def test_the_page_needs_nothing_from_elsewhere_and_no_script(tmp_path: Path) -> None:
    path = write_comparison(tmp_path, [row()], title="GlaS")
    page = Page(path)
    assert not page.of("script")
    assert not page.of("link")
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//|@import|url\(", path.read_text(encoding="utf-8"))


def test_captions_name_method_rule_and_dice(tmp_path: Path) -> None:
    words = Page(write_comparison(tmp_path, [row()], title="GlaS, test A")).words
    for expected in ("GlaS, test A", "a.png", "Polyp", "CAM, predicted", "Dice 72.5 %", "size 50.0 %"):
        assert expected in words


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    name = '<b>"x"&amp;{y}</b>'
    path = write_comparison(tmp_path, [row(name, column(name, name), label=name)], title=name)
    page = Page(path)
    assert not page.of("b")
    assert page.words.count(name) >= 4
    assert page.of("img")[0]["alt"] == f"{name}: input"


def test_rows_stay_in_the_order_given_and_the_sheet_has_the_first_of_them(tmp_path: Path) -> None:
    rows = [row(name) for name in ("c", "a", "b")]
    path = write_comparison(tmp_path / "all", iter(rows), title="t")
    write_comparison(tmp_path / "one", iter(rows), title="t", sheet_rows=1)
    assert [str(picture["alt"])[0] for picture in Page(path).of("img")[::3]] == ["c", "a", "b"]
    with (
        Image.open(tmp_path / "all" / "comparison.png") as whole,
        Image.open(tmp_path / "one" / "comparison.png") as first,
    ):
        assert whole.width == first.width
        assert whole.height > first.height


def test_an_unknown_truth_leaves_its_place_empty(tmp_path: Path) -> None:
    page = Page(write_comparison(tmp_path, [row(truth=None)], title="t"))
    assert len(page.of("img")) == 2
    assert len(page.of("td")) == 3
    assert "not known" in page.words


def test_a_second_evaluation_replaces_the_first_and_leaves_nothing_beside(tmp_path: Path) -> None:
    for title in ("first", "second"):
        write_comparison(tmp_path, [row()], title=title)
    assert "second" in (tmp_path / "index.html").read_text(encoding="utf-8")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == [
        "comparison.png", "index.html", "pictures", "pictures/0001-00.jpg", "pictures/0001-01.jpg",
        "pictures/0001-02.jpg",
    ]  # fmt: skip


def test_a_row_with_other_methods_is_refused_and_no_page_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^b has other methods"):
        write_comparison(tmp_path, [row("a"), row("b", column("WILDCAT"))], title="t")
    assert not (tmp_path / "index.html").exists()


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        write_comparison(tmp_path, [], title="t")


def test_a_place_that_cannot_be_written_is_an_export_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ExportError, match="file") as caught:
        write_comparison(tmp_path / "file", [row()], title="t")
    assert "folder" in caught.value.advice
    (tmp_path / "out" / "index.html").mkdir(parents=True)
    with pytest.raises(ExportError, match=r"index\.html cannot be written"):
        write_comparison(tmp_path / "out", [row()], title="t")
