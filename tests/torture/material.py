"""What the trials work on: a tiny model, tiny slides, a data set, and projects at several stages; made once."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from slide_writers import write_dicom, write_scn

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.cli import main
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.store.cards import Card
from histoloop.store.model_folder import save_model
from histoloop.store.project import Project

from .children import run

TESTS = Path(__file__).resolve().parent.parent
SCHEME = ClassScheme(
    labels=(LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
    masks=(MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")),
)
RECIPE = """name = "tiny"
description = "Tiny"
source = "the torture run"
mask_fraction = 0.5

[network]
backbone = "mobilenet_v3_small"
weights = "random"
decoder_channels = [8, 8, 8, 8, 8]

[network.pooling]
name = "average"
modalities = 1

[classify]
supervision = "labels"

[classify.loop]
epochs = 1
batch_size = 4

[segment.loop]
epochs = 1
batch_size = 4

[robustness]
tiles = 2
steps = 2
"""


@dataclass(frozen=True, slots=True)
class Material:
    """Folders that trials copy from, and never change."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "tiny"

    @property
    def slides(self) -> Path:
        return self.folder / "slides"

    @property
    def more_slides(self) -> Path:
        return self.folder / "more-slides"

    @property
    def kinds_of_slides(self) -> Path:
        return self.folder / "kinds"

    @property
    def data(self) -> Path:
        return self.folder / "discs"

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.toml"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations"

    def project(self, stage: str) -> Path:
        """A project at a stage: imported, asked, annotated, version-1, version-2."""
        return self.folder / "projects" / stage


def make_material(folder: Path) -> Material:
    """Make what is missing; a folder that is whole is used as it is."""
    made = Material(folder)
    if (folder / "whole").exists():
        return made
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["HISTOLOOP_HOME"] = str(folder / "home")
    os.environ["TMPDIR"] = str(folder)
    ended = run(lambda: _make(made), folder / "making", timeout=300)
    if ended.code != 0:
        raise SystemExit(f"the material of the trials cannot be made:\n{ended.out}\n{ended.err}")
    (folder / "whole").touch()
    return made


def _make(made: Material) -> None:
    torch.manual_seed(0)
    _model(made.model)
    for number, name in enumerate(("a.tiff", "b.png", "c.tiff")):
        _slide(made.slides / name, seed=number, width=420 + 40 * number, height=360)
    for number, name in enumerate(("d.tiff", "e.png", "f.tiff")):
        _slide(made.more_slides / name, seed=7 + number, width=400, height=320 + 30 * number)
    _kinds(made.kinds_of_slides)
    _discs(made.data)
    made.recipe.write_text(RECIPE, encoding="utf-8")
    made.annotations.mkdir()
    _annotation_files(made.annotations)
    _projects(made)


