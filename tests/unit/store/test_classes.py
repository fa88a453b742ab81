"""Masks keep permanent ids of classes: renaming, reordering, merging and removing leave their files as they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, ClassScheme, LabelClass, MaskClass, Origin, Patch
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.cards import CARD, card_text, load_card
from histoloop.store.planes import write_plane
from histoloop.store.project import Project

REGION = Region(0, 0, 12, 9)


@pytest.fixture
def three(tmp_path):
    """A project of three classes, with a finished mask: three columns of each, the rest background."""
    scheme = ClassScheme(
        (LabelClass("benign", "a"), LabelClass("other")),
        (MaskClass("a", "#aa0000"), MaskClass("b", "#00bb00"), MaskClass("c", "#0000cc")),
    )
    with Project.create(tmp_path / "three", name="Three", scheme=scheme) as project:
        path = tmp_path / "s.svs"
        path.write_bytes(b"pixels")
        slide = project.slides.add(path, width=1000, height=800, mpp=0.5, vendor="aperio")
        mask = np.repeat(np.array([1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0], np.uint8)[None], 9, axis=0)
        draft = project.drafts.start(slide.id, REGION, mask=mask, origin_model=None, person="Ada")
        project.drafts.finish(draft.id, AnnotationStatus.DONE)
        yield project


def row(project, number=1):
    """The first row of the values and the origins of an annotation."""
    mask, origin = project.annotations.load_mask(number)
    return mask[0].tolist(), origin[0].tolist()


ACCEPTED, LEFT_OUT, HUMAN = int(Origin.ACCEPTED), int(Origin.LEFT_OUT), int(Origin.HUMAN)


def test_reordered_classes_change_the_values_that_masks_are_read_in(three):
    three.classes.reorder([3, 1, 2])
    assert three.scheme.mask_names == ("c", "a", "b")
    assert row(three)[0] == [2, 2, 2, 3, 3, 3, 1, 1, 1, 0, 0, 0]


def test_a_merged_class_is_read_as_the_other_and_comes_back_when_that_is_taken_back(three):
    three.classes.merge(1, into=3)
    assert three.scheme.mask_names == ("b", "c")
    assert three.scheme.labels[0].mask == "c"
    assert row(three)[0] == [2, 2, 2, 1, 1, 1, 2, 2, 2, 0, 0, 0]
    three.classes.undo()
    assert row(three)[0] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0]
    assert three.scheme.labels[0].mask == "a"


def test_of_a_removed_class_nobody_says_anything_until_that_is_taken_back(three):
    three.classes.remove(1)
    assert row(three) == ([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0], 3 * [LEFT_OUT] + 9 * [ACCEPTED])
    assert three.scheme.labels == (LabelClass("benign"), LabelClass("other"))
    three.classes.undo()
    assert row(three) == ([1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0], 12 * [ACCEPTED])


def test_merged_into_a_class_that_is_removed_then_goes_with_it(three):
    three.classes.merge(1, into=2)
    three.classes.remove(2)
    assert row(three) == ([0] * 6 + [1] * 3 + [0] * 3, 6 * [LEFT_OUT] + 6 * [ACCEPTED])


def test_an_added_class_that_is_taken_back_keeps_its_id_for_itself(three):
    three.classes.add("d", "#dddddd")
    human = np.full((1, 2), HUMAN, np.uint8)
    three.annotations.add_with_masks(1, [(Region(50, 0, 2, 1), np.array([[4, 1]], np.uint8), human)], person="Bo")
    three.classes.undo()
    assert row(three, 2) == ([0, 1], [LEFT_OUT, HUMAN])
    three.classes.add("e", "#eeeeee")
    assert row(three, 2) == ([0, 1], [LEFT_OUT, HUMAN])
    assert [one.id for one in three.classes.all()] == [1, 2, 3, 5]


def test_what_is_painted_in_an_open_draft_survives_merge_and_undo(three):
    draft = three.drafts.reopen(1)
    three.classes.merge(1, into=2)
    values, _origin = three.annotations.load_mask(draft.id)
    values[:, 9:] = 2  # 'c' by now
    three.drafts.append_patch(draft.id, Patch(0, 0, values))
    assert row(three, draft.id) == ([1] * 6 + [2] * 6, 9 * [ACCEPTED] + 3 * [HUMAN])
    (painted,) = three.drafts.steps(draft.id).done
    assert painted.before.values[0].tolist() == [1] * 6 + [2] * 3 + [0] * 3
    assert painted.after.values[0].tolist() == [1] * 6 + [2] * 6
    three.drafts.finish(draft.id, AnnotationStatus.DONE)
    three.classes.undo()
    assert row(three, draft.id)[0] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3]


def test_a_stroke_in_values_from_before_a_change_of_classes_is_refused(three):
    draft = three.drafts.reopen(1)
    values, _origin = three.annotations.load_mask(draft.id)
    with Project.connect(three.folder) as other:
        other.classes.reorder([2, 1, 3])
    with pytest.raises(ProjectError, match="changed meanwhile"):
        three.drafts.append_patch(draft.id, Patch(0, 0, values))
    three.annotations.load_mask(draft.id)
    three.drafts.append_patch(draft.id, Patch(0, 0, values))


def test_a_mask_with_a_number_that_was_never_a_class_is_damage(three):
    name = write_plane(three.annotations.folder, np.full((9, 12), 9, np.uint8), stem="x")
    with three.transaction():
        three._database.update("annotation", 1, mask_file=name)
    with pytest.raises(ProjectError, match="damaged"):
        three.annotations.load_mask(1)


def test_undo_goes_back_change_by_change_until_there_is_none(three):
    three.classes.rename(1, "x")
    three.classes.recolour(1, "#111111")
    three.classes.remove(2)
    assert [three.classes.undo().kind for _ in range(3)] == ["remove", "recolour", "rename"]
    assert three.classes.undo() is None
    assert [(one.id, one.name, one.colour) for one in three.classes.all()] == [
        (1, "a", "#aa0000"), (2, "b", "#00bb00"), (3, "c", "#0000cc"),
    ]  # fmt: skip
    assert [change.undone for change in three.classes.changes()] == [True, True, True]


def test_a_model_keeps_the_classes_that_it_meant_when_it_came(three, make_model, tmp_path):
    folder = make_model(tmp_path / "model")
    scheme = ClassScheme((LabelClass("x"), LabelClass("y")), (MaskClass("b", "#000001"), MaskClass("c", "#000002")))
    card = dataclasses.replace(load_card(folder), scheme=scheme)
    (folder / CARD).write_text(card_text(card), encoding="utf-8")
    model = three.models.add(str(folder), hash="h", parent=None, round=0)
    assert three.classes.values_of_model(model.id, ("b", "c")) == (2, 3)
    three.classes.rename(2, "beta")
    three.classes.add("b", "#123456")
    three.classes.reorder([3, 2, 1, 4])
    assert three.classes.values_of_model(model.id, ("b", "c")) == (2, 1)
    three.classes.merge(2, into=1)
    three.classes.remove(3)
    assert three.classes.values_of_model(model.id, ("b", "c")) == (1, 0)
