"""What a page says of a slide, and of a project: words and figures out of the store, in the language spoken.

Neither paths nor pictures of labels are on it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from histoloop import __version__
from histoloop.annotations.class_names import spoken_class, spoken_title
from histoloop.exchange.pages.page import ELLIPSIS, Page, PagePicture, PageTable, PageText, elided, montage, with_masks
from histoloop.language import mark, spoken, tr, tr_plural
from histoloop.store.cards import load_card
from histoloop.store.records import MppFrom, SlideRecord, predicted_names
from histoloop.workflows.contents.history import past_models
from histoloop.workflows.contents.masks import said_mask
from histoloop.workflows.contents.rounds import class_figures
from histoloop.workflows.contents.slide_overview import SlideOverview
from histoloop.workflows.contents.verdict import crossed_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histoloop.store.cards import Card
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord

RESEARCH_ONLY = mark("Research use only. HistoLoop is not a diagnostic device.")
MOST_ANNOTATIONS, MOST_SLIDES, MOST_PEOPLE, MOST_CLASSES, MOST_PICTURES = 9, 13, 6, 6, 6
LONGEST_TEXT = 900
HASH_DIGITS = 12
FROM = {
    MppFrom.STATED: mark("{mpp:.3g} µm per pixel, stated by the file"),
    MppFrom.GIVEN: mark("{mpp:.3g} µm per pixel, given by a person"),
    MppFrom.OBJECTIVE: mark("{mpp:.3g} µm per pixel, estimated by the objective"),
    MppFrom.NOT_KEPT: mark("{mpp:.3g} µm per pixel"),
}


@dataclass(frozen=True, slots=True, eq=False)
class SeenSlide:
    """A slide, the name that it has on pages, and how it looks."""

    slide: SlideRecord
    name: str
    overview: SlideOverview


def names_on_pages(slides: Sequence[SlideRecord]) -> dict[int, str]:
    """What slides (by id) are called where no folders are named; alike names are numbered in the project's order."""
    plain = {slide.id: PurePath(slide.name).name for slide in slides}
    often, numbers = Counter(plain.values()), Counter[str]()
    names = {}
    for slide_id, name in plain.items():
        numbers[name] += 1
        names[slide_id] = f"{name} ({numbers[name]})" if often[name] > 1 else name
    return names


def page_of_slide(project: Project, seen: SeenSlide) -> Page:
    """The page about one slide."""
    slide, overview = seen.slide, seen.overview
    return Page(
        elided(seen.name),
        tr("Slide of the project {project}", project=project.name),
        tr(RESEARCH_ONLY),
        (PagePicture(_shown(project, overview), _caption(overview)),),
        _key(project, overview.areas_px),
        tuple(_facts(project, slide)),
        (_areas(project, overview, slide), *_model(project), _annotations(project, slide)),
        _texts(project),
        _footer(),
        spoken().code,
    )


