"""The classes to paint with: a button each, and a key for the first nine, however many they are and whatever called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keyboard import bring_up, press
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from histoloop.annotations.palette import default_colours
from histoloop.annotations.records import MaskClass
from histoloop.gui.panels.class_buttons import ClassButtons

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

WIDTH_PX = 300
LONG = "invasive micropapillary carcinoma with signet ring cell differentiation"


def named(*names: str) -> tuple[MaskClass, ...]:
    return tuple(map(MaskClass, names, default_colours(len(names))))


@pytest.fixture
def buttons(qtbot) -> ClassButtons:
    made = ClassButtons()
    qtbot.addWidget(made)
    made.setFixedWidth(WIDTH_PX)
    made.show()
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 30])
def test_every_class_has_a_button_within_the_panel(buttons: ClassButtons, count: int) -> None:
    buttons.show_classes(named(*(f"class {number}" for number in range(count))))
    QApplication.processEvents()
    assert buttons.count == count
    for value in range(1, count + 1):
        made = buttons.button(value)
        assert buttons.choose(value)
        QApplication.processEvents()
        place = made.mapTo(buttons, made.rect().topLeft())
        assert place.x() >= 0
        assert place.x() + made.width() <= WIDTH_PX
        assert place.y() >= 0  # scrolled into sight
        assert place.y() + made.height() <= buttons.height() + 1
        assert made.key == (str(value) if value <= 9 else "")
    assert buttons.height() < 300


@pytest.mark.parametrize("name", [LONG, "腺癌" * 30, "سرطان غدي" * 10, "a & b", "<b>bold</b>"])
def test_a_name_of_any_length_and_script_keeps_the_buttons_in_the_panel_and_is_whole_in_the_tip(
    buttons: ClassButtons, name: str
) -> None:
    buttons.show_classes(named(name, "stroma"))
    QApplication.processEvents()
    first, second = buttons.button(1), buttons.button(2)
    assert first.width() + second.width() <= WIDTH_PX
    assert first.accessibleName() == name[:1].upper() + name[1:]
    assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in first.toolTip() or (
        name in first.toolTip()
    )


def test_the_number_keys_choose_the_classes_and_the_chosen_one_is_painted(painting: MainWindow) -> None:
    window, panel = painting, painting.annotation_panel
    press(window, Qt.Key.Key_2)
    assert panel.classes.value == 2
    assert window.viewer._made.labels.selected_label == 2
    press(window, Qt.Key.Key_1)
    assert panel.classes.value == 1
    assert window.viewer._made.labels.selected_label == 1
    press(window, Qt.Key.Key_3)  # there are two classes
    assert panel.classes.value == 1


def test_a_click_on_a_button_chooses_its_class(painting: MainWindow, qtbot) -> None:
    qtbot.mouseClick(painting.annotation_panel.classes.button(2), Qt.MouseButton.LeftButton)
    assert painting.viewer._made.labels.selected_label == 2


def test_the_menu_has_the_classes_with_their_keys_and_ticks_the_one_in_hand(painting: MainWindow) -> None:
    menu = painting.actions_.submenus["paint_class"]
    assert menu.isEnabled()
    assert [(action.text(), action.shortcut().toString()) for action in menu.actions()] == [
        ("Gland", "1"),
        ("Tumour", "2"),
    ]
    painting.annotation_panel.choose_class(2)
    menu.aboutToShow.emit()
    assert [action.isChecked() for action in menu.actions()] == [False, True]
    painting.session.annotating.leave()
    assert not menu.isEnabled()


def test_a_number_that_is_typed_as_a_size_chooses_no_class(painting: MainWindow, qtbot) -> None:
    panel = painting.annotation_panel
    panel.choose_class(1)
    number = panel.size_picker.box
    bring_up(painting)
    number.setFocus()
    number.selectAll()
    qtbot.keyClicks(number, "2")
    assert panel.classes.value == 1
    assert number.lineEdit().text().startswith("2")
