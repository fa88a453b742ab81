"""A table of the classes of files, and what each of them is in the project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QInputDialog,
    QMessageBox,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import folded, spoken_class
from histoloop.annotations.palette import MAX_CLASSES
from histoloop.annotations.records import LEFT_OUT_NAME, ClassScheme, MaskClass
from histoloop.errors import ClassError
from histoloop.exchange.mask_values import OBJECTS
from histoloop.exchange.outlines.classes import BACKGROUND, NOTHING
from histoloop.gui.kit.tables import fit_height, plain_table
from histoloop.gui.kit.widgets import (
    NarrowBox,
    button,
    label,
    leave_wheel_to_panel,
    plain_icon,
    plain_tip,
    set_role,
    swatch,
    visible_name,
)
from histoloop.language import tr, tr_plural
from histoloop.workflows.classes import LONGEST_NAME, checked_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PySide6.QtGui import QIcon

    from histoloop.workflows.contents.import_preview import FilePreview, ForeignClass

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#7f7f7f")
"""For classes that their file gives no colour: told apart by colour-blind people too."""

_NEW = "new"
_MOST_ROWS_IN_SIGHT = 6
_MEASURED_ROWS = 20
"""So many rows say how wide the columns of numbers are."""
_NAME, _COUNT, _AREA, _MEANS = range(4)


@dataclass(frozen=True, slots=True)
class ClassKey:
    """A class of files: outlines of the same names are one in all files, a value of a picture is its file's own."""

    names: tuple[str, ...]
    picture: str = ""


@dataclass(frozen=True, slots=True)
class NewClass:
    """A class that is to be made: its name, and the colour of the class in the file ('' for none)."""

    name: str
    colour: str


def key_of(preview: FilePreview, foreign: ForeignClass) -> ClassKey:
    """What tells a class of a file from others."""
    names = foreign.names if preview.is_picture else tuple(map(_spelled_alike, foreign.names))
    return ClassKey(names, str(preview.path) if preview.is_picture else "")


@lru_cache(maxsize=4096)
def _spelled_alike(name: str) -> str:
    """A name without what makes no difference; a star at its end does, and so does a question mark."""
    return folded(name) + "".join(sign for sign in name if sign in "*?") if folded(name) else name