def page_of_project(project: Project, seen: Sequence[SeenSlide]) -> Page:
    """The page about a project, of which `seen` are the slides."""
    finished = project.annotations.finished()
    annotated = {record.slide_id for record in finished}
    shown = sorted(seen, key=lambda one: one.slide.id not in annotated)[:MOST_PICTURES]
    pictures: tuple[PagePicture, ...] = ()
    if shown:
        sheet = montage([_shown(project, one.overview) for one in shown], columns=3, side_px=420)
        caption = tr("Masks on slides: {names}", names=", ".join(elided(one.name, 24) for one in shown))
        pictures = (PagePicture(sheet, caption),)
    facts = (
        (tr("Slides"), str(len(seen))),
        (tr("Predicted slides"), str(sum(one.overview.predicted for one in seen))),
        (tr("Annotated regions"), str(len(finished))),
        (tr("Held out to measure"), str(sum(one.held_out and one.has_mask for one in finished))),
        (tr("Rounds of training"), str(len(project.rounds.all()))),
    )
    present = {name: sum(one.overview.areas_px[name] for one in seen) for name in project.scheme.mask_names}
    return Page(
        elided(project.name),
        tr("Project"),
        tr(RESEARCH_ONLY),
        pictures,
        _key(project, present),
        facts,
        (_slides(project, seen), *_model(project), _people(finished)),
        _texts(project),
        _footer(),
        spoken().code,
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def _shown(project: Project, overview: SlideOverview) -> NDArray[np.uint8]:
    return with_masks(overview.pixels, overview.mask, [one.colour for one in project.scheme.masks])


def _caption(overview: SlideOverview) -> str:
    if not overview.is_seen:
        return tr("The file of the slide cannot be read: only its masks are shown.")
    if not overview.predicted:
        return tr("The slide with what was painted; it is not predicted.")
    return tr("The slide with the masks of the model, and what was painted on top.")


def _key(project: Project, areas: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    there = [one for one in project.scheme.masks if areas.get(one.name)]
    return tuple((elided(spoken_title(one.name), 30), one.colour) for one in there[: 2 * MOST_CLASSES])


# --- facts ------------------------------------------------------------------------------------------------------------


def _facts(project: Project, slide: SlideRecord) -> list[tuple[str, str]]:
    size = tr("{width} x {height} pixels", width=slide.width, height=slide.height)
    if slide.mpp is not None:
        wide, high = (side * slide.mpp / 1000 for side in (slide.width, slide.height))
        size = tr("{size}, {wide:.1f} x {high:.1f} mm", size=size, wide=wide, high=high)
    facts = [(tr("Size"), size), (tr("Resolution"), _resolution(slide))]
    if slide.tissue_px is not None:
        facts.append((tr("Tissue"), area_in_words(slide.tissue_px, slide.mpp)))
    given = slide.given_label
    if given is not None and given.label is not None:
        said = spoken_class(given.label)
        by = tr("{label}, by {person}", label=said, person=given.person) if given.person else said
        facts.append((tr("Label given to the slide"), elided(by)))
    card = project.models.current_card()
    if slide.is_unlike:
        facts.append(
            (tr("Prediction"), tr("The slide is unlike what the model was trained on: its masks mean little."))
        )
    elif slide.predicted and card.trained and card.knows_labels:
        names = predicted_names(slide.predicted)
        words = [tr("{name} ({share:.0%})", name=spoken_class(one), share=slide.predicted[one]) for one in names]
        facts.append((tr("Predicted label"), ", ".join(words)))
    return facts


def _resolution(slide: SlideRecord) -> str:
    return tr("unknown: areas are in pixels") if slide.mpp is None else tr(FROM[slide.mpp_from], mpp=slide.mpp)


def area_in_words(area_px: float, mpp: float | None) -> str:
    """An area of level-0 pixels, in mm2 where the resolution is known."""
    if mpp is None:
        return tr("{area:,.0f} px", area=area_px)
    area_mm2 = area_px * (mpp / 1000) ** 2
    return tr("{area:.4f} mm²", area=area_mm2) if area_mm2 < 1 else tr("{area:,.2f} mm²", area=area_mm2)


# --- tables -----------------------------------------------------------------------------------------------------------


def _areas(project: Project, overview: SlideOverview, slide: SlideRecord) -> PageTable:
    if not overview.predicted and not any(overview.areas_px.values()):
        note = tr("Nothing is known: the slide is not predicted, and nothing is painted on it.")
        return PageTable(tr("Areas"), (), (), note)
    rows, tissue_px, beyond = [], slide.tissue_px or 0.0, False
    for name in project.scheme.mask_names[:MOST_CLASSES]:
        area = overview.areas_px[name]
        share = tr("{share:.1%}", share=area / tissue_px) if 0 < area <= tissue_px else ELLIPSIS
        beyond |= area > tissue_px
        people = tr("{share:.1%}", share=overview.by_people_px[name] / area) if area else ELLIPSIS
        rows.append(
            (elided(spoken_title(name)), area_in_words(area, slide.mpp), share, str(overview.parts[name]), people)
        )
    left = len(project.scheme.mask_names) - len(rows)
    notes = [
        "" if overview.predicted else tr("The slide is not predicted: these are areas of annotated regions."),
        tr("No share where a mask has more than the tissue: it encloses lumen or mucus.") if beyond else "",
        tr_plural("{count} more class.", "{count} more classes.", left) if left > 0 else "",
    ]
    headings = (
        tr("Class"),
        tr("Area"),
        tr("Of the tissue"),
        tr("Separate parts"),
        tr("Painted or accepted by a person"),
    )
    return PageTable(tr("Areas"), headings, tuple(rows), " ".join(filter(None, notes)), figures=True)


def _slides(project: Project, seen: Sequence[SeenSlide]) -> PageTable:
    counts = project.annotations.finished_by_slide()
    rows = []
    for one in seen[:MOST_SLIDES]:
        present = [(name, area) for name, area in one.overview.areas_px.items() if area]
        ranked = sorted(present, key=lambda of: -of[1])[:3]
        areas = ", ".join(f"{spoken_class(name)} {area_in_words(area, one.slide.mpp)}" for name, area in ranked)
        state = "" if one.overview.predicted else tr("not predicted")
        rows.append((elided(one.name, 32), areas, str(counts.get(one.slide.id, 0)), state))
    left = len(seen) - len(rows)
    more = tr_plural("{count} more slide.", "{count} more slides.", left) if left > 0 else ""
    headings = (tr("Slide"), tr("Largest areas"), tr("Annotated regions"), "")
    return PageTable(tr("Slides"), headings if rows else (), tuple(rows), more or ("" if rows else tr("None.")))


def _annotations(project: Project, slide: SlideRecord) -> PageTable:
    records = [record for record in reversed(project.annotations.finished()) if record.slide_id == slide.id]
    rows = [
        (
            elided(record.person, 24) or ELLIPSIS,
            elided(_said(project, record), 60),
            _size(record, slide),
            when(record.updated),
            tr("measures the model") if record.held_out and record.has_mask else tr("trains the model"),
        )
        for record in records[:MOST_ANNOTATIONS]
    ]
    left = len(records) - len(rows)
    note = tr_plural("{count} more annotation.", "{count} more annotations.", left) if left > 0 else ""
    headings = (tr("Person"), tr("Annotation"), tr("Region"), tr("Time"), tr("Use"))
    return PageTable(tr("Annotations"), headings if rows else (), tuple(rows), note or ("" if rows else tr("None.")))


def _said(project: Project, record: AnnotationRecord) -> str:
    """What an annotation says, in words."""
    parts = []
    if record.has_mask:
        values = set(np.unique(said_mask(project, record)).tolist())
        names = [spoken_class(name) for value, name in enumerate(project.scheme.mask_names, start=1) if value in values]
        parts.append(tr("mask: {names}", names=", ".join(names)) if names else tr("mask: background"))
    if record.label is not None:
        parts.append(tr("label: {label}", label=spoken_class(record.label)))
    if record.size is not None:
        parts.append(tr("size: {size:.0%}", size=record.size))
    return "; ".join(parts)


def _size(record: AnnotationRecord, slide: SlideRecord) -> str:
    region = record.region
    if slide.mpp is None:
        return tr("{width} x {height} pixels", width=region.width, height=region.height)
    return tr("{width:.0f} x {height:.0f} µm", width=region.width * slide.mpp, height=region.height * slide.mpp)


def _people(finished: Sequence[AnnotationRecord]) -> PageTable:
    by_person: dict[str, list[AnnotationRecord]] = {}
    for record in finished:
        by_person.setdefault(record.person, []).append(record)
    ranked = sorted(by_person.items(), key=lambda of: -len(of[1]))
    rows = [
        (
            elided(person, 30) or ELLIPSIS,
            str(len(own)),
            when(min(one.updated for one in own)),
            when(max(one.updated for one in own)),
        )
        for person, own in ranked[:MOST_PEOPLE]
    ]
    left = len(ranked) - len(rows)
    note = tr_plural("{count} more person.", "{count} more persons.", left) if left > 0 else ""
    headings = (tr("Person"), tr("Annotated regions"), tr("First"), tr("Last"))
    return PageTable(tr("Annotations"), headings if rows else (), tuple(rows), note or ("" if rows else tr("None.")))


def _model(project: Project) -> tuple[PageTable]:
    """The model in use: which, how it was made, and what was measured."""
    record, card = project.models.current(), project.models.current_card()
    rows = [(tr("Name"), elided(f"{card.name}, {record.hash[:HASH_DIGITS]}", 70))]
    past = next((one for one in past_models(project) if one.model_id == record.id), None)
    if past is not None and past.round:
        by = f", {elided(past.person, 24)}" if past.person else ""
        made = tr_plural("round {round}, {time}{by}, from {count} annotation",
                         "round {round}, {time}{by}, from {count} annotations",
                         past.annotations, round=past.round, time=when(past.created), by=by)  # fmt: skip
        rows.append((tr("Trained"), made))
        rows.append((tr("Dice on held-out regions"), _measured(project, record.id)))
        if past.crossed is not None:
            rows.append((tr("Cross-validation"), crossed_in_words(past.crossed)))
    elif not card.trained:
        rows.append((tr("Trained"), tr("not yet: it finds nothing")))
    else:
        rows.append((tr("Figures of its card"), _figures(card)))
        rows.append((tr("On this project"), tr("not measured")))
    return (PageTable(tr("Model"), (), tuple(rows)),)


def _measured(project: Project, model_id: int) -> str:
    made = next(one for one in project.rounds.all() if one.model_id == model_id)
    held_out = int(made.figures.get("held_out", 0))
    if "dice" not in made.figures or not held_out:
        return tr("not measured: no region was held out")
    words = tr_plural("{dice:.3f} on {count} region", "{dice:.3f} on {count} regions", held_out,
                      dice=made.figures["dice"])  # fmt: skip
    card = load_card(project.models.get(model_id).folder)
    if "dice" in card.intervals:
        low, high = card.intervals["dice"]
        words = tr("{words} (95% interval {low:.2f} to {high:.2f})", words=words, low=low, high=high)
    names = {one.id: one.name for one in project.classes.all()}
    classes = [
        f"{spoken_class(names[one.class_id])} {tr('{dice:.3f}', dice=one.after)}"
        for one in class_figures(made.figures)
        if one.after is not None and one.class_id in names
    ][:MOST_CLASSES]
    return f"{words}; {', '.join(classes)}" if classes else words


def _figures(card: Card) -> str:
    """The first of what the card measured, on other tissue than the project's."""
    wanted = (("dice", tr("Dice")), ("accuracy", tr("accuracy")), ("cases", tr("cases")), ("tiles", tr("tiles")))
    found = [(word, card.figures[name]) for name, word in wanted if name in card.figures]
    words = [f"{word} {tr('{value:.3g}', value=value)}" for word, value in found]
    return ", ".join(words) or tr("none")


def _texts(project: Project) -> tuple[PageText, ...]:
    """What the cards say of the model in use and of the one that the project began with."""
    card = project.models.current_card()
    first = next((one for one in project.models.all() if one.round == 0 and one.parent is None), None)
    cards = [card] if first is None or first.id == project.models.current().id else [card, load_card(first.folder)]
    return tuple(PageText(tr("From the card of {model}", model=elided(one.name)), _limits(one)) for one in cards)


def _limits(card: Card) -> str:
    """The description up to its first table of figures, as plain text."""
    text = re.split(r"\n\|", card.description)[0]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    plain = " ".join(" ".join(lines).replace("`", "").split())
    if len(plain) <= LONGEST_TEXT:
        return plain
    return f"{plain[:LONGEST_TEXT].rsplit(' ', 1)[0]} {ELLIPSIS}"


def when(time: str) -> str:
    """A kept time (ISO 8601, UTC) to the minute, of this machine's zone; as it is where it is none."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return time


def _footer() -> str:
    now = datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    return tr("HistoLoop {version}, {time}. {notice}", version=__version__, time=now, notice=tr(RESEARCH_ONLY))
