"""What the user prefers: theme, language, device, name and brush; kept from one session to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QInputDialog

from histoloop.annotations.onnx_segmenter import OnnxSegmenter
from histoloop.annotations.prompts import segment
from histoloop.gui.dialogs.segmenter_dialog import SegmenterDialog
from histoloop.gui.kit.key_presets import KEY_PRESETS, QUPATH
from histoloop.gui.kit.theme import THEMES, apply_theme
from histoloop.gui.kit.translation import SYSTEM
from histoloop.language import LANGUAGES, tr

if TYPE_CHECKING:
    from PySide6.QtWidgets import QSlider, QWidget

    from histoloop.gui.canvas.mask_pane import SplitView
    from histoloop.gui.canvas.tools.object_tool import ObjectTool
    from histoloop.gui.canvas.tools.pen_pressure import PenPressure
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.work.session import Session

DEVICES = ("auto", "cpu", "cuda")
LANGUAGE_CHOICES = (SYSTEM, *(language.code for language in LANGUAGES))


class Preferences(QObject):
    """Applies what is chosen at once and keeps it. `language_chosen` asks for the window in another language.

    `keys_chosen`: the actions have other keys.
    """

    language_chosen = Signal()
    keys_chosen = Signal()

    def __init__(
        self,
        *,
        parent: QWidget,
        settings: Settings,
        session: Session,
        split: SplitView,
        actions: Actions,
        brush: QSlider,
        pen: PenPressure,
        objects: ObjectTool,
    ) -> None:
        super().__init__(parent)
        self._parent, self._settings, self._session = parent, settings, session
        self._pen, self._objects = pen, objects
        self._split, self._actions, self._brush = split, actions, brush

    def restore(self) -> None:
        """Bring back what was chosen in earlier sessions."""
        settings, session, actions = self._settings, self._session, self._actions
        session.person = settings.person
        session.predict_added = settings.flag("predict_added", default=True)
        session.predict_exactly = settings.flag("predict_exactly", default=False)
        device = settings.text("device", "auto")
        session.device = device if device in DEVICES else "auto"
        language = settings.text("language", SYSTEM)
        actions.set_checked("predict_added", session.predict_added)
        actions.set_checked("predict_exactly", session.predict_exactly)
        actions[f"device_{session.device}"].setChecked(True)
        actions[f"language_{language if language in LANGUAGE_CHOICES else SYSTEM}"].setChecked(True)
        self._set_segmenter(settings.text("object_encoder"), settings.text("object_decoder"))
        actions["pen_pressure"].setChecked(settings.flag("pen_pressure", default=False))
        self._brush.setValue(round(settings.number("brush_px", 24)))
        self.set_keys(settings.text("keys", QUPATH))
        actions["learn_live"].setChecked(settings.flag("learn_live", default=True))
        self.set_theme(settings.text("theme", "system"))

    def keep(self) -> None:
        """Keep what is not kept as it is chosen."""
        self._settings.set("brush_px", self._brush.value())

    def set_theme(self, theme: str) -> None:
        """'system', 'light' or 'dark', from now on."""
        theme = theme if theme in THEMES else "system"
        self._settings.set("theme", theme)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        dark = apply_theme(application, theme)
        self._split.set_theme("dark" if dark else "light")
        self._actions.set_icons(dark=dark)
        self._actions[f"theme_{theme}"].setChecked(True)

    def set_language(self, code: str) -> None:
        """Speak a language, of LANGUAGE_CHOICES, from now on: the window is built anew for it."""
        self._settings.set("language", code)
        self.language_chosen.emit()

    def set_keys(self, preset: str) -> None:
        """Have the keys of another program, of `KEY_PRESETS`, from now on."""
        preset = preset if preset in KEY_PRESETS else QUPATH
        self._settings.set("keys", preset)
        self._actions.use_keys(preset)
        self._actions[f"keys_{preset}"].setChecked(True)
        self.keys_chosen.emit()

    @property
    def keys(self) -> str:
        """The preset of keys in use."""
        return next(preset for preset in KEY_PRESETS if self._actions[f"keys_{preset}"].isChecked())

    def set_device(self, device: str) -> None:
        """Where jobs compute from now on, of DEVICES."""
        self._session.device = device
        self._settings.set("device", device)

    def set_predict_added(self, on: bool) -> None:
        """Whether slides are predicted as soon as they are added."""
        self._session.predict_added = on
        self._settings.set("predict_added", on)

    def set_predict_exactly(self, on: bool) -> None:
        """Whether slides are predicted in single precision from now on, in place of half of it where that is faster."""
        self._session.predict_exactly = on
        self._settings.set("predict_exactly", on)

    def set_pen_pressure(self, on: bool) -> None:
        """Whether the pressure of a pen changes how broad the brush is."""
        self._pen.switch(on)
        self._settings.set("pen_pressure", on)

    def ask_for_segmenter(self) -> None:
        """Ask for the files of a model that finds objects."""
        settings = self._settings
        dialog = SegmenterDialog(
            self._parent, encoder=settings.text("object_encoder"), decoder=settings.text("object_decoder")
        )
        dialog.accepted.connect(lambda: self.set_segmenter(*dialog.files()))
        dialog.open()

    def set_segmenter(self, encoder: str, decoder: str) -> None:
        """Find objects with these ONNX files from now on; without them in the way that is built in."""
        self._settings.set("object_encoder", encoder)
        self._settings.set("object_decoder", decoder)
        self._set_segmenter(encoder, decoder)

    def _set_segmenter(self, encoder: str, decoder: str) -> None:
        has_files = encoder and decoder
        self._objects.segmenter = OnnxSegmenter(Path(encoder), Path(decoder)) if has_files else segment

    def set_learn_live(self, on: bool) -> None:
        """Whether the program learns while one paints."""
        self._session.live.switch(on)
        self._settings.set("learn_live", on)

    def ask_for_person(self) -> None:
        """Ask for the name that annotations are kept with."""
        name, given = QInputDialog.getText(
            self._parent, tr("Your name"), tr("Annotations are saved with this name"), text=self._session.person
        )
        if given and name.strip():
            self._session.person = name.strip()
            if self._session.project is None:
                self._settings.set("person", name.strip())
            else:
                self._settings.set_person_of(self._session.project.folder, name.strip())
