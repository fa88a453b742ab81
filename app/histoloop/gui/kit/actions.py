"""Menus, shortcuts and toolbar as one table; what an action does is looked up by its name in the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from histoloop.gui.kit.theme import icon
from histoloop.language import LANGUAGES, mark, tr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PySide6.QtWidgets import QMainWindow

SEPARATOR = None


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An entry of a menu. `needs` names what must be there: project, slide, painting, question, candidate, work, idle.

    Entries with one `group` are choices of which one is taken; `checkable` ones are switched.
    """

    name: str
    text: str
    shortcut: str = ""
    icon: str = ""
    needs: frozenset[str] = frozenset()
    checkable: bool = False
    group: str = ""
    tip: str = ""
    brief: str = ""
    """For the toolbar, where the text is long."""

    @property
    def plain(self) -> str:
        """The text in the language spoken, without the marks of a menu."""
        return tr(self.text).replace("&", "").rstrip("…")

    @property
    def keys(self) -> str:
        """The shortcut as the system writes it in the language spoken; empty without one."""
        return QKeySequence(self.shortcut).toString(QKeySequence.SequenceFormat.NativeText)

    @property
    def full_tip(self) -> str:
        """What it does in the language spoken, with its shortcut."""
        tip = tr(self.tip) or self.plain
        return f"{tip} ({self.keys})" if self.shortcut else tip


def _spec(name: str, text: str, shortcut: str = "", *, needs: str = "", **rest: object) -> ActionSpec:
    return ActionSpec(name, text, shortcut, needs=frozenset(needs.split()), **rest)  # type: ignore[arg-type]


