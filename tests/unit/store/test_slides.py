from __future__ import annotations

import hashlib
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from histoloop.errors import ReplacedSlideError, SlideError
from histoloop.geometry import Region
from histoloop.store.fingerprint import fingerprint, has_content
from histoloop.store.project import DATABASE, Project
from histoloop.store.records import SlideFile


def test_a_slide_is_kept_by_reference_with_what_is_known_of_it(project, slide, tmp_path):
    assert project.slides.all() == [slide]
    assert slide.path == tmp_path / "a.svs"
    assert (slide.name, slide.width, slide.height, slide.mpp, slide.vendor) == ("a.svs", 1000, 800, 0.5, "aperio")
    assert (slide.label, slide.predicted, slide.tissue_px, slide.exists()) == (None, None, None, True)
    assert slide.extent == Region(0, 0, 1000, 800)
    assert not list(project.folder.rglob("*.svs"))


def test_slides_come_with_labels_and_predictions_in_one_query_and_no_file_is_looked_at(project, add_slide, request):
    first, second = add_slide(project, "1.svs"), add_slide(project, "2.svs", b"other")
    model = project.models.add("m", hash="h", parent=None, round=0, status="current")
    project.predictions.add(first.id, model.id, {"benign": 0.9, "malignant": 0.1})
    project.slides.set_label(second.id, "malignant", person="Ada")
    watched = request.getfixturevalue("watched")
    one, other = project.slides.all()
    assert (one.label, one.predicted) == (None, {"benign": 0.9, "malignant": 0.1})
    assert (other.label, other.given_label.person, other.predicted) == ("malignant", "Ada", None)
    assert len(watched["sql"]) == 1
    assert watched["paths"] == []


def test_missing_slides_are_told_when_they_are_asked_for(project, slide, add_slide):
    other = add_slide(project, "other.svs", b"other")
    slide.path.unlink()
    assert project.slides.missing() == [slide]
    assert (slide.exists(), other.exists()) == (False, True)


def test_no_slide_is_looked_at_when_a_project_is_opened_where_it_was(project, slide, request):
    watched = request.getfixturevalue("watched")
    Project.open(project.folder).close()
    assert slide.path not in watched["paths"]
    assert project.folder / DATABASE in watched["paths"]


def test_a_slide_added_twice_is_one_slide(project, slide, add_slide):
    assert add_slide(project) == slide
    assert len(project.slides.all()) == 1


def test_a_copy_is_a_slide_of_its_own_that_is_known_as_one(project, slide, add_slide):
    copy = add_slide(project, "copy.svs")
    assert copy.id != slide.id
    assert project.slides.copies_of(copy.id) == [slide]
    assert project.slides.copies_of(slide.id) == [copy]
    assert project.slides.copies_of(add_slide(project, "other.svs", content=b"other").id) == []


def test_a_link_to_a_slide_is_that_slide_under_its_first_name(project, slide, tmp_path):
    (tmp_path / "hard.svs").hardlink_to(slide.path)
    (tmp_path / "soft.svs").symlink_to(slide.path)
    for name in ("hard.svs", "soft.svs"):
        assert project.slides.find(tmp_path / name) == slide
        assert project.slides.add(tmp_path / name, width=1000, height=800, mpp=0.5, vendor="aperio") == slide
    assert project.slides.all() == [slide]


def test_a_removed_slide_comes_back_by_a_copy_of_its_file(project, slide, start, add_slide):
    draft = start()
    project.slides.remove(slide.id)
    again = add_slide(project, "copy.svs")
    assert (again.id, again.name) == (slide.id, "copy.svs")
    assert project.annotations.all() == [draft]


