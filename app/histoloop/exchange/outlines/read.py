"""Read the outlines of an annotation file, whatever wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from histoloop.errors import DataError
from histoloop.exchange.outlines.asap import ROOT as ASAP
from histoloop.exchange.outlines.asap import read_asap
from histoloop.exchange.outlines.files import read_content
from histoloop.exchange.outlines.geojson import read_geojson
from histoloop.exchange.outlines.imagescope import ROOT as IMAGESCOPE
from histoloop.exchange.outlines.imagescope import read_imagescope
from histoloop.language import tr

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.exchange.outlines.records import Outlines

OUTLINE_SUFFIXES = frozenset({".geojson", ".json", ".xml", ".gz", ".zip"})

_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)[\s/>]")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_NOT_READ = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError)


def read_outlines(path: Path) -> Outlines:
    """The outlines of a file: GeoJSON (also .geojson.gz, or alone in a .zip), ASAP's or ImageScope's XML.

    The format is recognised by the content, not the ending. DataError for a file that is none of these, or damaged.
    """
    try:
        content = read_content(path)
        return _read_xml(content) if content.lstrip()[:1] == b"<" else read_geojson(content)
    except _NOT_READ as error:
        raise DataError(
            tr("{path} cannot be read as outlines: {reason}.", path=path, reason=_reason(error)),
            advice=tr(
                "Export the annotations again, as a GeoJSON FeatureCollection in pixels, or as the XML of ASAP or "
                "ImageScope."
            ),
        ) from error


def holds_outlines(path: Path) -> bool:
    """Whether a file is one of outlines by its ending, and no picture."""
    return path.suffix.lower() in OUTLINE_SUFFIXES


def _read_xml(content: bytes) -> Outlines:
    root = _ROOT.search(_COMMENT.sub(b"", content[:65_536]))
    name = "" if root is None else root[1].decode()
    if name == ASAP:
        return read_asap(content)
    if name == IMAGESCOPE:
        return read_imagescope(content)
    raise ValueError("its XML is neither ASAP's nor ImageScope's")


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return tr("it is nested too deeply")
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if type(error) is ValueError else f"{type(error).__name__}, {error}"
