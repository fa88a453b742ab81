"""A dock for somebody else's napari: the masks of a slide, predicted in a child process, and the way into HistoLoop."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QFileDialog, QFormLayout, QSizePolicy, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import NarrowBox, button, label, row
from histoloop.gui.panels.job_bar import JobBar
from histoloop.gui.plugin.napari_plugin import SLIDE
from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job, JobRunner, Outcome
from histoloop.language import tr
from histoloop.store.shipped import trained_models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histoloop.workflows.reports import PredictedSlide

LARGEST_TEXTURE_PX = 8192
"""A mask that is longer is shown as a pyramid, which napari does not let one paint: graphics cards hold no more."""

OPACITY = 0.4
BAR_PX = 90


class MaskDock(QWidget):
    """Predicts the slide of a layer that HistoLoop's reader made; its mask becomes a labels layer.

    `napari_viewer` is handed over by napari. The result is laid over the slide it was asked for, also when another one
    was chosen meanwhile, or the layer's name, place or scale was changed.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._slides: list[Any] = []
        self.slide = NarrowBox()
        self.model = NarrowBox()
        for folder, card in trained_models():
            self.model.addItem(card.title, str(folder))
        browse = button("…", tip=tr("A model from a folder"))
        self.predict = button(tr("Predict masks"), primary=True)
        self.annotate = button(
            tr("Annotate and retrain in HistoLoop…"), tip=tr("Open the slide in HistoLoop's own window")
        )
        self.message = label(wrap=True)
        self.job_bar = JobBar()
        self.job_bar.bar.setFixedWidth(BAR_PX)
        self.job_bar.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # it may be cut off
        self.jobs = JobRunner(self)
        form = QFormLayout()
        form.addRow(tr("Slide"), self.slide)
        form.addRow(tr("Model"), row(self.model, browse, stretch=0))
        column = QVBoxLayout(self)
        column.addLayout(form)
        for widget in (self.predict, self.job_bar, self.message, self.annotate):
            column.addWidget(widget)
        column.addWidget(label(tr("Research use only. Not a diagnostic device."), role="muted", wrap=True))
        column.addStretch(1)
        browse.clicked.connect(self._browse)
        self.predict.clicked.connect(self._predict)
        self.annotate.clicked.connect(self._annotate)
        self._connect_jobs()
        for event in (napari_viewer.layers.events.inserted, napari_viewer.layers.events.removed):
            event.connect(self._show_slides)
        self.destroyed.connect(self.jobs.shut_down)
        self._show_slides()

    def _connect_jobs(self) -> None:
        jobs = self.jobs
        jobs.started.connect(lambda job: self.job_bar.begin(job.title))
        jobs.progressed.connect(lambda _job, step: self.job_bar.show_step(step))
        jobs.ended.connect(self._on_ended)
        jobs.busy_changed.connect(self._on_busy_changed)
        self.job_bar.stop_requested.connect(self.job_bar.stopping)
        self.job_bar.stop_requested.connect(jobs.cancel)

    def _show_slides(self, _event: object = None) -> None:
        """List the layers that are slides."""
        chosen = self._chosen()
        self._slides = [layer for layer in self._viewer.layers if SLIDE in layer.metadata]
        self.slide.clear()
        self.slide.addItems([layer.name for layer in self._slides])
        if chosen in self._slides:
            self.slide.setCurrentIndex(self._slides.index(chosen))
        self.message.setText("" if self._slides else tr("Open a whole slide first (File > Open)."))
        self._update()

    def _chosen(self) -> Any:
        return self._slides[self.slide.currentIndex()] if self._slides else None

    def _update(self) -> None:
        self.predict.setEnabled(bool(self._slides) and self.model.count() > 0 and self.jobs.current is None)
        self.annotate.setEnabled(bool(self._slides))

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("The folder of a model (with card.md)"))
        if chosen:
            self.model.addItem(Path(chosen).name, chosen)
            self.model.setCurrentIndex(self.model.count() - 1)

    def _predict(self) -> None:
        slide = self._chosen()
        about = slide.metadata[SLIDE]
        arguments = {"file": Path(about["path"]), "mpp": about["mpp"], "model": self.model.currentData()}
        self.message.setText("")
        self.jobs.submit(
            Job(
                tr("Predicting {slide}", slide=slide.name),
                tasks.predict_file,
                arguments,
                on_done=functools.partial(self._on_predicted, slide),
                on_failed=lambda failure: self.message.setText(str(failure)),
            )
        )

    def _annotate(self) -> None:
        path = self._chosen().metadata[SLIDE]["path"]
        started, _process = QProcess.startDetached(sys.executable, ["-m", "histoloop", "open", path])
        self.message.setText(
            tr("HistoLoop opens in a window of its own.") if started else tr("HistoLoop could not be started.")
        )

    def _on_busy_changed(self, busy: bool) -> None:
        if not busy:
            self.job_bar.end()
        self._update()

    def _on_ended(self, _job: Job, outcome: Outcome) -> None:
        if outcome is Outcome.CANCELLED:
            self.message.setText(tr("Stopped."))

    def _on_predicted(self, slide: Any, predicted: PredictedSlide) -> None:
        """Lay the mask over a layer, where it is now."""
        if slide not in self._viewer.layers:
            self.message.setText(tr("The slide has been closed in the meantime."))
            return
        place = {"scale": slide.scale[-2:], "translate": slide.translate[-2:], "units": slide.units[-2:]}
        self._viewer.add_labels(**labels_layer(predicted, name=tr("{slide}: masks", slide=slide.name), **place))
        likely = sorted(predicted.probabilities.items(), key=lambda entry: -entry[1])[:3]
        figures = (tr("{label}: {percent:.0f}%", label=name, percent=100 * share) for name, share in likely)
        self.message.setText(predicted.note or "\n".join(figures))


def labels_layer(
    predicted: PredictedSlide, *, name: str, scale: NDArray[np.float64], translate: NDArray[np.float64], units: Any
) -> dict[str, Any]:
    """Arguments of napari's `add_labels` for a mask over a slide's layer; `scale` and `translate` (y, x) are its own.

    The names of the classes are features, which napari shows under the mouse.
    """
    scheme, downsample = predicted.scheme, predicted.downsample
    mask = predicted.mask
    steps = [2**level for level in range(16) if level == 0 or max(mask.shape) // 2 ** (level - 1) > LARGEST_TEXTURE_PX]
    colours = {None: "transparent", 0: "transparent"}
    colours |= {value: known.colour for value, known in enumerate(scheme.masks, start=1)}
    return {
        "data": mask if len(steps) == 1 else [mask[::step, ::step] for step in steps],
        "multiscale": len(steps) > 1,
        "name": name,
        "scale": scale * downsample,
        "translate": translate + scale * (downsample - 1) / 2,  # napari puts the middle of the first pixel there
        "units": units,
        "opacity": OPACITY,
        "colormap": colours,
        "features": {"index": range(len(scheme.masks) + 1), "class": [tr("background"), *scheme.mask_names]},
        "metadata": {"model": predicted.model, "probabilities": dict(predicted.probabilities)},
    }