def test_the_slide_that_a_file_is_is_found_by_path_and_by_content_where_it_has_moved(
    project, slide, add_slide, tmp_path
):
    (tmp_path / "copy.svs").write_bytes(b"pixels")
    (tmp_path / "other.svs").write_bytes(b"PIXELS")
    assert project.slides.find(slide.path) == slide
    assert project.slides.find(tmp_path / "copy.svs") is None
    assert project.slides.find(tmp_path / "other.svs") is None
    slide.path.write_bytes(b"PIXELS")
    with pytest.raises(ReplacedSlideError, match=r"a\.svs is not the slide it should be: its content differs\."):
        project.slides.find(slide.path)
    slide.path.unlink()
    assert project.slides.find(tmp_path / "copy.svs").id == slide.id
    with pytest.raises(SlideError, match=r"a\.svs"):
        project.slides.find(slide.path)


def test_the_original_under_another_name_is_the_slide_whose_place_another_took(project, slide, add_slide, tmp_path):
    slide.path.rename(tmp_path / "first.svs")
    (tmp_path / "a.svs").write_bytes(b"another")
    record = project.slides.add(tmp_path / "first.svs", width=1000, height=800, mpp=0.5, vendor="aperio")
    assert (record.id, record.name) == (slide.id, "first.svs")
    assert add_slide(project, "a.svs", b"another").id != slide.id


# --- names ------------------------------------------------------------------------------------------------------------


def test_slides_of_one_name_have_their_folders_in_front(project, add_slide, tmp_path):
    for number, folder in enumerate(("p1", "p2", "p2/deep/p2")):
        add_slide(project, "a.svs", bytes([number]), tmp_path / folder)
    other = add_slide(project, "b.svs", b"b")
    names = ["p1/a.svs", f"{tmp_path.name}/p2/a.svs", "deep/p2/a.svs", "b.svs"]
    assert [slide.name for slide in project.slides.all()] == names
    assert [project.slides.get(slide.id).name for slide in project.slides.all()] == names
    project.slides.remove(1)
    project.slides.remove(3)
    assert [slide.name for slide in project.slides.all()] == ["a.svs", "b.svs"]
    assert project.slides.get(other.id).name == "b.svs"


def test_the_name_is_that_of_the_link_and_the_content_that_of_its_target(project, add_slide, tmp_path):
    (tmp_path / "blob").write_bytes(b"pixels")
    (tmp_path / "case.svs").symlink_to(tmp_path / "blob")
    (tmp_path / "again.svs").symlink_to(tmp_path / "blob")
    size = {"width": 1000, "height": 800, "mpp": 0.5, "vendor": "aperio"}
    slide = project.slides.add(tmp_path / "case.svs", **size)
    assert (slide.name, slide.path) == ("case.svs", tmp_path / "case.svs")
    assert project.slides.add(tmp_path / "again.svs", **size) == slide


def test_a_file_that_cannot_be_read_is_refused(project, tmp_path):
    with pytest.raises(SlideError, match=r"missing\.svs"):
        project.slides.add(tmp_path / "missing.svs", width=1, height=1, mpp=None, vendor="")
    assert project.slides.all() == []


def test_another_slide_under_the_path_of_a_known_one_is_refused(project, slide, add_slide):
    with pytest.raises(ReplacedSlideError, match="content differs"):
        add_slide(project, content=b"other pixels")
    assert project.slides.all() == [slide]


def test_a_removed_slide_takes_its_annotations_along_and_brings_them_back(project, slide, start, add_slide):
    draft = start()
    project.slides.remove(slide.id)
    assert project.slides.all() == []
    assert project.annotations.all() == []
    with pytest.raises(ValueError, match="id"):
        project.slides.get(slide.id)

    assert add_slide(project) == slide
    assert project.annotations.all() == [draft]


def test_what_a_person_says_of_a_slide_is_kept(project, slide):
    project.slides.set_mpp(slide.id, 0.25)
    project.slides.set_label(slide.id, "malignant", person="Ada")
    project.slides.set_tissue(slide.id, 1600.0)
    with Project.open(project.folder) as again:
        record = again.slides.get(slide.id)
    assert (record.mpp, record.label, record.tissue_px) == (0.25, "malignant", 1600.0)


