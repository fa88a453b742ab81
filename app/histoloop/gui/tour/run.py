"""The way of the tour through the window, and where its pictures are kept."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from histoloop.gui.application import make_application
from histoloop.gui.kit.settings import Settings
from histoloop.gui.kit.translation import speak_as_chosen
from histoloop.gui.tour.dialogs import (
    look_at_the_classes,
    look_at_the_dialogs,
    look_at_the_menus,
    show_what_can_be_written,
)
from histoloop.gui.tour.driver import TOUR, Tour, TourError
from histoloop.gui.tour.first_round import annotate, ask, export, open_and_predict, retrain_and_keep, welcome
from histoloop.gui.tour.importing import import_annotations
from histoloop.gui.tour.looking import choose_another_method_and_compare, look_closer, turn_the_slide
from histoloop.gui.tour.more_rounds import learn_from_similar_regions, show_all_rounds, show_the_learning_curve
from histoloop.gui.tour.newcomers import begin_as_a_newcomer
from histoloop.gui.tour.painting import give_label_and_size, try_the_tools
from histoloop.gui.tour.readers import list_the_annotations, read_a_second_time
from histoloop.gui.window.main_window import MainWindow
from histoloop.language import ENGLISH

if TYPE_CHECKING:
    from pathlib import Path

SIZE_PX = (1480, 920)
LIGHT = "light"
SETTINGS = "settings.ini"
_PICTURE = re.compile(r"[0-9]{2}-[a-z-]+\.png")


def run_tour(out: Path, language: str = ENGLISH.code, *, theme: str = LIGHT, size_px: tuple[int, int] = SIZE_PX) -> int:
    """Write `01-….png`, … and `tour.json` into `out`, with the window in a language; 0 when all went well.

    The window is `size_px` (width, height) in device-independent pixels, which the screen may not have: then as large
    as it gets. One picture is of the other theme.

    `out` is new, empty or of an earlier tour, whose pictures are replaced; 2 where anything else is in it.
    """
    if not _make_room(out):
        print(f"histoloop tour: {out} holds other things than a tour: give a new folder", file=sys.stderr)  # noqa: T201
        return 2
    application = make_application()
    settings = Settings(out / SETTINGS)
    settings.set("language", language)
    speak_as_chosen(application, settings)
    tour = Tour(out, MainWindow(settings), theme=theme, size_px=size_px)
    try:
        _walk(tour)
    except TourError as error:
        tour.picture("failed", str(error))
        print(f"histoloop: the tour stopped: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        tour.write()
        tour.window.session.jobs.cancel()
        tour.window.session.jobs.shut_down()
        tour.window.close()
        application.processEvents()
    print(f"{len(tour.steps)} pictures and tour.json written to {out}")  # noqa: T201
    return 0


def _walk(tour: Tour) -> None:
    """A first round, what can be looked at, more rounds, newcomers; then tools, readers, files, dialogs and menus."""
    welcome(tour)
    open_and_predict(tour)
    ask(tour)
    annotate(tour)
    retrain_and_keep(tour)
    export(tour)
    give_label_and_size(tour)
    choose_another_method_and_compare(tour)
    look_closer(tour)
    learn_from_similar_regions(tour)
    show_the_learning_curve(tour)
    begin_as_a_newcomer(tour)
    look_at_the_classes(tour)
    turn_the_slide(tour)
    try_the_tools(tour)
    list_the_annotations(tour)
    read_a_second_time(tour)
    show_all_rounds(tour)
    show_what_can_be_written(tour)
    import_annotations(tour)
    look_at_the_dialogs(tour)
    look_at_the_menus(tour)


def _make_room(out: Path) -> bool:
    """Make the folder, or take the pictures of an earlier tour out of it; False where it is none's."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = _pictures_of_tour(out)
    if pictures is None:
        return not any(out.iterdir())
    for old in (*pictures, TOUR, SETTINGS):
        (out / old).unlink(missing_ok=True)
    return True


def _pictures_of_tour(out: Path) -> list[str] | None:
    """File names of the pictures of the tour that was written to a folder; None where there was none."""
    try:
        steps = json.loads((out / TOUR).read_text(encoding="utf-8"))["steps"]
        names = [str(step["picture"]) for step in steps]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if _PICTURE.fullmatch(name)]
