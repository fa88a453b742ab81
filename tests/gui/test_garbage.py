"""Widgets are freed on the GUI thread, whichever thread makes garbage."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from histoloop.gui.kit import garbage
from histoloop.gui.kit.garbage import GarbageCollector

if TYPE_CHECKING:
    import pytest

    from histoloop.gui.window.main_window import MainWindow


class Cycle(QWidget):
    """A widget that only the collector can free; it notes on which thread."""

    def __init__(self, freed_on: list[int]) -> None:
        super().__init__()
        self.itself = self
        weakref.finalize(self, lambda: freed_on.append(threading.get_ident()))


def make_garbage() -> None:
    for _time in range(20 * gc.get_threshold()[0]):
        one: list[object] = []
        one.append(one)


def test_a_widget_is_not_freed_by_the_garbage_of_another_thread_but_soon_on_the_gui_thread(qapp, qtbot) -> None:
    freed_on: list[int] = []
    Cycle(freed_on)
    thread = threading.Thread(target=make_garbage)
    thread.start()
    thread.join()
    assert freed_on == []
    make_garbage()
    qtbot.waitUntil(lambda: bool(freed_on), timeout=5000)
    assert freed_on == [threading.main_thread().ident]


def test_what_came_with_modules_is_looked_through_never(monkeypatch: pytest.MonkeyPatch, qapp) -> None:
    collected: list[int] = []
    frozen: list[bool] = []
    monkeypatch.setattr(garbage.gc, "collect", lambda generation=2: collected.append(generation))
    monkeypatch.setattr(garbage.gc, "freeze", lambda: frozen.append(True))
    monkeypatch.setattr(garbage.gc, "get_count", lambda: (700_000, 0, 0))
    collector = GarbageCollector(qapp)
    collector.collect_if_due()
    assert (len(frozen), collected) == (1, [])
    collector.collect_if_due()
    assert (len(frozen), collected) == (1, [0]), "no module came meanwhile"
    monkeypatch.setitem(sys.modules, "one_that_came_late", sys)
    collector.collect_if_due()
    assert (len(frozen), collected) == (2, [0])
    collector.deleteLater()


def test_all_objects_are_looked_through_only_when_there_are_many_more_of_them(
    monkeypatch: pytest.MonkeyPatch, qapp
) -> None:
    collected: list[int] = []
    old = [100]
    monkeypatch.setattr(garbage.gc, "collect", lambda generation=2: collected.append(generation))
    monkeypatch.setattr(garbage.gc, "get_count", lambda: (10_000, 100, 100))
    monkeypatch.setattr(garbage.gc, "get_objects", lambda generation: [None] * old[0])
    monkeypatch.setattr(garbage, "FULL_EVERY_S", 0.0)
    collector = GarbageCollector(qapp)
    for old[0] in (100, 110, 124, 126):
        collector.collect_if_due()
    collector.deleteLater()
    assert collected == [2, 1, 1, 2]


def test_python_does_not_collect_by_itself_while_the_window_is_there(window: MainWindow) -> None:
    assert not gc.isenabled()
