"""Menus, shortcuts and toolbar as one table; what an action does is looked up by its name in the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from histoloop.gui.theme import icon

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

    @property
    def plain(self) -> str:
        """The text without the marks of a menu."""
        return self.text.replace("&", "").rstrip("…")


def _spec(name: str, text: str, shortcut: str = "", *, needs: str = "", **rest: object) -> ActionSpec:
    return ActionSpec(name, text, shortcut, needs=frozenset(needs.split()), **rest)  # type: ignore[arg-type]


MENUS: Mapping[str, tuple[ActionSpec | None, ...]] = {
    "&File": (
        _spec("new_project", "&New project…", "Ctrl+N"),
        _spec("open_project", "&Open project…", "Ctrl+O", icon="folder"),
        _spec("open_demo", "Open the &demo project"),
        SEPARATOR,
        _spec("add_slides", "&Add slides…", "Ctrl+I", needs="project", icon="add"),
        _spec("add_folder", "Add a &folder of slides…", "Ctrl+Shift+I", needs="project"),
        SEPARATOR,
        _spec("export", "&Export masks and tables…", "Ctrl+E", needs="project", icon="export"),
        _spec("close_project", "&Close project", "Ctrl+W", needs="project"),
        SEPARATOR,
        _spec("quit", "&Quit", "Ctrl+Q"),
    ),
    "&Slides": (
        _spec("predict", "&Predict all slides", "Ctrl+P", needs="project slides", icon="predict",
              tip="Find glands and tumour on every slide that is not predicted yet"),
        _spec("predict_added", "Predict new slides at once", checkable=True),
        SEPARATOR,
        _spec("next_slide_label", "Next &label of the slide", "Ctrl+L", needs="slide",
              tip="Say what the slide is as a whole: the label after the one said"),
        SEPARATOR,
        _spec("set_mpp", "Set &resolution…", needs="slide", tip="Say how many micrometres a pixel is wide"),
        _spec("find_moved", "&Find moved slides…", needs="project slides"),
        _spec("remove_slides", "Re&move from the project", needs="slide"),
    ),
    "&View": (
        _spec("fit", "&Whole slide", "Ctrl+0", needs="slide", icon="fit"),
        _spec("zoom_in", "Zoom &in", "+", needs="slide", icon="zoom-in"),
        _spec("zoom_out", "Zoom &out", "-", needs="slide", icon="zoom-out"),
        _spec("full_resolution", "&Full resolution", "Ctrl+1", needs="slide"),
        SEPARATOR,
        _spec("show_masks", "&Masks", "M", checkable=True, icon="mask"),
        _spec("show_outlines", "&Outlines only", "O", checkable=True, icon="outline"),
        _spec("show_heatmap", "&Heatmap", "H", checkable=True, icon="heat"),
        _spec("show_questions", "&Questions on the slide", "Q", checkable=True),
        SEPARATOR,
        _spec("add_model", "&Add a model…", needs="project", icon="add",
              tip="Bring another model into the project, to draw masks with"),
        _spec("next_drawing", "&Next way to draw", "D", needs="slide",
              tip="Draw the masks by the next of the ways that the model offers"),
        _spec("compare", "&Compare side by side", "Ctrl+2", needs="slide", icon="compare", checkable=True,
              tip="Two models or two ways to draw, at the same place of the slide"),
        SEPARATOR,
        _spec("theme_system", "Theme of the &desktop", checkable=True, group="theme"),
        _spec("theme_light", "&Light theme", checkable=True, group="theme"),
        _spec("theme_dark", "&Dark theme", checkable=True, group="theme"),
    ),
    "&Loop": (
        _spec("ask", "&Ask me", "Ctrl+K", needs="project slides", icon="ask",
              tip="Choose the regions whose annotation helps most"),
        _spec("next_question", "&Next question", "N", needs="project", icon="next"),
        _spec("annotate_visible", "Annotate the &visible region", "R", needs="slide",
              tip="Paint where you look, without being asked"),
        SEPARATOR,
        _spec("retrain", "&Retrain", "Ctrl+R", needs="project annotated", icon="retrain",
              tip="Learn from all annotations, in the background"),
        _spec("keep", "&Keep the new model", "Ctrl+Shift+K", needs="candidate", icon="check"),
        _spec("roll_back", "Roll &back to the old model", "Ctrl+Shift+B", needs="candidate", icon="undo"),
        SEPARATOR,
        _spec("cancel_job", "&Stop what runs", "Ctrl+.", needs="work", icon="close"),
        SEPARATOR,
        _spec("device_auto", "Compute where it is &fastest", checkable=True, group="device"),
        _spec("device_cpu", "Compute on the &processor", checkable=True, group="device"),
        _spec("device_cuda", "Compute on the &GPU", checkable=True, group="device"),
    ),
    "&Annotate": (
        _spec("tool_pan", "&Move", "V", needs="painting", icon="pan", checkable=True, group="tool",
              tip="Move the slide (or hold Space)"),
        _spec("tool_brush", "&Brush", "B", needs="painting", icon="brush", checkable=True, group="tool"),
        _spec("tool_eraser", "&Eraser", "E", needs="painting", icon="eraser", checkable=True, group="tool"),
        _spec("tool_polygon", "&Polygon", "P", needs="painting", icon="polygon", checkable=True, group="tool",
              tip="Click the corners, double-click to close; Esc drops it"),
        _spec("tool_fill", "&Fill", "F", needs="painting", icon="fill", checkable=True, group="tool",
              tip="Give a connected area the chosen class"),
        SEPARATOR,
        _spec("brush_smaller", "&Smaller brush", "[", needs="painting"),
        _spec("brush_larger", "&Larger brush", "]", needs="painting"),
        _spec("next_class", "Next &class", "C", needs="painting"),
        SEPARATOR,
        _spec("next_label", "Next la&bel of the region", "L", needs="painting",
              tip="Say what the region is as a whole"),
        _spec("size_more", "S&ize: 5 % more", ".", needs="painting",
              tip="Say how much of the region is tumour or gland"),
        _spec("size_less", "Size: 5 % l&ess", ",", needs="painting"),
        _spec("size_from_mask", "Size: as pain&ted", "Ctrl+M", needs="painting",
              tip="Take the share of the region that is painted as the size"),
        SEPARATOR,
        _spec("undo", "&Undo", "Ctrl+Z", needs="undo", icon="undo",
              tip="Take back a stroke, a label or a size"),
        _spec("redo", "&Redo", "Ctrl+Shift+Z", needs="redo", icon="redo"),
        _spec("clear_region", "C&lear the region", "Ctrl+Backspace", needs="painting"),
        SEPARATOR,
        _spec("finish", "&Done", "Return", needs="painting", icon="check", tip="Save the region, go to the next one"),
        _spec("save_said", "Save label and si&ze", "Shift+Return", needs="painting said",
              tip="Save what you said of the region without a mask: what is painted is not used"),
        _spec("accept", "&Accept as it is", "A", needs="painting", tip="The model's mask is right: save it unchanged"),
        _spec("skip", "S&kip", "S", needs="question", icon="skip", tip="Leave this one out; it is not asked again"),
        _spec("cannot_tell", "Cannot &tell", "X", needs="question", icon="unknown",
              tip="Nobody could say from this picture"),
        _spec("leave", "Lea&ve for later", "Esc", needs="painting", tip="What you painted stays as a draft"),
        SEPARATOR,
        _spec("person", "&Your name…"),
    ),
    "&Help": (
        _spec("open_guide", "&Guide", tip="Tutorial, how-to pages and reference, in the browser; needs no network"),
        _spec("first_steps", "&First steps…"),
        _spec("five_steps", "The loop in &five steps"),
        SEPARATOR,
        _spec("shortcuts", "&Keyboard shortcuts", "F1"),
        _spec("doctor", "&Check this machine"),
        _spec("model_card", "The model and its &figures", needs="project"),
        _spec("open_log", "Open &log folder"),
        SEPARATOR,
        _spec("new_version", "Check for a &new version…", tip="Opens the web page of releases; nothing else is sent"),
        _spec("about", "&About HistoLoop…"),
    ),
}  # fmt: skip
LABELS_BEFORE = "next_slide_label"
SUBMENUS = {
    "open_demo": ("recent", "Open &recent"),
    "add_model": ("model", "Mo&del for the masks"),
    "next_drawing": ("drawing", "Masks drawn &by"),
}
"""Before which action the window fills in a menu of its own: its name and title."""


def specs() -> list[ActionSpec]:
    """All actions in the order of the menus."""
    return [spec for menu in MENUS.values() for spec in menu if spec is not None]


class Actions:
    """The actions of a window, by name."""

    def __init__(self, window: QMainWindow, handlers: Mapping[str, Callable[..., object]]) -> None:
        self._by_name: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self.label_menu = QMenu("&This slide is", window)
        self.submenus = {name: QMenu(title, window) for name, title in SUBMENUS.values()}
        for title, entries in MENUS.items():
            menu = window.menuBar().addMenu(title)
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
        action = QAction(spec.text, window, checkable=spec.checkable)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
        tip = spec.tip or spec.plain
        action.setToolTip(f"{tip} ({action.shortcut().toString()})" if spec.shortcut else tip)
        if spec.group:
            group = self._groups.setdefault(spec.group, QActionGroup(window))
            group.addAction(action)
        if spec.checkable and not spec.group:
            action.toggled.connect(handler)
        else:
            action.triggered.connect(lambda _checked=False: handler())
        self._by_name[spec.name] = action
        return action