def test_a_label_is_kept_with_person_and_time(project, slide):
    assert slide.given_label is None
    project.slides.set_label(slide.id, "benign", person="Ada")
    said = project.slides.get(slide.id).given_label
    assert (said.label, said.person) == ("benign", "Ada")
    assert datetime.fromisoformat(said.created).tzinfo is UTC


def test_a_label_can_be_taken_back_and_what_was_said_before_is_kept(project, slide):
    project.slides.set_label(slide.id, "benign", person="Ada")
    project.slides.set_label(slide.id, "malignant", person="Bo")
    project.slides.set_label(slide.id, None, person="Cy")
    assert project.slides.get(slide.id).label is None
    assert project.slides.get(slide.id).given_label is None
    history = [(said.label, said.person) for said in project.slides.label_history(slide.id)]
    assert history == [("benign", "Ada"), ("malignant", "Bo"), (None, "Cy")]


def test_what_a_person_says_is_not_what_the_model_predicts(project, slide):
    model = project.models.add("m", hash="h", parent=None, round=0, status="current")
    project.predictions.add(slide.id, model.id, {"benign": 0.9, "malignant": 0.1})
    project.slides.set_label(slide.id, "malignant", person="Ada")
    record = project.slides.get(slide.id)
    assert (record.label, record.predicted) == ("malignant", {"benign": 0.9, "malignant": 0.1})


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan")])
def test_an_impossible_mpp_is_refused(project, slide, mpp):
    with pytest.raises(ValueError, match="mpp"):
        project.slides.set_mpp(slide.id, mpp)


def test_a_label_outside_the_scheme_is_refused(project, slide):
    with pytest.raises(ValueError, match="benign, malignant"):
        project.slides.set_label(slide.id, "sarcoma", person="Ada")


def test_nothing_is_said_of_a_slide_that_is_not_there(project):
    with pytest.raises(ValueError, match="99"):
        project.slides.set_label(99, "benign", person="Ada")


def test_a_moved_slide_is_found_by_its_content(project, slide, tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    moved = slide.path.rename(tmp_path / "elsewhere" / "deep" / "renamed.svs")
    assert not project.slides.get(slide.id).exists()

    (found,) = project.slides.find_moved(tmp_path / "elsewhere")

    assert (found.id, found.path, found.name, found.exists()) == (slide.id, moved, "renamed.svs", True)


def test_a_slide_whose_place_another_took_is_found_where_it_went(project, slide, tmp_path):
    moved = slide.path.rename(tmp_path / "first.svs")
    (tmp_path / "a.svs").write_bytes(b"another")
    assert project.slides.missing() == [project.slides.get(slide.id)]
    (found,) = project.slides.find_moved(tmp_path)
    assert (found.id, found.path) == (slide.id, moved)
    assert project.slides.missing() == []


def test_a_slide_of_other_content_is_not_taken_for_the_moved_one(project, slide, tmp_path):
    slide.path.unlink()
    (tmp_path / "a.svs.bak").write_bytes(b"PIXELS")
    assert project.slides.find_moved(tmp_path) == []
    assert not project.slides.get(slide.id).exists()


def test_slides_that_are_where_they_were_are_not_looked_for(project, slide, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(slide.path, tmp_path / "new")
    assert project.slides.find_moved(tmp_path / "new") == []


def test_a_moved_slide_that_is_added_again_stays_the_same_slide(project, slide, tmp_path):
    moved = slide.path.rename(tmp_path / "b.svs")
    record = project.slides.add(moved, width=1000, height=800, mpp=0.5, vendor="aperio")
    assert (record.id, record.path) == (slide.id, moved)


def test_a_slide_is_relocated_to_a_file_of_the_same_content(project, slide, tmp_path):
    moved = slide.path.rename(tmp_path / "b.svs")
    assert project.slides.relocate(slide.id, moved).path == moved


def test_a_slide_is_not_relocated_to_another_slides_file(project, slide, tmp_path):
    (tmp_path / "b.svs").write_bytes(b"other")
    with pytest.raises(ReplacedSlideError, match="content differs"):
        project.slides.relocate(slide.id, tmp_path / "b.svs")
    assert project.slides.get(slide.id) == slide


def test_slides_that_move_together_with_the_project_are_found(project, add_slide, tmp_path):
    add_slide(project, folder=tmp_path / "slides")
    project.close()
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "project", tmp_path / "moved")
    shutil.move(tmp_path / "slides", tmp_path / "moved")

    with Project.open(tmp_path / "moved" / "project") as again:
        (record,) = again.slides.all()

    assert record.exists()
    assert record.path == tmp_path / "moved" / "slides" / "a.svs"


def test_another_slide_in_the_same_relative_place_is_not_taken(project, slide, tmp_path):
    project.close()
    slide.path.unlink()
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "project", tmp_path / "moved")
    (tmp_path / "moved" / "a.svs").write_bytes(b"PIXELS")
    with Project.open(tmp_path / "moved" / "project") as again:
        assert not again.slides.get(slide.id).exists()