MENUS: Mapping[str, tuple[ActionSpec | None, ...]] = {
    mark("&File"): (
        _spec("new_project", mark("&New project…"), "Ctrl+N"),
        _spec("open_project", mark("&Open project…"), "Ctrl+O", icon="folder"),
        _spec("open_demo", mark("Open the &demo project")),
        SEPARATOR,
        _spec("add_slides", mark("&Add slides…"), "Ctrl+I", needs="project", icon="add"),
        _spec("add_folder", mark("Add a &folder of slides…"), "Ctrl+Shift+I", needs="project"),
        SEPARATOR,
        _spec("export", mark("&Export masks and tables…"), "Ctrl+E", needs="project", icon="export"),
        _spec("close_project", mark("&Close project"), "Ctrl+W", needs="project"),
        SEPARATOR,
        _spec("quit", mark("&Quit"), "Ctrl+Q"),
    ),
    mark("&Slides"): (
        _spec("predict", mark("&Predict all slides"), "Ctrl+P", needs="project slides", icon="predict",
              brief=mark("Predict"), tip=mark("Find glands and tumour on every slide that is not predicted yet")),
        _spec("predict_added", mark("Predict new slides at once"), checkable=True),
        SEPARATOR,
        _spec("next_slide_label", mark("Next &label of the slide"), "Ctrl+L", needs="slide",
              tip=mark("Say what the slide is as a whole: the label after the one said")),
        SEPARATOR,
        _spec("set_mpp", mark("Set &resolution…"), needs="slide", tip=mark("Say how many micrometres a pixel is wide")),
        _spec("find_moved", mark("&Find moved slides…"), needs="project slides"),
        _spec("remove_slides", mark("Re&move from the project"), needs="slide"),
    ),
    mark("&View"): (
        _spec("fit", mark("&Whole slide"), "Ctrl+0", needs="slide", icon="fit"),
        _spec("zoom_in", mark("Zoom &in"), "+", needs="slide", icon="zoom-in"),
        _spec("zoom_out", mark("Zoom o&ut"), "-", needs="slide", icon="zoom-out"),
        _spec("full_resolution", mark("&Full resolution"), "Ctrl+1", needs="slide"),
        SEPARATOR,
        _spec("show_masks", mark("&Masks"), "M", checkable=True, icon="mask"),
        _spec("show_outlines", mark("&Outlines only"), "O", checkable=True, icon="outline", brief=mark("Outlines")),
        _spec("show_heatmap", mark("&Heatmap"), "H", checkable=True, icon="heat"),
        _spec("show_questions", mark("&Questions on the slide"), "Q", checkable=True),
        SEPARATOR,
        _spec("add_model", mark("&Add a model…"), needs="project", icon="add",
              tip=mark("Bring another model into the project, to draw masks with")),
        _spec("next_drawing", mark("&Next way to draw"), "D", needs="slide",
              tip=mark("Draw the masks by the next of the ways that the model offers")),
        _spec("compare", mark("&Compare side by side"), "Ctrl+2", needs="slide", icon="compare", checkable=True,
              brief=mark("Compare"), tip=mark("Two models or two ways to draw, at the same place of the slide")),
        SEPARATOR,
        _spec("theme_system", mark("Theme of the desk&top"), checkable=True, group="theme"),
        _spec("theme_light", mark("&Light theme"), checkable=True, group="theme"),
        _spec("theme_dark", mark("Dar&k theme"), checkable=True, group="theme"),
        SEPARATOR,
        _spec("language_system", mark("Lan&guage of the desktop"), checkable=True, group="language"),
        *(_spec(f"language_{each.code}", each.name, checkable=True, group="language") for each in LANGUAGES),
    ),
    mark("&Loop"): (
        _spec("ask", mark("&Ask me"), "Ctrl+K", needs="project slides", icon="ask",
              tip=mark("Choose the regions whose annotation helps most")),
        _spec("next_question", mark("&Next question"), "N", needs="project", icon="next"),
        _spec("annotate_visible", mark("Annotate the &visible region"), "R", needs="slide",
              tip=mark("Paint where you look, without being asked")),
        SEPARATOR,
        _spec("retrain", mark("&Retrain"), "Ctrl+R", needs="project annotated", icon="retrain",
              tip=mark("Learn from all annotations, in the background")),
        _spec("keep", mark("&Keep the new model"), "Ctrl+Shift+K", needs="candidate", icon="check"),
        _spec("roll_back", mark("Roll &back to the old model"), "Ctrl+Shift+B", needs="candidate", icon="undo"),
        SEPARATOR,
        _spec("cancel_job", mark("&Stop what runs"), "Ctrl+.", needs="work", icon="close"),
        SEPARATOR,
        _spec("device_auto", mark("Compute where it is &fastest"), checkable=True, group="device"),
        _spec("device_cpu", mark("Compute on the &processor"), checkable=True, group="device"),
        _spec("device_cuda", mark("Compute on the &GPU"), checkable=True, group="device"),
    ),
    mark("&Annotate"): (
        _spec("tool_pan", mark("&Move"), "V", needs="painting", icon="pan", checkable=True, group="tool",
              tip=mark("Move the slide (or hold Space)")),
        _spec("tool_brush", mark("&Brush"), "B", needs="painting", icon="brush", checkable=True, group="tool"),
        _spec("tool_eraser", mark("&Eraser"), "E", needs="painting", icon="eraser", checkable=True, group="tool"),
        _spec("tool_polygon", mark("&Polygon"), "P", needs="painting", icon="polygon", checkable=True, group="tool",
              tip=mark("Click the corners, double-click to close; Esc drops it")),
        _spec("tool_fill", mark("&Fill"), "F", needs="painting", icon="fill", checkable=True, group="tool",
              tip=mark("Give a connected area the chosen class")),
        SEPARATOR,
        _spec("brush_smaller", mark("&Smaller brush"), "[", needs="painting"),
        _spec("brush_larger", mark("&Larger brush"), "]", needs="painting"),
        _spec("next_class", mark("Next &class"), "C", needs="painting"),
        SEPARATOR,
        _spec("next_label", mark("Next label of the re&gion"), "L", needs="painting",
              tip=mark("Say what the region is as a whole")),
        _spec("size_more", mark("S&ize: 5 % more"), ".", needs="painting",
              tip=mark("Say how much of the region is tumour or gland")),
        _spec("size_less", mark("Si&ze: 5 % less"), ",", needs="painting"),
        _spec("size_from_mask", mark("Size: as pain&ted"), "Ctrl+M", needs="painting",
              tip=mark("Take the share of the region that is painted as the size")),
        SEPARATOR,
        _spec("undo", mark("&Undo"), "Ctrl+Z", needs="undo", icon="undo",
              tip=mark("Take back a stroke, a label or a size")),
        _spec("redo", mark("&Redo"), "Ctrl+Shift+Z", needs="redo", icon="redo"),
        _spec("clear_region", mark("Clear t&he region"), "Ctrl+Backspace", needs="painting"),
        SEPARATOR,
        _spec("finish", mark("&Done"), "Return", needs="painting", icon="check",
              tip=mark("Save the region, go to the next one")),
        _spec("save_said", mark("Save label a&nd size"), "Shift+Return", needs="painting said",
              tip=mark("Save what you said of the region without a mask: what is painted is not used")),
        _spec("accept", mark("&Accept as it is"), "A", needs="painting",
              tip=mark("The model's mask is right: save it unchanged")),
        _spec("skip", mark("S&kip"), "S", needs="question", icon="skip",
              tip=mark("Leave this one out; it is not asked again")),
        _spec("cannot_tell", mark("Cann&ot tell"), "X", needs="question", icon="unknown",
              tip=mark("Nobody could say from this picture")),
        _spec("leave", mark("Lea&ve for later"), "Esc", needs="painting",
              tip=mark("What you painted stays as a draft")),
        SEPARATOR,
        _spec("person", mark("&Your name…")),
    ),
    mark("&Help"): (
        _spec("open_guide", mark("&Guide"),
              tip=mark("Tutorial, how-to pages and reference, in the browser; needs no network")),
        _spec("first_steps", mark("&First steps…")),
        _spec("five_steps", mark("The loop in fi&ve steps")),
        SEPARATOR,
        _spec("shortcuts", mark("&Keyboard shortcuts"), "F1"),
        _spec("doctor", mark("&Check this machine")),
        _spec("model_card", mark("The &model and its figures"), needs="project"),
        _spec("open_log", mark("Open &log folder")),
        SEPARATOR,
        _spec("new_version", mark("Check for a &new version…"),
              tip=mark("Opens the web page of releases; nothing else is sent")),
        _spec("about", mark("&About HistoLoop…")),
    ),
}  # fmt: skip
LABELS_BEFORE = "next_slide_label"
SUBMENUS = {
    "open_demo": ("recent", mark("Open &recent")),
    "add_model": ("model", mark("Mo&del for the masks")),
    "next_drawing": ("drawing", mark("Masks drawn &by")),
}
"""Before which action the window fills in a menu of its own: its name and title."""


