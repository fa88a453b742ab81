"""What the tour shows of annotations from elsewhere: outlines drawn over their slide, and classes to be matched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from histoloop.gui.tour.driver import TourError, free

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.tour.driver import Tour

CLASSES = ("Gland", "Tumor", "Stroma")
CORNERS = 24


def import_annotations(tour: Tour) -> None:
    """A file of another program: one of its classes has no match yet; nothing of it is imported."""
    window = tour.window
    slide = window.session.slides()[0]
    tour.show_slide(slide.id)
    folder = free(tour.out / "import")
    folder.mkdir()
    file = folder / f"{slide.path.stem}.geojson"
    _write_outlines(file, width=slide.width, height=slide.height)
    window.import_control.open([file])
    dialog = window.import_control.dialog
    if dialog is None:
        raise TourError("the import does not show")
    tour.wait(lambda: bool(dialog.classes.keys), "the file to be read")
    tour.wait(lambda: window.import_control.preview.is_sharp, "the outlines to be drawn")
    tour.settle()
    tour.picture("import", "Outlines of another program over their slide, before they are imported")
    tour.picture("import-classes", "Files, their slides, and the classes to be matched", of=dialog)
    dialog.reject()
    tour.settle()


def _write_outlines(file: Path, *, width: int, height: int) -> None:
    """An ellipse of each class beside each other, as QuPath writes them; sizes of the slide in pixels."""
    angles = np.linspace(0, 2 * np.pi, CORNERS + 1)
    features = []
    for number, name in enumerate(CLASSES):
        x = width * (number + 1) / (len(CLASSES) + 1) + np.cos(angles) * width / 12
        y = height / 2 + np.sin(angles) * height / 8
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [np.column_stack([x, y]).tolist()]},
                "properties": {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}},
            }
        )
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