# --- fingerprints -----------------------------------------------------------------------------------------------------

MIB = 1 << 20


def changed_at(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"x")


@pytest.mark.parametrize("place", [0, MIB + 1, 2 * MIB, 3 * MIB - 1])
def test_every_byte_of_a_small_file_counts(tmp_path, place):
    path = tmp_path / "small.tif"
    path.write_bytes(bytes(3 * MIB))
    before = fingerprint(path)
    assert before.startswith(f"{3 * MIB}-2-")
    changed_at(path, place)
    assert fingerprint(path) != before
    assert not has_content(path, before)


@pytest.mark.parametrize("place", [0, MIB - 1, 10 * MIB, 20 * MIB, 39 * MIB, 40 * MIB - 1])
def test_a_change_of_a_45th_of_a_large_file_shows(tmp_path, place):
    path = tmp_path / "large.tif"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    before = fingerprint(path)
    with path.open("r+b") as file:
        file.seek(min(place, 39 * MIB))
        file.write(b"x" * (40 * MIB // 45))
    assert fingerprint(path) != before


def test_a_file_that_was_touched_has_the_same_fingerprint(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"pixels")
    before = fingerprint(path)
    os.utime(path, (1, 1))
    assert fingerprint(path) == before


def test_a_file_that_changed_within_a_tick_of_the_clock_is_read_anew(tmp_path):
    path = tmp_path / "a.tif"
    found = set()
    for letter in range(200):
        path.write_bytes(bytes([letter]))
        found.add(fingerprint(path))
    assert len(found) == 200


def test_a_file_is_read_once_while_it_does_not_change(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    path.write_bytes(b"pixels")
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("histoloop.store.fingerprint.time.time_ns", lambda: later)
    before = fingerprint(path)
    monkeypatch.setattr("histoloop.store.fingerprint.hashlib.sha256", None)
    assert fingerprint(path) == before


def test_fingerprints_of_the_first_version_still_count(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"pixels")
    first = f"6-{hashlib.sha256(b'6' + b'pixels' * 2).hexdigest()}"
    assert has_content(path, first)
    path.write_bytes(b"PIXELS")
    assert not has_content(path, first)


def test_a_mirax_fingerprint_knows_the_slide_in_its_folder(tmp_path):
    path = tmp_path / "s.mrxs"
    path.write_bytes(b"")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "Slidedat.ini").write_text("SLIDE_ID = 1")
    first = fingerprint(path)
    (tmp_path / "s" / "Slidedat.ini").write_text("SLIDE_ID = 2")
    assert fingerprint(path) != first


def test_another_resolution_makes_maps_and_predictions_of_the_old_one_void(project, slide):
    model = project.models.add("m", hash="h", parent=None, round=0, status="current")
    folder = project.maps.new_folder(slide.id, model.id)
    folder.mkdir()
    project.maps.add(slide.id, model.id, folder.name)
    project.predictions.add(slide.id, model.id, {"benign": 1.0})
    project.slides.set_mpp(slide.id, slide.mpp)
    assert project.maps.find(slide.id) == folder
    project.slides.set_mpp(slide.id, 2 * slide.mpp)
    assert project.maps.find(slide.id) is None
    assert project.slides.get(slide.id).predicted is None
    assert folder.is_dir()  # nothing is deleted


# --- thousands of slides ----------------------------------------------------------------------------------------------


def test_slides_that_nobody_changed_are_not_asked_for_again(project, add_slide, request):
    add_slide(project, "1.svs"), add_slide(project, "2.svs", b"other")
    before = project.slides.all()
    watched = request.getfixturevalue("watched")
    assert project.slides.all() == before
    assert watched["sql"] == []


def test_what_another_connection_changes_is_seen_at_once(project, slide):
    assert project.slides.all()[0].label is None
    with Project.connect(project.folder) as other:
        other.slides.set_label(slide.id, "malignant", person="Ada")
        assert project.slides.all()[0].label == "malignant"
        other.slides.remove(slide.id)
    assert project.slides.all() == []


def test_what_is_taken_back_with_a_transaction_was_never_so(project, slide):
    assert [each.mpp for each in project.slides.all()] == [0.5]

    def change_and_fail():
        with project.transaction():
            project.slides.set_mpp(slide.id, 0.25)
            assert [each.mpp for each in project.slides.all()] == [0.25]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert [each.mpp for each in project.slides.all()] == [0.5]


def test_a_slide_whose_name_another_takes_is_called_anew(project, add_slide, tmp_path):
    first = add_slide(project, "a.svs", folder=tmp_path / "one")
    assert [slide.name for slide in project.slides.all()] == ["a.svs"]
    add_slide(project, "a.svs", b"other", folder=tmp_path / "two")
    assert [slide.name for slide in project.slides.all()] == ["one/a.svs", "two/a.svs"]
    assert project.slides.get(first.id).name == "one/a.svs"


@pytest.mark.parametrize(("one", "other"), [("É.svs", "é.svs"), ("straße.svs", "STRASSE.svs"), ("A.svs", "a.SVS")])
def test_names_that_differ_in_case_alone_are_told_apart_in_any_script(project, add_slide, tmp_path, one, other):
    slides = [add_slide(project, one, b"one", tmp_path / "1"), add_slide(project, other, b"other", tmp_path / "2")]
    names = [f"1/{one}", f"2/{other}"]
    assert [slide.name for slide in project.slides.all()] == names
    assert [project.slides.get(slide.id).name for slide in slides] == names


def test_adding_a_slide_opens_no_other_file_even_of_the_same_size(project, add_slide, tmp_path, monkeypatch):
    for number in range(5):
        add_slide(project, f"{number}.svs", b"pixel%d" % number)
    (tmp_path / "new.svs").write_bytes(b"pixel9")
    opened = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *how, **named: opened.append(self) or real(self, *how, **named))
    project.slides.add(tmp_path / "new.svs", width=10, height=10, mpp=None, vendor="none")
    assert set(opened) == {tmp_path / "new.svs"}


def test_a_slide_that_the_first_version_added_is_known_by_its_content(project, slide, tmp_path):
    size = slide.path.stat().st_size
    first = f"{size}-{hashlib.sha256(str(size).encode() + slide.path.read_bytes() * 2).hexdigest()}"
    with project._database.transaction():
        project._database.update("slide", slide.id, fingerprint=first)
    moved = tmp_path / "elsewhere.svs"
    slide.path.rename(moved)
    assert project.slides.find(moved).id == slide.id


def test_what_is_at_the_path_of_a_slide_is_told_by_one_look(project, slide):
    assert slide.file() is SlideFile.IN_PLACE
    slide.path.write_bytes(b"longer than before")
    assert slide.file() is SlideFile.REPLACED
    assert project.slides.missing() == [slide]
    slide.path.unlink()
    assert slide.file() is SlideFile.MISSING
    slide.path.mkdir()
    assert slide.file() is SlideFile.MISSING