class ClassMatching(QWidget):
    """A row for each class, with a box of what it may be here; `changed` when something was chosen.

    What is sure by its spelling, or was said before, is chosen already; everything else waits for somebody to say it.
    A file may have hundreds of classes: boxes are made for the rows in sight, and share what they offer.
    """

    changed = Signal()

    def __init__(self, scheme: ClassScheme) -> None:
        super().__init__()
        self._scheme = scheme
        self._rows: dict[ClassKey, int] = {}
        self._foreign: dict[ClassKey, list[tuple[FilePreview, ForeignClass]]] = {}
        self._chosen: dict[ClassKey, str] = {}
        self._by_hand: set[ClassKey] = set()
        self._new: dict[str, NewClass] = {}
        self._offers: dict[bool, NarrowBox] = {}
        self._filled: list[tuple[ClassKey, str, str, str, str, str]] = []
        self.table = plain_table([tr("In the file"), tr("Outlines"), tr("Area"), tr("In this project")])
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_COUNT, _AREA):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_MEANS, QHeaderView.ResizeMode.Fixed)
        header.setResizeContentsPrecision(_MEASURED_ROWS)
        self.table.setColumnWidth(_MEANS, 160)
        self.table.verticalScrollBar().valueChanged.connect(lambda _value: self._make_boxes())
        self.table.viewport().installEventFilter(self)
        self.note = label(role="muted", wrap=True)
        self.leave_out = button(tr("Do not import undecided classes"))
        self.leave_out.clicked.connect(self._leave_out_undecided)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.table)
        layout.addWidget(self.leave_out, 0, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self.note)

    def set_scheme(self, scheme: ClassScheme) -> None:
        """Offer other classes; what was chosen of those that are gone is to be chosen anew."""
        self._scheme = scheme
        known = {*scheme.mask_names, *self._new, BACKGROUND, LEFT_OUT_NAME, NOTHING}
        self._new = {name: new for name, new in self._new.items() if name not in scheme.mask_names}
        self._chosen = {key: own for key, own in self._chosen.items() if own in known}
        self._offer_anew()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_classes(self, previews: Sequence[FilePreview], mpps: Mapping[int, float | None]) -> None:
        """The classes of files that were looked at; `mpps` are um per level-0 pixel of their slides by id."""
        self._foreign = {}
        for preview in previews:
            for foreign in preview.classes:
                self._foreign.setdefault(key_of(preview, foreign), []).append((preview, foreign))
        self._rows = {key: row for row, key in enumerate(self._foreign)}
        for key, found in self._foreign.items():
            means = {foreign.means for _preview, foreign in found}
            if key not in self._chosen and len(means) == 1 and None not in means:
                self._chosen[key] = str(means.pop())
        self._show_rows(mpps)
        fit_height(self.table, len(self._rows), most=_MOST_ROWS_IN_SIGHT)
        self._make_boxes()
        self._show_note()

    def _show_rows(self, mpps: Mapping[int, float | None]) -> None:
        """Fill the table, where its rows are others than those that it shows."""
        several = len({preview.path for found in self._foreign.values() for preview, _foreign in found}) > 1
        rows = [self._row(key, found, mpps, several=several) for key, found in self._foreign.items()]
        if rows == self._filled:
            for key, row in self._rows.items():
                box = self.table.cellWidget(row, _MEANS)
                if isinstance(box, NarrowBox):
                    self._select(box, key)
            return
        self._filled = rows
        icons: dict[str, QIcon] = {}
        self.table.setUpdatesEnabled(False)
        self.table.setRowCount(0)  # the boxes go with their rows
        self.table.setRowCount(len(rows))
        for number, (_key, title, tip, colour, *figures) in enumerate(rows):
            if colour not in icons:
                icons[colour] = plain_icon(swatch(colour))
            name = QTableWidgetItem(icons[colour], visible_name(title))
            name.setToolTip(plain_tip(tip))
            self.table.setItem(number, _NAME, name)
            for column, text in zip((_COUNT, _AREA), figures, strict=True):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(number, column, item)
        self.table.setUpdatesEnabled(True)

    def _row(
        self,
        key: ClassKey,
        found: Sequence[tuple[FilePreview, ForeignClass]],
        mpps: Mapping[int, float | None],
        *,
        several: bool,
    ) -> tuple[ClassKey, str, str, str, str, str]:
        """What a row shows: its class, title, tip, colour, number of outlines and area."""
        tip = "\n".join((_title(key, found), *(preview.path.name for preview, _foreign in found)))
        count = "" if key.picture else str(sum(foreign.count for _preview, foreign in found))
        return key, _title(key, found, several=several), tip, self.colour(key), count, _area(found, mpps)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Make the boxes that come into sight where the table is shown or gets larger."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._make_boxes()
        return False

    def _make_boxes(self) -> None:
        """Make the boxes of the rows in sight that have none."""
        if self.table.rowCount() != len(self._rows):  # it is being filled
            return
        first = max(0, self.table.rowAt(0))
        for key in list(self._rows)[first : first + _MOST_ROWS_IN_SIGHT + 1]:
            self.box(key)

    def _take_boxes_off(self) -> None:
        for row in range(self.table.rowCount()):
            if self.table.cellWidget(row, _MEANS) is not None:
                self.table.removeCellWidget(row, _MEANS)

    def _offer_anew(self) -> None:
        """The boxes offer other classes now."""
        before, self._offers = list(self._offers.values()), {}
        self._take_boxes_off()
        for offer in before:
            offer.deleteLater()
        self._make_boxes()

    def box(self, key: ClassKey) -> NarrowBox:
        """The box of a class, which is made where it was not in sight yet."""
        row = self._rows[key]
        box = self.table.cellWidget(row, _MEANS)
        if not isinstance(box, NarrowBox):
            box = self._made_box(key)
            self.table.setCellWidget(row, _MEANS, box)
        return box

    def _made_box(self, key: ClassKey) -> NarrowBox:
        box = NarrowBox()
        leave_wheel_to_panel(box)
        box.setAccessibleName(tr("The class of {name} here", name=_title(key, self._foreign[key])))
        box.setModel(self._offer(is_picture=bool(key.picture)).model())
        self._select(box, key)
        box.activated.connect(lambda _index: self._on_chosen(key, box))
        return box

    def _offer(self, *, is_picture: bool) -> NarrowBox:
        """A box of what a class may be here, whose entries others share."""
        if is_picture in self._offers:
            return self._offers[is_picture]
        offer = NarrowBox()
        offer.setParent(self)
        offer.hide()
        offer.addItem(tr("Choose…"), None)
        for mask in self._scheme.masks:
            offer.addItem(plain_icon(swatch(mask.colour)), visible_name(spoken_class(mask.name)), mask.name)
        for new in self._new.values():
            offer.addItem(plain_icon(swatch(new.colour or "#808080")), tr("{name} (new)", name=new.name), new.name)
        offer.insertSeparator(offer.count())
        offer.addItem(tr("Background"), BACKGROUND)
        offer.addItem(tr("Ignore* (not used for training)"), LEFT_OUT_NAME)
        if not is_picture:
            offer.addItem(tr("Do not import it"), NOTHING)
        if self._free:
            offer.addItem(tr("A new class…"), _NEW)
        self._offers[is_picture] = offer
        return offer

    @property
    def _free(self) -> int:
        """How many classes more the project can have."""
        return max(0, MAX_CLASSES - len(self._scheme.masks) - len(self._new))

    def _select(self, box: NarrowBox, key: ClassKey) -> None:
        box.setCurrentIndex(max(0, box.findData(self._chosen.get(key))))
        set_role(box, "" if key in self._chosen else "undecided")

    # --- what is chosen -----------------------------------------------------------------------------------------------

    def _on_chosen(self, key: ClassKey, box: NarrowBox) -> None:
        own = box.currentData()
        if own == _NEW:
            own = self._ask_for_class(key)
            if own is None:
                self._select(box, key)
                return
        self.choose(key, own)

    def choose(self, key: ClassKey, own: str | None) -> None:
        """Say what a class is here; None: not decided."""
        self._choose(key, own)
        self._show_note()
        self.changed.emit()

    def _choose(self, key: ClassKey, own: str | None) -> None:
        self._by_hand.add(key)
        if own is None:
            self._chosen.pop(key, None)
        else:
            self._chosen[key] = own
        box = self.table.cellWidget(self._rows[key], _MEANS)
        if isinstance(box, NarrowBox):
            self._select(box, key)

    @property
    def keys(self) -> list[ClassKey]:
        """The classes, row by row."""
        return list(self._rows)

    def _leave_out_undecided(self) -> None:
        for key in self._rows:
            if key not in self._chosen and not key.picture:
                self._choose(key, NOTHING)
        self._show_note()
        self.changed.emit()

    def _ask_for_class(self, key: ClassKey) -> str | None:
        """The name of a class to be made, or of the one that is called so already; None when nobody gave one."""
        names = () if key.picture else self._foreign[key][0][1].names
        proposed = names[-1][:LONGEST_NAME] if names else ""
        name, given = QInputDialog.getText(
            self, tr("A new class"), tr("What should the class be called?"), text=proposed
        )
        name = " ".join(name.split())
        if not given or not name:
            return None
        known = (*self._scheme.mask_names, *self._new)
        same = next((own for own in known if own.casefold() == name.casefold()), None)
        if same is not None:
            return same
        others = [*self._scheme.masks, *(MaskClass(new.name, new.colour) for new in self._new.values())]
        try:
            made = checked_class(MaskClass(name, self._foreign[key][0][1].colour), others)
        except ClassError as error:
            QMessageBox.warning(self, tr("A new class"), f"{error.message} {error.advice}")
            return None
        self._new[made.name] = NewClass(made.name, made.colour)
        self._offer_anew()
        return made.name

    def undecided(self) -> list[str]:
        """The classes that nobody has decided on, by what they are called."""
        return [_title(key, found) for key, found in self._foreign.items() if key not in self._chosen]

    def chosen_of(self, preview: FilePreview) -> list[str | None]:
        """What each class of a file is here, in their order; None while that is not decided."""
        return [self._chosen.get(key_of(preview, foreign)) for foreign in preview.classes]

    def remembered_of(self, preview: FilePreview) -> dict[str, str]:
        """What the project shall remember of a file: what was said of outlines by hand."""
        return {
            folded(foreign.names[0]) if foreign.names else NAMELESS_KEY: self._chosen[key]
            for foreign in preview.classes
            if not preview.is_picture and (key := key_of(preview, foreign)) in self._by_hand and key in self._chosen
        }

    def new_classes(self) -> list[NewClass]:
        """The classes to be made: those that a class of the files is."""
        used = {self._chosen[key] for key in self._rows if key in self._chosen}
        return [new for name, new in self._new.items() if name in used]

    def colour(self, key: ClassKey) -> str:
        """How a class is drawn: as its file has it, else in a colour that goes by its row."""
        given = next((foreign.colour for _preview, foreign in self._foreign[key] if foreign.colour), "")
        return given or COLOURS[self._rows[key] % len(COLOURS)]

    def _show_note(self) -> None:
        sentences = []
        if any(preview.is_picture for found in self._foreign.values() for preview, _foreign in found):
            sentences.append(tr("In images, 0, black and transparent pixels are background."))
        remembered = [
            key
            for key in self._rows
            if key not in self._by_hand and any(foreign.is_remembered for _preview, foreign in self._foreign[key])
        ]
        if remembered:
            sentences.append(
                tr_plural(
                    "{count} class is matched as last time.",
                    "{count} classes are matched as last time.",
                    len(remembered),
                )
            )
        waiting = [key for key in self._rows if key not in self._chosen and not key.picture]
        if len(waiting) > self._free:
            sentences.append(
                tr(
                    "A project has at most {most} classes at a time: {count} more can be added here.",
                    most=MAX_CLASSES,
                    count=self._free,
                )
            )
        self.leave_out.setVisible(len(waiting) > 1)
        self.note.setText(" ".join(sentences))
        self.note.setVisible(bool(sentences))


