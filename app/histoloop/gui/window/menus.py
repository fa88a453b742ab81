"""The menus as one table: a row has an action's name, its text, what it does, and how it is reached and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.gui.canvas.tools.measuring import Shape
from histoloop.gui.kit.actions import SEPARATOR, ActionSpec, SubmenuSpec, actions_in
from histoloop.gui.kit.key_presets import NAPARI, QUPATH
from histoloop.gui.kit.translation import SYSTEM
from histoloop.gui.panels.live_switch import LEARN_LIVE_TIP
from histoloop.gui.work.crossing import cross_validate
from histoloop.language import LANGUAGES, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histoloop.gui.kit.actions import Row
    from histoloop.gui.window.targets import Targets

ZOOM_STEP = 1.5


def _row(
    name: str,
    text: str,
    does: Callable[[Targets], object],
    *,
    keys: str = "",
    needs: str = "",
    icon: str = "",
    group: str = "",
    brief: str = "",
    tip: str = "",
) -> ActionSpec[Targets]:
    """An action; `needs` are words for what must be there.

    They are project, slides, slide (on the screen), resolution (of that slide is known), brightfield (that slide is),
    chosen (a slide in the list), canvases (one with a slide, or two), painting, strokes (alone count), question (in
    sight), candidate, crossable (it may be cross-validated), work; classes_changed, since the project was made;
    trained, the model in use; seen, its masks, which no blinded reader does; writable, where the project can be
    changed.
    """
    return ActionSpec(name, text, keys, does, None, icon, frozenset(needs.split()), group, tip, brief)


def _switch(
    name: str,
    text: str,
    switches: Callable[[Targets, bool], object],
    *,
    keys: str = "",
    needs: str = "",
    icon: str = "",
    brief: str = "",
    tip: str = "",
) -> ActionSpec[Targets]:
    """An action that is on or off."""
    return ActionSpec(name, text, keys, None, switches, icon, frozenset(needs.split()), "", tip, brief)


def _speak(code: str) -> Callable[[Targets], object]:
    return lambda on: on.preferences.set_language(code)


def _use_keys(preset: str) -> Callable[[Targets], object]:
    return lambda on: on.preferences.set_keys(preset)


def _magnify(power: int) -> Callable[[Targets], object]:
    return lambda on: on.viewer.magnify(power)


def _turn(degrees: int) -> Callable[[Targets], object]:
    return lambda on: on.viewer.turn_by(degrees) if degrees else on.viewer.turn_to(0)


def _measure(shape: Shape) -> Callable[[Targets], object]:
    return lambda on: on.looks.measure(shape)


MAGNIFICATIONS = (
    (1, mark("Magnification &1x"), "F5"),
    (5, mark("Magnification &5x"), "F6"),
    (10, mark("Magnification 1&0x"), "F7"),
    (20, mark("Magnification &20x"), "F8"),
    (40, mark("Magnification &40x"), "F9"),
)

TURNS = (
    ("turn_left", mark("90° to the &left"), -90, "Ctrl+Left"),
    ("turn_right", mark("90° to the &right"), 90, "Ctrl+Right"),
    ("turn_left_slightly", mark("10° to the l&eft"), -10, "Ctrl+Shift+Left"),
    ("turn_right_slightly", mark("10° to the r&ight"), 10, "Ctrl+Shift+Right"),
    ("upright", mark("&Upright"), 0, "Ctrl+U"),
)
"""How far the slide is turned on the screen; 0: not any more."""

KEY_CHOICES = ((QUPATH, mark("Keys of &QuPath")), (NAPARI, mark("Keys of n&apari")))

MEASURES = (
    (Shape.LINE, mark("Measure a dis&tance"), "Shift+L", mark("Drag from one end to the other; Esc removes it")),
    (Shape.POLYGON, mark("Measure an area b&y its corners"), "Shift+P",
     mark("Click the corners, double-click the last one; Esc removes it")),
    (Shape.ELLIPSE, mark("Measure an e&llipse"), "Shift+O", mark("Drag from corner to corner; Esc removes it")),
)  # fmt: skip

MENUS: Mapping[str, tuple[Row[Targets], ...]] = {
    mark("&File"): (
        _row("new_project", mark("&New project…"), lambda on: on.projects.new(), keys="Ctrl+N"),
        _row("open_project", mark("&Open project…"), lambda on: on.projects.open(), keys="Ctrl+O", icon="folder"),
        SubmenuSpec("recent", mark("Open &recent")),
        _row("open_demo", mark("Open the &demo project"), lambda on: on.projects.open_demo()),
        SEPARATOR,
        _row("add_slides", mark("&Add slides…"), lambda on: on.projects.add_slides(), keys="Ctrl+I",
             needs="project writable",
             icon="add"),
        _row("add_folder", mark("Add a &folder of slides…"), lambda on: on.projects.add_folder(), keys="Ctrl+Shift+I",
             needs="project writable"),
        SEPARATOR,
        _row("import_annotations", mark("&Import annotations…"), lambda on: on.imports.ask(), keys="Ctrl+Shift+O",
             needs="project slides writable",
             tip=mark("Outlines from QuPath, ASAP and ImageScope, and mask images, with a preview on the slide")),
        _row("export", mark("&Export masks and tables…"), lambda on: on.projects.export(), keys="Ctrl+E",
             needs="project", icon="export"),
        _row("export_choices", mark("Export &with choices…"), lambda on: on.projects.export_choices(),
             keys="Ctrl+Shift+E", needs="project slides",
             tip=mark("Some slides, classes and files alone, and what a person or the model drew apart")),
        _row("write_pages", mark("Re&port…"), lambda on: on.projects.write_pages(), keys="Ctrl+Shift+R",
             needs="project slides",
             tip=mark("A page about each slide and the project, to read, print or file: HTML or PDF")),
        _row("close_project", mark("&Close project"), lambda on: on.session.close_project(), keys="Ctrl+W",
             needs="project"),
        SEPARATOR,
        _row("quit", mark("&Quit"), lambda on: on.quit(), keys="Ctrl+Q"),
    ),
    mark("&Project"): (
        _row("classes", mark("&Classes…"), lambda on: on.classes.open(), keys="Ctrl+Shift+C", needs="project writable",
             tip=mark("What to find: add, rename, merge or remove classes, and choose their colours")),
        _row("undo_classes", mark("Undo &the last change of classes"), lambda on: on.classes.undo(),
             needs="project writable classes_changed"),
    ),
    mark("&Slides"): (
        _row("predict", mark("&Predict all slides"), lambda on: on.session.predict(), keys="Ctrl+P",
             needs="project slides writable trained", icon="predict", brief=mark("Predict"),
             tip=mark("Find the classes of the project on every slide that has not been predicted yet")),
        _switch("predict_added", mark("Predict new &slides automatically"),
                lambda on, checked: on.preferences.set_predict_added(checked)),
        _switch("predict_exactly", mark("Predict &exactly"),
                lambda on, checked: on.preferences.set_predict_exactly(checked),
                tip=mark("Compute in single precision: slower. Off: in half precision where this machine is faster so, "
                         "which moves a few pixels in a thousand at the edges of masks")),
        SEPARATOR,
        _row("next_slide", mark("&Next slide in the list"), lambda on: on.slides.step(1), keys="Ctrl+PgDown",
             needs="slides"),
        _row("previous_slide", mark("Pre&vious slide in the list"), lambda on: on.slides.step(-1), keys="Ctrl+PgUp",
             needs="slides"),
        SEPARATOR,
        SubmenuSpec("label", mark("Label of &this slide")),
        _row("next_slide_label", mark("Next &label of the slide"), lambda on: on.slides.next_label(), keys="Ctrl+L",
             needs="chosen writable", tip=mark("Give the slide the next label")),
        SEPARATOR,
        _row("set_mpp", mark("Set &resolution…"), lambda on: on.slides.ask_for_mpp(), needs="chosen writable",
             tip=mark("Set how many micrometres wide a pixel is")),
        _row("show_glass", mark("Label &and macro pictures…"), lambda on: on.looks.show_glass(), needs="slide",
             tip=mark("Pictures of the label and the whole glass, which may show a patient's name: asks first")),
        _row("find_moved", mark("&Find moved slides…"), lambda on: on.projects.find_moved(),
             needs="project slides writable"),
        _row("remove_slides", mark("Re&move from the project"), lambda on: on.slides.remove(), needs="chosen writable"),
    ),
    mark("&View"): (
        _row("fit", mark("&Whole slide"), lambda on: on.viewer.fit(), keys="Ctrl+0", needs="slide", icon="fit"),
        _row("zoom_in", mark("Zoom &in"), lambda on: on.viewer.zoom_by(ZOOM_STEP), keys="+", needs="slide",
             icon="zoom-in"),
        _row("zoom_out", mark("Zoom o&ut"), lambda on: on.viewer.zoom_by(1 / ZOOM_STEP), keys="-", needs="slide",
             icon="zoom-out"),
        _row("full_resolution", mark("&Full resolution"), lambda on: on.viewer.full_resolution(), keys="Ctrl+1",
             needs="slide"),
        *(_row(f"magnify_{power}", text, _magnify(power), keys=keys, needs="slide resolution") for power, text, keys in
          MAGNIFICATIONS),
        SubmenuSpec("turn", mark("Rotate the &view"), tuple(
            _row(name, text, _turn(degrees), keys=keys, needs="slide") for name, text, degrees, keys in TURNS
        )),
        SEPARATOR,
        _switch("show_masks", mark("&Masks"), lambda on, checked: on.overlay.masks.setChecked(checked), keys="D",
                icon="mask"),
        _switch("show_outlines", mark("&Outlines only"), lambda on, checked: on.overlay.outlines.setChecked(checked),
                keys="F", icon="outline", brief=mark("Outlines")),
        _switch("show_heatmap", mark("&Heatmap"), lambda on, checked: on.overlay.heatmap.setChecked(checked), keys="H",
                icon="heat"),
        _switch("show_questions", mark("&Questions on the slide"), lambda on, _checked: on.questions.show_boxes(),
                keys="Q"),
        _switch("correct_colours", mark("Colours by the slide's p&rofile"),
                lambda on, checked: on.overlay.correct_colours(checked), needs="profile",
                tip=mark("Show the colours as the scanner intended. Models always read the pixels as they are.")),
        SEPARATOR,
        _row("appearance", mark("&Brightness and stains…"), lambda on: on.looks.open_appearance(), keys="Shift+C",
             needs="slide", tip=mark("Change the picture on the screen. Models always read the pixels as they are.")),
        _row("next_stain", mark("Next &stain alone"), lambda on: on.looks.next_stain(), keys="Shift+X",
             needs="slide brightfield",
             tip=mark("Show haematoxylin alone, then eosin, then DAB, then all of them")),
        _row("reset_appearance", mark("&Picture as the slide is"), lambda on: on.looks.reset_appearance(),
             needs="slide", tip=mark("Undo all changes of brightness, contrast, gamma and stains")),
        SEPARATOR,
        *(_row(f"measure_{shape}", text, _measure(shape), keys=keys, needs="slide", tip=tip)
          for shape, text, keys, tip in MEASURES),
        SEPARATOR,
        SubmenuSpec("model", mark("Mo&del for the masks")),
        _row("add_model", mark("&Add a model…"), lambda on: on.projects.add_model(), needs="project writable",
             icon="add",
             tip=mark("Bring another model into the project to predict masks")),
        SubmenuSpec("method", mark("Localisation m&ethod")),
        _row("next_method", mark("&Next localisation method"), lambda on: on.source.next_method(), keys="Shift+D",
             needs="slide", tip=mark("Show the masks by the next localisation method of the model")),
        _switch("compare", mark("&Compare side by side"), lambda on, checked: on.masks.compare(checked), keys="Ctrl+2",
                needs="canvases", icon="compare", brief=mark("Compare"),
                tip=mark("Two models or two localisation methods, at the same position on the slide")),
    ),
    mark("&Loop"): (
        _row("ask", mark("&Ask me"), lambda on: on.queue.ask_now(), keys="Ctrl+K", needs="project slides writable",
             icon="ask",
             tip=mark("Choose the regions whose annotation helps most")),
        _row("next_question", mark("&Next question"), lambda on: on.questions.open_next(), keys="N",
             needs="project writable",
             icon="next"),
        _row("annotate_visible", mark("Annotate the &visible region"), lambda on: on.questions.annotate_visible(),
             keys="V", needs="slide writable", tip=mark("Paint the part of the slide in view, without being asked")),
        _switch("annotate_here", mark("Annotate &here…"), lambda on, placing: on.questions.annotate_here(placing),
                keys="R", needs="slide writable", icon="here", brief=mark("Annotate here"),
                tip=mark("Drag a rectangle on the slide to paint in it, or click: anywhere, without being asked")),
        _switch("annotate_line", mark("Annotate &inside a line…"),
                lambda on, placing: on.questions.annotate_line(placing), keys="U", needs="slide writable", icon="lasso",
                tip=mark("Draw a line around a place: only what lies inside it is annotated")),
        _row("all_annotations", mark("All anno&tations"), lambda on: on.show_annotations(), keys="Ctrl+J",
             needs="project", tip=mark("List all annotations: go to one, reopen it, delete it")),
        SEPARATOR,
        _row("read_next", mark("Read the next region blin&ded"), lambda on: on.readers.read_next(), keys="Shift+N",
             needs="project writable",
             tip=mark("Paint a region that somebody else painted, without sight of that and of any mask")),
        _switch("blinded", mark("Blinded r&eading"), lambda on, checked: on.readers.set_blinded(checked),
                tip=mark("Hide all masks and what others painted; off: you see them again")),
        _row("agreement", mark("Agree&ment of two readers…"), lambda on: on.readers.show_agreement(),
             keys="Ctrl+Shift+G", needs="project",
             tip=mark("Dice and kappa of regions that two readers painted, and who of them counts")),
        _row("next_review", mark("Next region t&o review"), lambda on: on.readers.walk(1), keys="Ctrl+Shift+PgDown",
             needs="project", tip=mark("Go to a region where two readers differ, or that somebody else painted alone")),
        _row("previous_review", mark("&Previous region to review"), lambda on: on.readers.walk(-1),
             keys="Ctrl+Shift+PgUp", needs="project"),
        SEPARATOR,
        _row("retrain", mark("&Retrain"), lambda on: on.session.retrain(), keys="Ctrl+R",
             needs="project annotated writable",
             icon="retrain", tip=mark("Train on all annotations, in the background")),
        _switch("learn_live", mark("&Learn while I paint"), lambda on, checked: on.preferences.set_learn_live(checked),
                tip=LEARN_LIVE_TIP),
        _row("cross_validate", mark("Measure by &cross-validation"), lambda on: cross_validate(on.session),
             needs="candidate writable crossable",
             tip=mark("Measure on all painted regions, each in turn left out; takes some minutes, in the background")),
        _row("keep", mark("&Keep the new model"), lambda on: on.session.keep(), keys="Ctrl+Shift+K",
             needs="candidate writable",
             icon="check"),
        _row("roll_back", mark("Roll &back to the old model"), lambda on: on.session.roll_back(), keys="Ctrl+Shift+B",
             needs="candidate writable", icon="undo"),
        SEPARATOR,
        _row("cancel_job", mark("&Stop the current work"), lambda on: on.jobs.cancel(), keys="Ctrl+.", needs="work",
             icon="close"),
    ),
    mark("Pa&int"): (
        _row("tool_pan", mark("&Move"), lambda on: on.viewer.set_tool("pan"), keys="M", needs="painting", icon="pan",
             group="tool", tip=mark("Move the slide (or hold Space)")),
        _row("tool_brush", mark("&Brush"), lambda on: on.viewer.set_tool("brush"), keys="B", needs="painting",
             icon="brush", group="tool"),
        _row("tool_eraser", mark("&Eraser"), lambda on: on.viewer.set_tool("eraser"), keys="E", needs="painting",
             icon="eraser", group="tool"),
        _row("tool_polygon", mark("&Polygon"), lambda on: on.viewer.set_tool("polygon"), keys="P", needs="painting",
             icon="polygon", group="tool", tip=mark("Click the corners, double-click to close; Esc cancels")),
        _row("tool_fill", mark("&Fill"), lambda on: on.viewer.set_tool("fill"), keys="I", needs="painting", icon="fill",
             group="tool", tip=mark("Fill a connected area with the chosen class")),
        _row("tool_wand", mark("W&and"), lambda on: on.viewer.set_tool("wand"), keys="W", needs="painting", icon="wand",
             group="tool",
             tip=mark("Press where the tissue looks as you mean it, drag away to take more of what looks alike")),
        _row("tool_smart", mark("Find an &object"), lambda on: on.viewer.set_tool("smart"), keys="G", needs="painting",
             icon="smart", group="tool",
             tip=mark("Drag a box around a gland or nest, or click its middle: its border is found")),
        _row("tool_outline", mark("E&dit an outline"), lambda on: on.viewer.set_tool("outline"), keys="Y",
             needs="painting", icon="outline-points", group="tool",
             tip=mark("Click an area, then drag the points of its outline, add or delete some")),
        _row("tool_copy", mark("Copy &the prediction"), lambda on: on.viewer.set_tool("copy"), keys="J",
             needs="painting trained seen", icon="lasso", group="tool",
             tip=mark("Draw around a place: inside, the mask becomes what the model predicts")),
        SEPARATOR,
        _row("brush_smaller", mark("Smalle&r brush"), lambda on: on.annotation.brush_size.step(larger=False), keys="[",
             needs="painting"),
        _row("brush_larger", mark("&Larger brush"), lambda on: on.annotation.brush_size.step(larger=True), keys="]",
             needs="painting"),
        _switch("pen_pressure", mark("W&idth of the brush by pen pressure"),
                lambda on, pressed: on.preferences.set_pen_pressure(pressed),
                tip=mark("With a pen on a tablet: at full pressure the brush has its width, lightly pressed less")),
        SEPARATOR,
        _row("fill_holes", mark("Fill &holes"), lambda on: on.painting.deeds.fill_holes(), keys="Shift+F",
             needs="painting", icon="fill-holes",
             tip=mark("Give the chosen class what it encloses; other classes in it stay")),
        _row("smooth_class", mark("&Smooth"), lambda on: on.painting.deeds.smooth(), keys="Shift+S",
             needs="painting", icon="smooth",
             tip=mark("Round the borders of the chosen class, by about 2 µm")),
        _row("grow_class", mark("&Grow"), lambda on: on.painting.deeds.grow(), keys="Ctrl+]",
             needs="painting", icon="grow",
             tip=mark("Widen the chosen class by 1 µm, where nothing else is")),
        _row("shrink_class", mark("Shri&nk"), lambda on: on.painting.deeds.shrink(), keys="Ctrl+[",
             needs="painting", icon="shrink",
             tip=mark("Narrow the chosen class by 1 µm")),
        _switch("lock_class", mark("Loc&k the class"), lambda on, locked: on.painting.deeds.lock(locked), keys="K",
                needs="painting", icon="lock",
                tip=mark("Nothing overpaints, erases or changes the chosen class while it is locked")),
        SEPARATOR,
        SubmenuSpec("paint_class", mark("Paint &with")),
        _row("next_class", mark("Next &class"), lambda on: on.annotation.next_class(), keys="C", needs="painting"),
        _row("paint_background", mark("Paint backgro&und"),
             lambda on: on.annotation.choose_class(PAINTED_BACKGROUND), keys="0", needs="painting strokes",
             tip=mark("Paint what belongs to no class, where only strokes count")),
        _switch("strokes_count", mark("Onl&y my strokes count"), lambda on, alone: on.painting.count_strokes(alone),
                keys="T", needs="painting",
                tip=mark("Unpainted areas of this region are ignored; off: the whole region is annotated")),
    ),
    mark("&Annotate"): (
        _row("next_label", mark("Next label of the re&gion"), lambda on: on.annotation.next_label(), keys="L",
             needs="painting", tip=mark("Label the region as a whole")),
        _row("size_more", mark("S&ize: 5% more"), lambda on: on.annotation.size_picker.step(more=True), keys=".",
             needs="painting", tip=mark("Set how much of the region belongs to one of the classes")),
        _row("size_less", mark("Si&ze: 5% less"), lambda on: on.annotation.size_picker.step(more=False), keys=",",
             needs="painting"),
        _row("size_from_mask", mark("Size: as pain&ted"), lambda on: on.annotation.size_picker.take_from_mask(),
             keys="Ctrl+M", needs="painting", tip=mark("Use the painted share of the region as its size")),
        SEPARATOR,
        _row("undo", mark("&Undo"), lambda on: on.history().undo(), keys="Ctrl+Z", needs="undo", icon="undo",
             tip=mark("Undo a stroke, a label, a size, or what was done with a region or question")),
        _row("redo", mark("&Redo"), lambda on: on.history().redo(), keys="Ctrl+Shift+Z", needs="redo", icon="redo"),
        _row("clear_region", mark("Clear t&he region"), lambda on: on.painting.clear(), keys="Ctrl+Backspace",
             needs="painting"),
        SEPARATOR,
        _row("finish", mark("&Done"), lambda on: on.painting.finish(), keys="Return", needs="painting", icon="check",
             tip=mark("Save the region, go to the next one")),
        _row("save_without_mask", mark("Save label a&nd size"), lambda on: on.painting.finish(with_mask=False),
             keys="Shift+Return", needs="painting assessed",
             tip=mark("Save the label and size of the region without a mask: what is painted is not used")),
        _row("accept", mark("&Accept as it is"), lambda on: on.painting.accept(), keys="A",
             needs="painting trained seen",
             tip=mark("The model's mask is right: save it unchanged")),
        _row("skip", mark("S&kip"), lambda on: on.questions.skip(), keys="S", needs="question writable", icon="skip",
             tip=mark("Leave this one out; it will not be asked again")),
        _row("cannot_tell", mark("Cann&ot tell"), lambda on: on.questions.cannot_tell(), keys="X",
             needs="question writable",
             icon="unknown", tip=mark("Nobody could tell from this image")),
        _row("leave", mark("Lea&ve for later"), lambda on: on.session.annotating.leave(), keys="Esc", needs="painting",
             tip=mark("What you painted stays as a draft")),
    ),
    mark("Se&ttings"): (
        _row("segmenter", mark("&Model that finds objects…"), lambda on: on.preferences.ask_for_segmenter(),
             tip=mark("A Segment Anything model from two files on this computer, for Find an object")),
        _row("person", mark("&Your name…"), lambda on: on.preferences.ask_for_person()),
        SEPARATOR,
        _row("theme_system", mark("Desk&top theme"), lambda on: on.preferences.set_theme("system"),
             group="theme"),
        _row("theme_light", mark("&Light theme"), lambda on: on.preferences.set_theme("light"), group="theme"),
        _row("theme_dark", mark("Dar&k theme"), lambda on: on.preferences.set_theme("dark"), group="theme"),
        SEPARATOR,
        _row("language_system", mark("Desktop lan&guage"), lambda on: on.preferences.set_language(SYSTEM),
             group="language"),
        *(_row(f"language_{each.code}", f"&{each.name}", _speak(each.code), group="language") for each in LANGUAGES),
        SEPARATOR,
        *(_row(f"keys_{preset}", text, _use_keys(preset), group="keys") for preset, text in KEY_CHOICES),
        SEPARATOR,
        _row("device_auto", mark("&Compute on the fastest device"), lambda on: on.preferences.set_device("auto"),
             group="device"),
        _row("device_cpu", mark("Compute on the &processor"), lambda on: on.preferences.set_device("cpu"),
             group="device"),
        _row("device_cuda", mark("Compute &on the GPU"), lambda on: on.preferences.set_device("cuda"), group="device"),
    ),
    mark("&Help"): (
        _row("open_guide", mark("&Guide"), lambda on: on.help.open_guide(),
             tip=mark("Tutorial, how-to pages and reference, in the browser; needs no network")),
        _row("first_steps", mark("&First steps…"), lambda on: on.help.first_steps()),
        _row("five_steps", mark("The loop in fi&ve steps"), lambda on: on.help.five_steps()),
        SEPARATOR,
        _row("shortcuts", mark("&Keyboard shortcuts"), lambda on: on.help.shortcuts(), keys="F1"),
        _row("doctor", mark("&Check this computer"), lambda on: on.help.examine_machine()),
        _row("model_card", mark("The &model and its figures"), lambda on: on.help.model_card(), needs="project"),
        _row("save_report", mark("Save a &report for support…"), lambda on: on.help.save_report(),
             tip=mark("Versions, this computer and the log in one text file; no images, no names, no paths")),
        _row("open_log", mark("Open &log folder"), lambda on: on.help.open_log()),
        SEPARATOR,
        _row("new_version", mark("Check for a &new version…"), lambda on: on.help.new_version(),
             tip=mark("Opens the web page of releases; nothing else is sent")),
        _row("about", mark("&About HistoLoop…"), lambda on: on.help.about()),
    ),
}  # fmt: skip


def specs() -> list[ActionSpec[Targets]]:
    """All actions in the order of the menus."""
    return [row for rows in MENUS.values() for row in actions_in(rows)]
