"""A project's own classes: what can be named so, what is of a class, and each change taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.annotations.palette import MAX_CLASSES, default_colours
from histoloop.annotations.records import AnnotationStatus, ClassScheme, LabelClass, MaskClass
from histoloop.errors import ClassError, HistoLoopError, ProjectError
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.store.records import NewQuery
from histoloop.workflows.classes import (
    add_class,
    class_changes,
    in_words,
    merge_classes,
    own_scheme,
    recolour_class,
    remove_class,
    rename_class,
    reorder_classes,
    undo_class_change,
    use_in_words,
    use_of_class,
)
from histoloop.workflows.contents.mask_files import remember_classes, remembered_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.store.records import SlideRecord


def classes(project: Project) -> list[tuple[str, str]]:
    return [(mask.name, mask.colour) for mask in project.scheme.masks]


GLAND, TUMOUR = ("gland", "#00a0ff"), ("tumour", "#d01020")


@pytest.mark.parametrize(
    "name",
    ["stroma, loose", '"quoted"', "Öl und Bindegewebe", "🔬", "<b>bold</b>", "e\N{COMBINING ACUTE ACCENT}", "癌"],
)
def test_a_class_may_have_any_name_that_can_be_seen(name: str, project: Project) -> None:
    assert add_class(project, f"  {name} ").colour == default_colours(1)[0]
    assert len(project.scheme.mask_names) == 3
    remove_class(project, name)
    assert classes(project) == [GLAND, TUMOUR]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "needs a name"),
        (" \t ", "needs a name"),
        ("gland", "already"),
        ("GLAND ", "already"),
        ("background", "is reserved"),
        ("Ignore*", "is reserved"),
        ("ignore this", "is reserved"),
        ("-", "is reserved"),
        ("a\0b", "cannot be a name"),
        ("x" * 61, "cannot be a name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_changes(name: str, words: str, project: Project) -> None:
    for change in (lambda: add_class(project, name), lambda: rename_class(project, "tumour", name)):
        with pytest.raises(ClassError, match=words) as refused:
            change()
        assert refused.value.advice
    assert classes(project) == [GLAND, TUMOUR]
    assert class_changes(project) == []


def test_a_class_never_has_the_colour_of_another(project: Project) -> None:
    gland, tumour = project.scheme.masks
    with pytest.raises(ClassError, match=f"{tumour.name} already has the colour {tumour.colour}"):
        recolour_class(project, gland.name, tumour.colour.upper())
    with pytest.raises(ClassError, match="already"):
        add_class(project, "stroma", colour=gland.colour)
    assert recolour_class(project, gland.name, gland.colour).colour == gland.colour
    assert list(project.scheme.masks) == [gland, tumour]


@pytest.mark.parametrize("name", ["\N{ZERO WIDTH SPACE}", "st\N{ZERO WIDTH SPACE}roma", "stroma\N{RIGHT-TO-LEFT MARK}"])
def test_a_name_with_signs_that_nobody_sees_is_refused(name: str, project: Project) -> None:
    with pytest.raises(ClassError, match="cannot be a name"):
        add_class(project, name)


def test_joiners_spell_a_name_but_tell_no_two_apart(project: Project) -> None:
    joined = "\u06af\u200c\u0647"
    assert add_class(project, joined).name == joined
    with pytest.raises(ClassError, match="already"):
        add_class(project, joined.replace("\u200c", ""))


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "123456", "#gggggg", ""])
def test_a_colour_that_is_none_is_refused(colour: str, project: Project) -> None:
    with pytest.raises(ClassError, match="not a colour"):
        recolour_class(project, "gland", colour)
    assert classes(project) == [GLAND, TUMOUR]


def test_a_project_has_thirty_classes_and_no_more(project: Project) -> None:
    for number in range(3, MAX_CLASSES + 1):
        add_class(project, f"class {number}")
    assert len({mask.colour for mask in project.scheme.masks}) == 30
    with pytest.raises(ClassError, match="at most 30 classes"):
        add_class(project, "one more")
    merge_classes(project, "class 3", into="class 4")
    add_class(project, "one more")


def test_over_its_life_a_project_has_254_classes_and_no_more(project: Project) -> None:
    with project.transaction():
        for number in range(3, 255):
            project.classes.add(f"class {number}", "#000000")
            project.classes.remove(number)
    with pytest.raises(ClassError, match="254 classes over time"):
        add_class(project, "one more")


def test_the_last_class_stays(project: Project) -> None:
    remove_class(project, "gland")
    with pytest.raises(ClassError, match="tumour is the last class"):
        remove_class(project, "TUMOUR")


def test_classes_that_are_not_there_are_named_with_those_that_are(project: Project) -> None:
    for change in (
        lambda: remove_class(project, "tumor"),
        lambda: merge_classes(project, "gland", into="tumor"),
        lambda: reorder_classes(project, ("gland", "tumor")),
        lambda: use_of_class(project, "tumor"),
    ):
        with pytest.raises(ClassError, match=r"no class tumor \(did you mean 'tumour'\?\)"):
            change()
    for names in (("gland",), ("gland", "gland"), ("tumour", "gland", "tumour")):
        with pytest.raises(ClassError, match="each class once"):
            reorder_classes(project, names)
    with pytest.raises(ClassError, match="into itself"):
        merge_classes(project, "gland", into="Gland")


def test_each_change_is_taken_back_in_turn_and_said_in_words(project: Project) -> None:
    add_class(project, "stroma")
    rename_class(project, "gland", "crypt")
    recolour_class(project, "crypt", "#ABCDEF")
    reorder_classes(project, ("stroma", "crypt", "tumour"))
    merge_classes(project, "stroma", into="tumour")
    remove_class(project, "tumour")
    assert classes(project) == [("crypt", "#abcdef")]
    assert [in_words(change) for change in class_changes(project)] == [
        "stroma added", "gland renamed to crypt", "crypt given the colour #abcdef", "classes reordered",
        "stroma merged into tumour", "tumour removed",
    ]  # fmt: skip
    assert [undo_class_change(project) for _ in range(7)] == [
        "tumour removed", "stroma merged into tumour", "classes reordered", "crypt given the colour #abcdef",
        "gland renamed to crypt", "stroma added", None,
    ]  # fmt: skip
    assert classes(project) == [GLAND, TUMOUR]


def test_what_changes_nothing_is_no_change(project: Project) -> None:
    rename_class(project, "gland", " gland ")
    recolour_class(project, "gland", "#00A0FF")
    reorder_classes(project, ("gland", "tumour"))
    assert class_changes(project) == []


def test_what_is_of_a_class_is_counted_in_finished_masks_and_drafts(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    slide = add_slide(mpp=0.5)
    mask = np.zeros((40, 50), np.uint8)
    mask[:20] = 2
    draft = project.drafts.start(slide.id, Region(0, 0, 50, 40), mask=mask, origin_model=None, person="Ada")
    project.drafts.assess(draft.id, label=None, size=0.5)
    assert use_of_class(project, "tumour").drafts == 1
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    project.queries.add([NewQuery(slide.id, Region(60, 0, 9, 9), "entropy", 0.5, 1, {}, "malignant")])
    use = use_of_class(project, "tumour")
    assert (use.finished, use.drafts, use.unit, use.queries) == (1, 0, "mm2", 1)
    assert use.area == pytest.approx(1000 * 0.25 / 1e6)
    assert use_in_words(use) == "It is painted in 1 finished region and 0 drafts, 0.00025 mm² in all."
    nothing = use_of_class(project, "gland")
    assert (nothing.finished, nothing.queries, use_in_words(nothing)) == (0, 0, "Nothing is painted with it.")
    remove_class(project, "tumour")  # a query waits for it
    assert len(project.queries.open()) == 1
    add_slide("b.png", mpp=None)


def test_without_a_resolution_the_area_is_in_pixels(project: Project, add_slide: Callable[..., SlideRecord]) -> None:
    slide = add_slide(mpp=None)
    draft = project.drafts.start(
        slide.id, Region(0, 0, 5, 4), mask=np.ones((4, 5), np.uint8), origin_model=None, person="Ada"
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    use = use_of_class(project, "gland")
    assert (use.area, use.unit) == (20, "px")


def test_what_foreign_classes_are_here_follows_a_class_to_its_new_name(project: Project) -> None:
    remember_classes(project, {"Adenom": "gland", "Ca": "tumour"})
    rename_class(project, "gland", "crypt")
    assert remembered_classes(project) == {"Adenom": "crypt", "Ca": "tumour"}
    undo_class_change(project)
    assert remembered_classes(project) == {"Adenom": "gland", "Ca": "tumour"}


def test_a_project_that_cannot_be_written_keeps_its_classes(project: Project) -> None:
    with Project.open(project.folder, read_only=True) as other:
        for change in (
            lambda: add_class(other, "x"),
            lambda: remove_class(other, "gland"),
            lambda: undo_class_change(other),
        ):
            with pytest.raises(ProjectError, match="reading only"):
                change()
        assert classes(other) == [GLAND, TUMOUR]


def test_others_may_change_classes_at_the_same_time(project: Project) -> None:
    def add_some(name: str) -> None:
        with Project.connect(project.folder) as other:
            for number in range(5):
                add_class(other, f"{name} {number}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add_some, ("one", "other")))
    assert len(set(project.scheme.mask_names)) == 12
    assert len({one.id for one in project.classes.all()}) == 12
    assert len(class_changes(project)) == 10


# --- classes of a new project -----------------------------------------------------------------------------------------


def test_own_classes_get_colours_and_labels_paint_them() -> None:
    scheme = own_scheme(
        (MaskClass(" tumour ", ""), MaskClass("stroma", "#ABCDEF"), MaskClass("fat", "")),
        (LabelClass("benign"), LabelClass("malignant", "TUMOUR")),
    )
    first, second = default_colours(2)
    assert scheme == ClassScheme(
        (LabelClass("benign", None), LabelClass("malignant", "tumour")),
        (MaskClass("tumour", first), MaskClass("stroma", "#abcdef"), MaskClass("fat", second)),
    )


@pytest.mark.parametrize(
    ("names", "labels", "words"),
    [
        ((), (), "at least one class"),
        (("a", "A"), (), "already"),
        (("a", ""), (), "needs a name"),
        (tuple(f"c{number}" for number in range(31)), (), "at most 30"),
        (("a",), (LabelClass("x"), LabelClass("X")), "already"),
        (("a",), (LabelClass("x", "b"),), "not one of the classes"),
    ],
)
def test_classes_that_cannot_be_together_are_refused(
    names: tuple[str, ...], labels: tuple[LabelClass, ...], words: str
) -> None:
    with pytest.raises(HistoLoopError, match=words):
        own_scheme(tuple(MaskClass(name, "") for name in names), labels)