def _model(folder: Path) -> None:
    network = build_network(
        NetworkConfig(
            labels=2,
            backbone="mobilenet_v3_small",
            pooling=PoolingConfig(name="average", modalities=1),
            decoder_channels=(8, 8, 8, 8, 8),
        )
    )
    card = Card(
        name="tiny", title="Tiny", description="For the torture run.", licence="CC0-1.0", attribution="Nobody",
        network=network.config, scheme=SCHEME, mpp=1.0, mean=(0.6, 0.4, 0.6), std=(0.2, 0.2, 0.2), training={},
        figures={}, parent=None, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    save_model(folder, card, to_arrays(network.state_dict()), recipe=RECIPE, half=True)


def tissue(seed: int, width: int, height: int) -> np.ndarray:
    """A synthetic field full of tissue, (height, width, 3)."""
    label = ("benign", "malignant", "mixed")[seed % 3]
    field = SyntheticTissue(SyntheticSpec(seed=seed, width=width, height=height, mpp=0.5, label=label, margin_um=0))
    return field.read(field.extent)[0]


def _slide(path: Path, *, seed: int, width: int, height: int) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = tissue(seed, width, height)
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        _pyramid(path, pixels)


def _pyramid(path: Path, pixels: np.ndarray, **options: object) -> None:
    of_file = {key: options.pop(key) for key in ("bigtiff", "byteorder") if key in options}
    with tifffile.TiffWriter(path, **of_file) as tiff:
        for number, level in enumerate((pixels, pixels[::2, ::2])):
            settings = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate", "metadata": None, **options}
            resolution = 20_000 / 2**number
            tiff.write(
                level, subfiletype=int(number > 0), resolution=(resolution, resolution), resolutionunit=3, **settings
            )


def _kinds(folder: Path) -> None:
    """The same tissue in each kind of file that is damaged later."""
    folder.mkdir()
    pixels = tissue(5, 300, 260)
    _pyramid(folder / "pyramid.tiff", pixels)
    _pyramid(folder / "big.tif", pixels, bigtiff=True)
    _pyramid(folder / "motorola.tif", pixels, byteorder=">", compression="lzw")
    _pyramid(folder / "jpeg.tif", pixels, compression="jpeg", photometric="ycbcr")
    _pyramid(folder / "zstd.tif", pixels, compression="zstd")
    _pyramid(folder / "jpeg2000.tif", pixels, compression="jpeg2000")
    tifffile.imwrite(folder / "strips.tif", pixels, photometric="rgb", rowsperstrip=16, compression="lzw")
    planes = pixels.transpose(2, 0, 1).copy()
    tifffile.imwrite(folder / "planar.tif", planes, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(folder / "deep.tif", pixels.astype(np.uint16) * 257, photometric="rgb", compression="deflate")
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(folder / "slide.ome.tif", pixels, photometric="rgb", tile=(64, 64), metadata=metadata)
    tifffile.imwrite(folder / "imagej.tif", pixels, imagej=True, metadata={"axes": "YXS", "unit": "um"})
    _aperio(folder / "aperio.svs", pixels)
    Image.fromarray(pixels).save(folder / "plain.png")
    Image.fromarray(pixels).quantize(64).save(folder / "palette.png")
    Image.fromarray(pixels).save(folder / "plain.jpg", quality=85)
    Image.fromarray(pixels).save(folder / "progressive.jpg", quality=85, progressive=True)
    Image.fromarray(pixels).save(folder / "plain.bmp")
    Image.fromarray(pixels).save(folder / "plain.jp2")
    write_dicom(folder / "dicom.dcm", pixels)
    write_scn(
        folder / "leica.scn", pixels, bounds=Region(40, 30, pixels.shape[1], pixels.shape[0]), width=400, height=400
    )


def _aperio(path: Path, pixels: np.ndarray) -> None:
    size = f"{pixels.shape[1]}x{pixels.shape[0]}"
    name = "Aperio Image Library v11.2.1"
    with tifffile.TiffWriter(path) as tiff:
        options = {"photometric": "rgb", "compression": "deflate", "metadata": None}
        tiff.write(pixels, tile=(64, 64), description=f"{name}\r\n{size} -> {size}|AppMag = 20|MPP = 0.5", **options)
        tiff.write(pixels[::8, ::8], description=f"{name}\r\n{size} -> thumbnail", **options)
        tiff.write(pixels[:64, :64], description=f"{name}\r\nlabel 64x64", subfiletype=1, **options)


def _discs(folder: Path) -> None:
    """Twelve tiles of two classes, each with a mask; and a table of them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    table = ["image,label,mask,case,split"]
    for name, colour in (("benign", (60, 40, 180)), ("malignant", (180, 40, 60))):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            disc = (rows - rng.integers(20, 44)) ** 2 + (columns - rng.integers(20, 44)) ** 2 < 14**2
            pixels = rng.integers(215, 245, (64, 64, 3)).astype(np.uint8)
            pixels[disc] = colour
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
            Image.fromarray(np.uint8(255) * disc).save(folder / name / f"{number}_mask.png")
            part = ("train", "train", "val", "test")[number % 4]
            table.append(f"{name}/{number}.png,{name},{name}/{number}_mask.png,case {number},{part}")
    (folder / "manifest.csv").write_text("\n".join(table) + "\n", encoding="utf-8")


def _ring(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def _annotation_files(folder: Path) -> None:
    """Of slide a.tiff, 420 x 360."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(20, 30, 90), _ring(50, 60, 20)]},
            "properties": {"objectType": "annotation", "classification": {"name": "tumour", "color": [200, 0, 0]}},
        },
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": [[_ring(200, 100, 80)], [_ring(320, 250, 40)]]},
            "properties": {"objectType": "annotation", "classification": {"names": ["gland", "inner"]}},
        },
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 5]}, "properties": {}},
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (folder / "outlines.geojson").write_text(text, encoding="utf-8")
    corners = "".join(
        f'<Coordinate Order="{place}" X="{x}" Y="{y}"/>' for place, (x, y) in enumerate(_ring(30, 30, 120)[:-1])
    )
    (folder / "asap.xml").write_text(
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="1" Type="Polygon" PartOfGroup="tumour">'
        f"<Coordinates>{corners}</Coordinates></Annotation></Annotations><AnnotationGroups>"
        f'<Group Name="tumour" PartOfGroup="None" Color="#ff0000"/></AnnotationGroups></ASAP_Annotations>',
        encoding="utf-8",
    )
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in _ring(60, 60, 100))
    (folder / "imagescope.xml").write_text(
        f'<Annotations MicronsPerPixel="0.5"><Annotation Id="1" Name="tumour" LineColor="255"><Regions><Region Id="1" '
        f'Type="0" NegativeROA="0"><Vertices>{vertices}</Vertices></Region></Regions></Annotation></Annotations>',
        encoding="utf-8",
    )
    mask = np.zeros((360, 420), np.uint8)
    mask[40:160, 60:220], mask[200:300, 200:380] = 1, 2
    Image.fromarray(mask).save(folder / "mask.png")
    tifffile.imwrite(folder / "mask.tif", mask, compression="deflate")
    tifffile.imwrite(folder / "mask16.tif", mask.astype(np.uint16))
    palette = Image.fromarray(mask).convert("P")
    palette.putpalette([0, 0, 0, 0, 160, 255, 208, 16, 32])
    palette.save(folder / "palette.png")
    colours = np.array([(0, 0, 0), (0, 160, 255), (208, 16, 32)], np.uint8)[mask]
    Image.fromarray(colours).save(folder / "colours.png")
    Image.fromarray(colours).save(folder / "mask.bmp")


