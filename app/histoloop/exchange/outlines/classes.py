"""What the classes of outlines are here: by spelling, by the map that people give, or nothing that is known."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.annotations.class_names import class_called, folded
from histoloop.annotations.records import LEFT_OUT_NAME, LEFT_OUT_VALUE
from histoloop.errors import DataError, suggestion
from histoloop.exchange.outlines.records import LEFT_OUT, NO_CLASS, UNCLASSIFIED, Ring
from histoloop.language import tr

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.exchange.outlines.records import Outlines

IGNORED = LEFT_OUT_VALUE
"""Value of areas of which nobody says anything: QuPath's class Ignore*."""

NOTHING = "-"
"""What a class is mapped to whose outlines are left out."""

NAMELESS = "unclassified"
"""How a class map calls outlines without a class."""

BACKGROUND = "background"
"""What a class is mapped to whose outlines are background."""

_MANY = 8


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An area: its value and its rings, exterior and holes.

    The value is a mask value, 0 (background) or `IGNORED` (QuPath's class Ignore*).
    """

    value: int
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """The areas of a file in the values of a scheme, and what was left out, counted by its reason."""

    areas: tuple[Area, ...]
    skipped: Mapping[str, int]


def assign_classes(
    outlines: Outlines,
    path: Path,
    values: Mapping[str, int],
    *,
    class_map: Mapping[str, str] | None = None,
    unclassified: int | None = None,
) -> Assigned:
    """The outlines of a file with the values of the classes they mean.

    `values` are those of the known classes by name. `class_map` gives a foreign name (`NAMELESS` for none) a known one,
    'background', 'Ignore*' or `NOTHING`; spelling makes no difference. `unclassified` is the value of outlines without
    a class where the file has no others; beside others they are left out. DataError names all classes that are not
    known.
    """
    alone = unclassified is not None and not any(shape.names for shape in outlines.shapes)
    areas: list[Area] = []
    skipped, unknown = Counter(outlines.skipped), Counter[str]()
    of_names = functools.cache(lambda names: value_of(names, values, class_map))
    for shape in outlines.shapes:
        value = unclassified if alone else of_names(shape.names)
        if isinstance(value, int):
            areas.append(Area(value, shape.rings))
        elif value is None:
            unknown[shape.names[0]] += 1
        else:
            skipped[value] += 1
    if unknown:
        raise _unknown_classes(path, unknown, list(values))
    return Assigned(tuple(areas), dict(skipped))


def assign_chosen(outlines: Outlines, chosen: Mapping[tuple[str, ...], int | None]) -> Assigned:
    """The outlines of a file by the value that was chosen for each class (its names); None leaves its outlines out.

    Those of a class that nothing was chosen for (KeyError) are an error of the caller.
    """
    areas: list[Area] = []
    skipped = Counter(outlines.skipped)
    for shape in outlines.shapes:
        value = chosen[shape.names]
        if value is None:
            skipped[LEFT_OUT if shape.names else UNCLASSIFIED] += 1
        else:
            areas.append(Area(value, shape.rings))
    return Assigned(tuple(areas), dict(skipped))


def value_of(
    names: tuple[str, ...], values: Mapping[str, int], class_map: Mapping[str, str] | None = None
) -> int | str | None:
    """The value of a foreign class by its names, the reason to leave it out, or None where it is not known.

    `values` and `class_map` as in `assign_classes`.
    """
    meanings = {folded(foreign): own for foreign, own in (class_map or {}).items()}
    known = {BACKGROUND: 0, **values}
    for name in names or (NAMELESS,):
        own = meanings.get(folded(name))
        if own is not None:
            return LEFT_OUT if own == NOTHING else {LEFT_OUT_NAME: IGNORED, **known}[own]
    if not names:
        return UNCLASSIFIED
    for name in names:
        own = class_called(name, list(known))
        if own is not None:
            return known[own]
    if not names[-1].endswith("*"):
        return None
    return IGNORED if folded(names[-1]) == "ignore" else NO_CLASS


def checked_class_map(pairs: Mapping[str, str], known: Mapping[str, int]) -> dict[str, str]:
    """A class map with its own classes spelled as they are; DataError for one that is not known."""
    checked: dict[str, str] = {}
    for foreign, own in pairs.items():
        found = NOTHING if own == NOTHING else class_called(own, [*known, BACKGROUND, LEFT_OUT_NAME])
        if found is None:
            raise DataError(
                tr("no mask class {name!r}; available: {names}.", name=own, names=", ".join(known)),
                advice=tr(
                    "Map {foreign!r} to one of these, to background, to Ignore*, or to - to leave it out.",
                    foreign=foreign,
                ),
            )
        checked[folded(foreign)] = found
    return checked


def _unknown_classes(path: Path, unknown: Counter[str], known: list[str]) -> DataError:
    named = ", ".join(f"{name!r} ({count})" for name, count in unknown.most_common(_MANY))
    more = tr(" and {count} more", count=len(unknown) - _MANY) if len(unknown) > _MANY else ""
    first = unknown.most_common(1)[0][0]
    return DataError(
        tr("{path} has outlines of unknown classes: {names}.", path=path, names=named + more),
        advice=tr(
            "The classes are {known}{near}. Map each of the others: --map-class {first!r}={own}, or =background, or =- "
            "to leave its outlines out.",
            known=", ".join(known),
            near=suggestion(first, known),
            first=first,
            own=known[0],
        ),
    )
