"""HistoLoop inside somebody else's napari: the manifest, the reader, the dock.

napari's own window has a process of its own here: it changes what the process's windows share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import histoloop
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = Path(histoloop.__file__).parent / "napari.yaml"

NAPARI = """
import json, sys, warnings
warnings.simplefilter("ignore")
import napari
from npe2 import PluginManager, PluginManifest
from PySide6.QtTest import QSignalSpy


def main(manifest, slide, picture):
    plugins = PluginManager.instance()
    plugins.discover()
    if "histoloop" not in {known.name for known in plugins.iter_manifests()}:  # run from a tree that is not installed
        plugins.register(PluginManifest.from_file(manifest))
    viewer = napari.Viewer(show=True)
    (layer,) = viewer.open(slide, plugin="histoloop")
    _dock, widget = viewer.window.add_plugin_dock_widget("histoloop", "Masks of a slide")
    application = napari.qt.get_qapp()
    ended = QSignalSpy(widget.jobs.ended)
    widget.predict.click()
    assert ended.wait(240_000)
    masks = [layer for layer in viewer.layers if layer.name.endswith(": masks")]
    found = {"message": widget.message.text(), "torch": "torch" in sys.modules, "masks": len(masks),
             "scale": list(layer.scale), "unit": str(layer.units[0]), "extent": layer.extent.world.tolist()}
    if masks:
        (mask,) = masks
        found |= {"mask extent": mask.extent.world.tolist(), "classes": list(mask.features["class"]),
                  "values": sorted({int(value) for value in mask.data.ravel()}), "mask unit": str(mask.units[0]),
                  "colour": mask.get_color(1).tolist()}
    viewer.reset_view()
    for _turn in range(50):
        application.processEvents()
    viewer.screenshot(picture, canvas_only=False)
    viewer.layers.clear()
    found["offered without slides"] = widget.predict.isEnabled()
    widget.jobs.shut_down()
    print(json.dumps(found))
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def in_napari(slides: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What was seen after a slide was opened in napari, through the manifest, and predicted by the dock."""
    room = tmp_path_factory.mktemp("napari")
    script = room / "look.py"
    script.write_text(NAPARI, encoding="utf-8")
    environment = os.environ | {"NAPARI_CONFIG": str(room / "napari.yaml"), "HISTOLOOP_HOME": str(room / "home")}
    picture = Path(os.environ.get("HISTOLOOP_PICTURES", room)) / "napari.png"
    command = [sys.executable, str(script), str(MANIFEST), str(slides["malignant"]), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_manifest_passes_the_check_of_npe2() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "npe2", "validate", str(MANIFEST)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_the_version_that_napari_shows_has_an_entry_point() -> None:
    project = (MANIFEST.parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."napari.manifest"]\nhistoloop = "histoloop:napari.yaml"' in project


def test_a_slide_opens_at_its_scale_and_its_mask_lies_on_it(in_napari: dict[str, object]) -> None:
    assert in_napari["scale"] == [0.5, 0.5]
    assert in_napari["unit"] == in_napari["mask unit"] == "micrometer"
    slide, mask = np.array(in_napari["extent"]), np.array(in_napari["mask extent"])
    np.testing.assert_allclose(mask, slide, atol=1.15)  # a pixel of the mask
    np.testing.assert_allclose(mask[0] - 1.15 / 2, slide[0] - 0.5 / 2, atol=1e-6)  # from middles to edges of pixels


def test_the_mask_has_the_classes_of_the_model_and_their_colours(in_napari: dict[str, object]) -> None:
    assert in_napari["masks"] == 1, in_napari["message"]
    assert in_napari["classes"] == ["background", "gland", "tumour"]
    assert in_napari["values"] != [0]
    assert in_napari["colour"][3] == 1
    assert "%" in in_napari["message"]


def test_torch_stays_out_of_napari_and_nothing_is_offered_without_a_slide(in_napari: dict[str, object]) -> None:
    assert in_napari["torch"] is False
    assert in_napari["offered without slides"] is False


def test_a_pyramid_reads_what_is_looked_at_and_equals_the_slide(slides: Mapping[str, Path]) -> None:
    from histoloop.gui.plugin import napari_plugin

    ((levels, settings, kind),) = napari_plugin.reader(str(slides["benign"]))(str(slides["benign"]))
    assert (kind, settings["multiscale"], settings["scale"]) == ("image", True, (0.5, 0.5))
    assert [level.shape for level in levels] == [(1000, 1800, 3), (500, 900, 3), (250, 450, 3)]
    with open_slide(slides["benign"]) as slide:
        window = np.asarray(levels[0][400:700, 500:1100])
        np.testing.assert_array_equal(window, slide.read_scaled(500, 400, 600, 300, downsample=1))
        odd = np.asarray(levels[1][11:40:3, 7, 1])
        np.testing.assert_array_equal(odd, slide.read_scaled(7, 11, 1, 29, downsample=2)[::3, 0, 1])


def test_what_is_no_whole_slide_is_left_to_other_readers(slides: Mapping[str, Path], tmp_path: Path) -> None:
    from histoloop.gui.plugin import napari_plugin

    (tmp_path / "plain.tif").write_bytes(b"no slide")
    assert napari_plugin.reader(str(tmp_path / "plain.tif")) is None
    assert napari_plugin.reader([str(slides["benign"]), str(tmp_path / "plain.tif")]) is None
    both = napari_plugin.reader([str(path) for path in slides.values()])
    assert len(both([str(path) for path in slides.values()])) == 2


def test_the_sample_is_made_once_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from histoloop.gui.plugin import napari_plugin
    from histoloop.slides.synthetic import SyntheticSpec

    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path))
    small = SyntheticSpec(seed=0, width=600, height=500, mpp=0.5, label="mixed")
    monkeypatch.setattr(napari_plugin, "specifications", lambda seed: {napari_plugin.DEMO_SLIDE: small})
    for _time in range(2):
        ((levels, settings, _kind),) = napari_plugin.demo_slide()
        assert levels[0].shape == (500, 600, 3)
    made = Path(settings["metadata"][napari_plugin.SLIDE]["path"])
    assert made.parent == tmp_path / "samples"


def test_another_qt_in_the_process_is_refused_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from histoloop.errors import HistoLoopError
    from histoloop.gui.plugin import napari_plugin

    monkeypatch.setitem(sys.modules, "PyQt6", sys)
    with pytest.raises(HistoLoopError, match=r"PyQt6.*QT_API"):
        _ = napari_plugin.MaskDock


def test_a_mask_longer_than_a_texture_becomes_a_pyramid() -> None:
    from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
    from histoloop.gui.plugin.napari_dock import LARGEST_TEXTURE_PX, labels_layer
    from histoloop.workflows.reports import PredictedSlide

    scheme = ClassScheme((LabelClass("benign", "gland"),), (MaskClass("gland", "#00a000"),))
    place = {"scale": np.array([0.25, 0.25]), "translate": np.array([10.0, 20.0]), "units": ("um", "um")}
    for rows, levels in ((10, 1), (LARGEST_TEXTURE_PX, 1), (LARGEST_TEXTURE_PX + 1, 2), (3 * LARGEST_TEXTURE_PX, 3)):
        predicted = PredictedSlide(np.zeros((rows, 4), np.uint8), 4.0, scheme, {}, 0.0, 0.25, "m", 1.0, "no tissue")
        layer = labels_layer(predicted, name="n", **place)
        assert layer["multiscale"] is (levels > 1)
        assert len(layer["data"]) == (levels if levels > 1 else rows)
    np.testing.assert_allclose(layer["scale"], 1.0)
    np.testing.assert_allclose(layer["translate"], [10.375, 20.375])