def specs() -> list[ActionSpec]:
    """All actions in the order of the menus."""
    return [spec for menu in MENUS.values() for spec in menu if spec is not None]


def spec_of(name: str) -> ActionSpec:
    """The entry of a name."""
    (found,) = (spec for spec in specs() if spec.name == name)
    return found


class Actions:
    """The actions of a window, by name."""

    def __init__(self, window: QMainWindow, handlers: Mapping[str, Callable[..., object]]) -> None:
        self._by_name: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self.label_menu = QMenu(tr("&This slide is"), window)
        self.submenus = {name: QMenu(tr(title), window) for name, title in SUBMENUS.values()}
        for title, entries in MENUS.items():
            menu = window.menuBar().addMenu(tr(title))
            menu.setToolTipsVisible(True)
            for spec in entries:
                if spec is None:
                    menu.addSeparator()
                    continue
                if spec.name == LABELS_BEFORE:
                    menu.addMenu(self.label_menu)
                if spec.name in SUBMENUS:
                    menu.addMenu(self.submenus[SUBMENUS[spec.name][0]])
                menu.addAction(self._make(spec, window, handlers[spec.name]))

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def update(self, there: set[str]) -> None:
        """Enable what can be done with what is there."""
        for spec in specs():
            self[spec.name].setEnabled(spec.needs <= there)

    def set_icons(self, *, dark: bool) -> None:
        """Icons in the colours of the theme."""
        for spec in specs():
            if spec.icon:
                self[spec.name].setIcon(icon(spec.icon, dark=dark))

    def set_checked(self, name: str, checked: bool) -> None:
        """Show a switch as it is, without telling its handler."""
        action = self[name]
        action.blockSignals(True)
        action.setChecked(checked)
        action.blockSignals(False)

    def _make(self, spec: ActionSpec, window: QMainWindow, handler: Callable[..., object]) -> QAction:
        action = QAction(tr(spec.text), window, checkable=spec.checkable)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
        if spec.brief:
            action.setIconText(tr(spec.brief))
        action.setToolTip(spec.full_tip)
        if spec.group:
            group = self._groups.setdefault(spec.group, QActionGroup(window))
            group.addAction(action)
        if spec.checkable and not spec.group:
            action.toggled.connect(handler)
        else:
            action.triggered.connect(lambda _checked=False: handler())
        self._by_name[spec.name] = action
        return action
