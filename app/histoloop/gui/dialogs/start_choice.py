"""Choose what a new project begins with: a model, or an encoder that nobody has trained yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.encoders import known_encoders
from histoloop.errors import HistoLoopError
from histoloop.gui.kit.widgets import NarrowBox, button, label, row, set_role, visible_name
from histoloop.language import tr
from histoloop.store.cards import Card, load_card
from histoloop.store.encoders import added_encoders
from histoloop.store.shipped import shipped_cards, trained_models
from histoloop.workflows.starts import Start, not_drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.annotations.records import ClassScheme

NOTE_LINES = 3


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a project can begin with: a name or path for `create_project`, and what is shown of it.

    `card` is that of a model that draws its classes; without one it is an encoder. `is_new`: a file of weights that was
    not added to the encoders of this machine yet.
    """

    start: str
    title: str
    card: Card | None = None
    is_new: bool = False

    @property
    def encoder_only(self) -> bool:
        """Whether there is nothing to predict with before the first retraining."""
        return self.card is None


class StartChoice(QWidget):
    """Shows the choice and says what it means for the classes; `changed` is emitted with each change of it."""

    changed = Signal()
    classes_wanted = Signal(object)

    def __init__(self, *, place: str) -> None:
        super().__init__()
        self._place = place
        self._beginnings: list[Beginning] = []
        self._was_chosen = False
        self.box = NarrowBox()
        self.box.setAccessibleName(tr("How do you want to start?"))
        self.model_folder = button(tr("Model from a folder…"))
        self.encoder_file = button(tr("Encoder from a file…"))
        self.take_classes = button(tr("Take its classes"))
        self.note = label(role="muted", wrap=True)
        self.note.setMinimumHeight(NOTE_LINES * self.note.fontMetrics().lineSpacing())
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.model_folder.clicked.connect(self._browse_model)
        self.encoder_file.clicked.connect(self._browse_encoder)
        self.take_classes.clicked.connect(self._take_classes)
        self.box.activated.connect(self._on_chosen)
        buttons = row(self.model_folder, self.encoder_file, self.take_classes)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.box)
        column.addLayout(buttons)
        column.addWidget(self.note)
        for beginning in shipped_and_added():
            self._offer(beginning)

    @property
    def beginning(self) -> Beginning:
        """What was chosen."""
        return self._beginnings[max(0, self.box.currentIndex())]

    def follow(self, scheme: ClassScheme | None) -> str:
        """Fit the choice to the classes, unless the user made it, and say what it means; why it cannot be, if so."""
        if not self._beginnings:
            return self._tell("", tr("No model is available: choose one from a folder."))
        if scheme is not None and not self._was_chosen:
            self.box.setCurrentIndex(self._best_for(scheme))
        card = self.beginning.card
        own = () if card is None else card.scheme.masks
        shown = () if scheme is None else scheme.mask_names
        self.take_classes.setVisible(card is not None and {one.name for one in own} != set(shown))
        if card is None:
            return self._tell(
                tr("It starts from scratch: the first questions cover the tissue, then it learns your classes.")
            )
        drawn = _listed([one.name for one in own])
        if scheme is None:
            return self._tell(tr("It finds {classes}.", classes=drawn))
        missing = not_drawn(Start(Path(self.beginning.start)), scheme)
        if len(missing) == len(scheme.masks):
            problem = tr("This model finds {classes}, none of yours: choose another start.", classes=drawn)
            return self._tell("", problem)
        if missing:
            return self._tell(
                tr(
                    "It finds {classes} from the start, and {missing} once you have painted and retrained.",
                    classes=drawn,
                    missing=_listed(missing),
                )
            )
        return self._tell(tr("It finds {classes} from the start.", classes=drawn))

    def choose_model(self, folder: Path) -> None:
        """Begin with the model of a folder; says why where it is none."""
        try:
            card = load_card(folder)
        except HistoLoopError as error:
            self._tell("", f"{error.message} {error.advice}")
            return
        self._choose(Beginning(str(folder), card.title, card if card.trained else None))

    def choose_encoder(self, file: Path) -> None:
        """Begin with the encoder in a file, which is added to those of this machine when the project is made."""
        self._choose(Beginning(str(file), file.name, None, is_new=True))

    def _choose(self, beginning: Beginning) -> None:
        if beginning not in self._beginnings:
            self._offer(beginning)
        self.box.setCurrentIndex(self._beginnings.index(beginning))
        self._on_chosen()

    def _offer(self, beginning: Beginning) -> None:
        self._beginnings.append(beginning)
        title = visible_name(beginning.title)
        if beginning.card is None:
            title = tr("From scratch, with the encoder {name}", name=title)
        self.box.addItem(title)
        self.box.view().setMinimumWidth(self.box.view().sizeHintForColumn(0) + 24)

    def _best_for(self, scheme: ClassScheme) -> int:
        """A model that draws every class, else the first encoder: what a model misses, it would draw as something."""
        for number, each in enumerate(self._beginnings):
            if each.card is not None and not not_drawn(Start(Path(each.start)), scheme):
                return number
        return next((number for number, each in enumerate(self._beginnings) if each.card is None), 0)

    def _tell(self, note: str, problem: str = "") -> str:
        self.note.setText(problem or note)
        set_role(self.note, "bad" if problem else "muted")
        return problem

    def _on_chosen(self) -> None:
        self._was_chosen = True
        self.changed.emit()

    def _take_classes(self) -> None:
        card = self.beginning.card
        if card is not None:
            self.classes_wanted.emit(card.scheme.masks)

    def _browse_model(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("The folder of a model (with card.md)"), self._place)
        if chosen:
            self.choose_model(Path(chosen))

    def _browse_encoder(self) -> None:
        kinds = f"{tr('Encoder weights')} (*.safetensors)"
        chosen, _filter = QFileDialog.getOpenFileName(self, tr("Choose encoder weights"), self._place, kinds)
        if chosen:
            self.choose_encoder(Path(chosen))


def shipped_and_added() -> Sequence[Beginning]:
    """Models and encoders that come with the program, the general encoder first, and those added on this machine."""
    models = [Beginning(str(folder), card.title, card) for folder, card in trained_models()]
    encoders = [Beginning(str(folder), card.name) for folder, card in shipped_cards()]
    known = known_encoders()
    added = [Beginning(name, known[name].title if name in known else name) for name in added_encoders()]
    return [*models, *encoders, *added]


def _listed(names: Sequence[str]) -> str:
    return visible_name(", ".join(map(spoken_class, names)))
