"""A slide as the list has it: where it stands, its lines, its tip; and the heading above those of a case or folder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import visible_name
from histoloop.gui.panels.slides.slide_details import WHY_UNLIKE, resolution_in_words
from histoloop.language import mark, tr, tr_plural
from histoloop.store.records import MppFrom, SlideFile, SlideRecord, predicted_names
from histoloop.store.slide_names import case_of_slide, natural_key, unique_names
from histoloop.workflows.contents.readings import STATES, ReviewState
from histoloop.workflows.contents.review import NOT_REVIEWED, SlideReview

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

FILE_NOT_FOUND = mark("File not found")
UNLIKE = mark("Unlike the training data")
ANOTHER_FILE = mark("Another file is in its place")
_GONE = {SlideFile.MISSING: FILE_NOT_FOUND, SlideFile.REPLACED: ANOTHER_FILE}


class State(StrEnum):
    """Where a slide stands, the first of these that holds."""

    GONE = "gone"
    DIFFERS = "differs"
    BEGUN = "begun"
    REVIEWED = "reviewed"
    ANNOTATED = "annotated"
    UNLIKE = "unlike"
    PREDICTED = "predicted"
    NEW = "new"


IN_WORDS = {
    State.GONE: FILE_NOT_FOUND,
    State.DIFFERS: STATES[ReviewState.DIFFERS],
    State.BEGUN: mark("Begun"),
    State.REVIEWED: mark("Reviewed"),
    State.ANNOTATED: mark("Annotated"),
    State.UNLIKE: UNLIKE,
    State.PREDICTED: mark("Predicted"),
    State.NEW: mark("Not predicted"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A slide with what is at its path, how many of its annotations count, and in how many regions work was begun.

    `review` is where its regions stand between two readers.
    """

    slide: SlideRecord
    file: SlideFile
    annotated: int
    begun: int = 0
    review: SlideReview = NOT_REVIEWED

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.file is not SlideFile.IN_PLACE:
            return State.GONE
        if self.review.differs:
            return State.DIFFERS
        if self.begun:
            return State.BEGUN
        if 0 < self.annotated == self.review.reviewed:
            return State.REVIEWED
        if self.annotated:
            return State.ANNOTATED
        if self.slide.is_unlike:
            return State.UNLIKE
        return State.NEW if self.slide.predicted is None else State.PREDICTED


def describe(slide: SlideRecord, *, file: SlideFile = SlideFile.IN_PLACE, predicts: bool = True) -> str:
    """Up to three lines for the list: name, prediction (or how its file is gone) and label."""
    lines = [visible_name(slide.name), *filter(None, [_state(slide, file=file, predicts=predicts)])]
    if slide.label:
        lines.append(tr("Labelled: {label}", label=visible_name(spoken_class(slide.label))))
    return "\n".join(lines)


def _state(slide: SlideRecord, *, file: SlideFile, predicts: bool) -> str:
    if file in _GONE:
        return tr(_GONE[file])
    known = [tr(UNLIKE)] if slide.is_unlike else [_prediction(slide.predicted)] if predicts else []
    if slide.mpp is None:
        known.append(tr("resolution unknown"))
    elif slide.mpp_from is MppFrom.OBJECTIVE:
        known.append(tr("resolution estimated"))
    return " \N{MIDDLE DOT} ".join(known)


def _prediction(predicted: Mapping[str, float] | None) -> str:
    if not predicted:
        return tr("Not predicted") if predicted is None else tr("No tissue found")
    return ", ".join(
        tr("{label} {percent:.0f}%", label=visible_name(spoken_class(name)), percent=100 * predicted[name])
        for name in predicted_names(predicted)
    )


def _details(slide: SlideRecord) -> list[str]:
    size = tr("{width} x {height} pixels", width=slide.width, height=slide.height)
    ranked = sorted((slide.predicted or {}).items(), key=lambda entry: -entry[1])
    shares = [
        tr("{label}: {percent:.1f}%", label=spoken_class(name), percent=100 * probability)
        for name, probability in ranked
    ]
    lines = [str(slide.path), ", ".join((size, resolution_in_words(slide), tr(slide.vendor)))]
    if slide.is_unlike:
        lines.append(tr(WHY_UNLIKE))
    return [*lines, *shares]


def tip_of(row: Row) -> str:
    """All lines of the tip of a row."""
    return "\n".join((*_details(row.slide), *_state_in_words(row)))


def _state_in_words(row: Row) -> list[str]:
    """What the sign at the end of the row means, where nothing else in the tip says it."""
    if row.annotated or row.begun:
        words = []
        if row.annotated:
            words.append(tr_plural("{count} annotated region", "{count} annotated regions", row.annotated))
        if row.begun:
            words.append(tr_plural("{count} region begun", "{count} regions begun", row.begun))
        if row.review.differs:
            words.append(
                tr_plural(
                    "{count} region where readers differ", "{count} regions where readers differ", row.review.differs
                )
            )
        if row.review.reviewed:
            words.append(tr_plural("{count} reviewed region", "{count} reviewed regions", row.review.reviewed))
        return words
    return [] if row.state is State.UNLIKE else [tr(_GONE.get(row.file, IN_WORDS[row.state]))]


# --- headings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heading:
    """A line above the slides of a group, which is known by `key`; `whole` is all of its title, for the tip."""

    key: str
    title: str
    whole: str
    count: int
    folded: bool

    @property
    def spoken(self) -> str:
        """Its line for a screen reader."""
        if self.folded:
            return tr_plural(
                "{name}, {count} slide, hidden", "{name}, {count} slides, hidden", self.count, name=self.title
            )
        return tr_plural("{name}, {count} slide", "{name}, {count} slides", self.count, name=self.title)


def by_case(rows: Sequence[Row], folded: Collection[str]) -> tuple[list[Row | Heading], list[Row]]:
    """Headings with their slides, and all slides in that order; those of no known case come last."""
    groups = _groups(rows, [case_of_slide(row.slide.path, row.slide.name, row.slide.stated_case) for row in rows])
    titles = {case: visible_name(case) if case else tr("No case known") for case in groups}
    return _listed(groups, titles, dict(titles), folded)


def by_folder(rows: Sequence[Row], folded: Collection[str]) -> tuple[list[Row | Heading], list[Row]]:
    """Headings with their slides, and all slides in that order; folders that are called alike have others in front."""
    groups = _groups(rows, [str(row.slide.path.parent) for row in rows])
    names = unique_names([(folder, Path(folder).name or folder) for folder in groups])
    titles = {folder: visible_name(name) for folder, name in zip(groups, names, strict=True)}
    return _listed(groups, titles, {folder: folder for folder in groups}, folded)


def _groups(rows: Sequence[Row], keys: Sequence[str]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        found[key].append(row)
    return found


def _listed(
    groups: Mapping[str, list[Row]], titles: Mapping[str, str], wholes: Mapping[str, str], folded: Collection[str]
) -> tuple[list[Row | Heading], list[Row]]:
    entries: list[Row | Heading] = []
    rows: list[Row] = []
    for key in sorted(groups, key=lambda key: (not key, natural_key(key))):
        group = sorted(groups[key], key=lambda row: natural_key(row.slide.name))
        entries.append(Heading(key, titles[key], wholes[key], len(group), key in folded))
        entries += [] if key in folded else group
        rows += group
    return entries, rows