NAMELESS_KEY = folded("unclassified")


def _title(key: ClassKey, found: Iterable[tuple[FilePreview, ForeignClass]], *, several: bool = False) -> str:
    preview, foreign = next(iter(found))
    if not key.picture:
        return (
            " / ".join(foreign.names[:2])
            if len(foreign.names) > 1 and _differ(foreign.names)
            else (foreign.names[0] if foreign.names else tr("Without a class"))
        )
    if foreign.names == (OBJECTS,):
        what = tr("all above 0: one number per object")
    elif foreign.names[0].startswith("#"):
        what = tr("colour {colour}", colour=foreign.names[0])
    else:
        what = tr("value {value}", value=foreign.names[0])
    return f"{what} ({preview.path.name})" if several else what


def _differ(names: tuple[str, ...]) -> bool:
    """Whether the second name says something that the first does not."""
    return not names[0].startswith(names[1])


def _area(found: Sequence[tuple[FilePreview, ForeignClass]], mpps: Mapping[int, float | None]) -> str:
    """The area of a class: in mm2 where the resolution of all its slides is known, else in pixels."""
    scales = [mpps.get(preview.slide_id) for preview, _foreign in found]
    if any(scale is None for scale in scales):
        return tr("{area:,.0f} px", area=sum(foreign.area_px for _preview, foreign in found))
    area = sum(foreign.area_px * (mpp or 0) ** 2 for (_preview, foreign), mpp in zip(found, scales, strict=True)) / 1e6
    return tr("{area:.3g} mm\N{SUPERSCRIPT TWO}", area=area)
