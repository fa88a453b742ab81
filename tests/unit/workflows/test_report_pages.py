"""Pages about slides and projects: what stands on them, that they are one sheet, and what they never show."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.exchange.pages.as_html import html_of
from histoloop.exchange.pages.as_pdf import write_pdf
from histoloop.exchange.pages.page import Page, PageTable, PageText, elided, montage, with_masks
from histoloop.geometry import Region
from histoloop.language import speak
from histoloop.progress import finish
from histoloop.workflows.contents.cross_validation import CrossValidated
from histoloop.workflows.contents.slide_overview import slide_overview
from histoloop.workflows.contents.slide_page import LONGEST_TEXT, SeenSlide, names_on_pages, page_of_slide
from histoloop.workflows.report_pages import write_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

GLAND = Region(16, 8, 40, 24)
NOTICE = "Research use only. HistoLoop is not a diagnostic device."


def painted(project: Project, slide: SlideRecord, region: Region, value: int, person: str) -> None:
    mask = np.full((region.height, region.width), value, np.uint8)
    draft = project.drafts.start(slide.id, region, mask=mask, origin_model=None, person=person, origin=Origin.HUMAN)
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


@pytest.fixture
def slide(project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideRecord:
    """A slide of 160 x 96 at 0.5 um with one predicted gland, and a tumour of 20 x 20 that Ada painted."""
    record = add_slide("a.png", mpp=0.5)
    foreground = np.zeros((96, 160), np.float32)
    foreground[GLAND.y : GLAND.bottom, GLAND.x : GLAND.right] = 1
    add_map(record, foreground)
    painted(project, record, Region(100, 40, 20, 20), 2, "Ada")
    return record


def page_text(path: Path) -> str:
    """What a reader sees of an HTML page."""
    body = path.read_text("utf-8").partition("<body>")[2]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_areas_parts_and_hands_of_a_slide_are_counted_exactly(project: Project, slide: SlideRecord) -> None:
    seen = slide_overview(project, slide, side_px=80)
    assert seen.areas_px == {"gland": 40 * 24, "tumour": 400}
    assert seen.by_people_px == {"gland": 0, "tumour": 400}
    assert seen.parts == {"gland": 1, "tumour": 1}
    assert seen.mask.shape == (48, 80) == seen.pixels.shape[:2]
    assert (seen.mask == 1).sum() == 20 * 12
    assert (seen.mask == 2).sum() == 100


def test_an_unpredicted_slide_shows_what_was_painted_and_says_so(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    record = add_slide("b.png", mpp=0.5)
    painted(project, record, Region(0, 0, 20, 10), 1, "Bo")
    seen = slide_overview(project, record, side_px=160)
    assert (seen.predicted, seen.areas_px["gland"], (seen.mask == 1).sum()) == (False, 200, 200)
    finish(write_pages(project, tmp_path / "out"))
    assert "The slide is not predicted: these are areas of annotated regions." in page_text(
        tmp_path / "out/b-report.html"
    )


def test_where_nothing_is_known_no_area_is_said_to_be_zero(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    finish(write_pages(project, tmp_path / "empty"))
    assert "Slides None. Model" in page_text(tmp_path / "empty/report.html")
    add_slide("b.png", mpp=0.5)
    finish(write_pages(project, tmp_path / "out"))
    text = page_text(tmp_path / "out/b-report.html")
    assert "Areas Nothing is known: the slide is not predicted, and nothing is painted on it." in text
    assert "0.0000" not in text


@pytest.mark.usefixtures("slide")
def test_a_cross_validation_of_the_model_in_use_is_on_the_page(project: Project, tmp_path: Path) -> None:
    base = project.models.current()
    folder = Path(shutil.copytree(base.folder, project.models.new_folder(1)))
    model = project.models.add(folder.name, hash="one", parent=base.id, round=1)
    found = CrossValidated(7, 0.8, (0.7, 0.9), 5, 0.6, 0.75, (0.05, 0.25))
    project.rounds.add(model.id, base.id, {"held_out": 1.0, "dice": 0.7, **found.as_figures()}, 6)
    project.models.make_current(model.id)
    finish(write_pages(project, tmp_path / "out"))
    assert "Cross-validation Cross-validated on 7 painted regions: Dice 0.800" in page_text(
        tmp_path / "out/report.html"
    )


@pytest.mark.usefixtures("slide")
def test_a_page_says_areas_model_people_time_and_that_it_is_for_research_alone(
    project: Project, tmp_path: Path
) -> None:
    report = finish(write_pages(project, tmp_path / "out"))
    assert [path.name for path in report.files] == ["a-report.html", "report.html"]
    text = page_text(tmp_path / "out" / "a-report.html")
    assert text.count(NOTICE) == 2
    assert "Gland 0.0002 mm²" in text
    assert "Tumour 0.0001 mm² … 1 100.0%" in text
    assert "Ada mask: tumour 10 x 10 µm" in text
    assert "trains the model" in text
    assert "tiny, " + project.models.current().hash[:12] in text
    assert "From the card of tiny For tests." in text
    whole = page_text(tmp_path / "out" / "report.html")
    assert "a.png tumour" not in whole
    assert "gland 0.0002 mm², tumour 0.0001 mm² 1" in whole
    assert "Annotated regions 1" in whole


@pytest.mark.usefixtures("slide")
def test_no_page_names_a_path_and_nothing_is_loaded_from_elsewhere(project: Project, tmp_path: Path) -> None:
    finish(write_pages(project, tmp_path / "out", formats=("html", "pdf")))
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        assert str(tmp_path).encode() not in content, path
        assert b"src='http" not in content
        assert b"slides/a.png" not in content
    (source,) = re.findall(r"src='data:image/jpeg;base64,([^']*)'", (tmp_path / "out/a-report.html").read_text("utf-8"))
    with Image.open(io.BytesIO(base64.b64decode(source))) as picture:
        assert picture.size == (160, 96)


@pytest.mark.usefixtures("slide")
def test_a_pdf_is_one_page_and_keeps_its_words_as_text(project: Project, tmp_path: Path) -> None:
    report = finish(write_pages(project, tmp_path, formats=("pdf",)))
    assert [path.name for path in report.files] == ["a-report.pdf", "report.pdf"]
    for path in report.files:
        content = path.read_bytes()
        assert content.startswith(b"%PDF-")
        assert len(re.findall(rb"/Type /Page\b", content)) == 1
        assert b"/FontFile2" in content  # letters are letters, not drawings


def test_chosen_slides_alone_have_pages_and_the_project_none(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    add_slide("b.png")
    report = finish(write_pages(project, tmp_path, slide_ids={slide.id}))
    assert [path.name for path in report.files] == ["a-report.html"]
    with pytest.raises(ValueError, match="cannot write pages as"):
        finish(write_pages(project, tmp_path, formats=()))


def test_a_slide_whose_file_is_gone_has_a_page_and_a_replaced_one_is_reported(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    other = add_slide("b.png")
    slide.path.unlink()
    Image.new("RGB", (160, 96), "white").save(other.path)
    report = finish(write_pages(project, tmp_path / "out"))
    assert [path.name for path in report.files] == ["a-report.html", "report.html"]
    assert [name for name, _reason in report.failed] == ["b.png"]
    assert "cannot be read: only its masks are shown" in page_text(tmp_path / "out" / "a-report.html")


def test_pages_speak_the_language_spoken(project: Project, slide: SlideRecord) -> None:
    speak("de")
    try:
        page = page_of_slide(project, SeenSlide(slide, "a.png", slide_overview(project, slide, side_px=80)))
    finally:
        speak("en")
    text = html_of(page)
    assert "<html lang='de'>" in text
    assert "Von einer Person gemalt oder bestätigt" in text
    assert "0,0002 mm²" in text


def test_slides_of_one_name_are_numbered_not_told_by_their_folders(add_slide: Callable[..., SlideRecord]) -> None:
    slides = [add_slide("one/x.png"), add_slide("two/x.png"), add_slide("y.png")]
    assert list(names_on_pages(slides).values()) == ["x.png (1)", "x.png (2)", "y.png"]


# --- the page itself --------------------------------------------------------------------------------------------------


def test_what_people_wrote_is_text_and_nothing_else() -> None:
    table = PageTable("Who", ("Person",), (("<script>alert(1)</script>",),))
    page = Page("$\\frac{1}{2}$ & <b>", "", NOTICE, (), (("<i>", "#00ff00"),), (("a", "<u>"),), (table,), (), "foot")
    text = html_of(page)
    assert "&lt;script&gt;" in text
    for mark in ("<script", "<b>", "<u>", "<i>"):
        assert mark not in text


@pytest.mark.parametrize("name", ["$\\alpha_$ {} %s", "名前", "x" * 400])
def test_any_name_can_be_drawn_and_too_much_text_stays_on_the_page(tmp_path: Path, name: str) -> None:
    rows = tuple((name, name, "1") for _ in range(90))
    table = PageTable("T", (name, "B", "C"), rows, note=name, figures=True)
    page = Page(
        name, name, NOTICE, (), ((name, "#000000"),), ((name, name),), (table,), (PageText("T", name * 80),), name
    )
    write_pdf(tmp_path / "a.pdf", page)
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "a.pdf").read_bytes())) == 1


def test_masks_tint_the_picture_and_their_inner_edge_has_the_full_colour() -> None:
    mask = np.zeros((5, 5), np.uint8)
    mask[1:4, 1:4], mask[0, 4] = 1, 255
    shown = with_masks(np.full((5, 5, 3), 100, np.uint8), mask, ["#c80000"])
    assert shown[1, 1].tolist() == [200, 0, 0]
    assert shown[2, 2].tolist() == [135, 65, 65]
    assert shown[0, 0].tolist() == shown[0, 4].tolist() == [100, 100, 100]
    with pytest.raises(ValueError, match="does not fit"):
        with_masks(np.zeros((4, 5, 3), np.uint8), mask, [])


def test_a_montage_keeps_shapes_and_needs_a_picture() -> None:
    sheet = montage([np.zeros((10, 20, 3), np.uint8)] * 4, columns=3, side_px=20, gap_px=2)
    assert sheet.shape == (22, 64, 3)
    with pytest.raises(ValueError, match="needs a picture"):
        montage([], columns=3, side_px=20)


def test_long_names_lose_their_middle_and_card_texts_are_bounded() -> None:
    assert elided("a" * 30 + "b" * 30, 21) == "a" * 10 + "…" + "b" * 10
    assert elided("short") == "short"
    assert LONGEST_TEXT < 1000
