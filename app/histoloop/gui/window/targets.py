"""What the rows of the menus act on: the parts of a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.gui.canvas.mask_source import MaskSource
from histoloop.gui.canvas.viewer import SlideViewer
from histoloop.gui.panels.annotation_panel import AnnotationPanel
from histoloop.gui.panels.overlay_panel import OverlayPanel
from histoloop.gui.panels.queue_panel import QueuePanel
from histoloop.gui.window.class_control import ClassControl
from histoloop.gui.window.help_commands import HelpCommands
from histoloop.gui.window.history import History
from histoloop.gui.window.import_control import ImportControl
from histoloop.gui.window.job_control import JobControl
from histoloop.gui.window.look_control import LookControl
from histoloop.gui.window.mask_control import MaskControl
from histoloop.gui.window.paint_control import PaintControl
from histoloop.gui.window.preferences import Preferences
from histoloop.gui.window.project_commands import ProjectCommands
from histoloop.gui.window.question_control import QuestionControl
from histoloop.gui.window.readers.second_reader import SecondReader
from histoloop.gui.window.slide_control import SlideControl
from histoloop.gui.work.session import Session

if TYPE_CHECKING:
    from histoloop.gui.canvas.rendering import SlideScene


@dataclass(frozen=True, slots=True)
class Targets:
    """The parts, by name. `history` is what 'undo' takes back now."""

    session: Session
    projects: ProjectCommands
    classes: ClassControl
    imports: ImportControl
    slides: SlideControl
    questions: QuestionControl
    painting: PaintControl
    masks: MaskControl
    looks: LookControl
    jobs: JobControl
    preferences: Preferences
    help: HelpCommands
    readers: SecondReader
    viewer: SlideViewer
    source: MaskSource
    overlay: OverlayPanel
    queue: QueuePanel
    annotation: AnnotationPanel
    history: Callable[[], History | PaintControl]
    show_annotations: Callable[[], object]
    quit: Callable[[], object]


def known_of(scene: SlideScene | None) -> set[str]:
    """What is known of the slide on the screen (None: no slide), in the words that rows of the menus need."""
    if scene is None:
        return set()
    known = {
        "profile": scene.profile is not None,
        "resolution": scene.slide.mpp is not None,
        "brightfield": scene.slide.is_brightfield,
    }
    return {word for word, is_so in known.items() if is_so}