def command(*arguments: object) -> None:
    """A command that has to go well."""
    code = main([str(each) for each in arguments])
    if code:
        raise SystemExit(f"{' '.join(map(str, arguments))} ended with {code}")


def _projects(made: Material) -> None:
    imported, asked, annotated = (made.project(stage) for stage in ("imported", "asked", "annotated"))
    imported.parent.mkdir()
    command("import", imported, made.slides, "--model", made.model, "--mpp", "0.5")
    shutil.copytree(imported, asked)
    command("query", asked, "--count", 2, "--side", 128, "--device", "cpu")
    shutil.copytree(asked, annotated)
    with Project.open(annotated) as project:
        regions = [(query.id, query.region) for query in project.queries.all()]
    for number, region in regions:
        mask = np.zeros((region.height, region.width), np.uint8)
        mask[: region.height // 2] = 1
        path = made.annotations / f"of-query-{number}.png"
        Image.fromarray(mask).save(path)
        command("annotate", annotated, "--query", number, "--mask", path)
    for version in (1, 2):
        folder = made.project(f"version-{version}")
        for part in (folder, folder / "masks", folder / "maps", folder / "models"):
            part.mkdir()
        dump = TESTS / "unit" / "store" / "schemas" / f"version-{version}.sql"
        with closing(sqlite3.connect(folder / "project.db")) as database:
            database.executescript(dump.read_text(encoding="utf-8"))


REGION = Region(100, 80, 160, 160)
"""Where the painting session paints, on a.tiff."""
