"""Why there are fewer questions than were asked for, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.slides import is_readable

if TYPE_CHECKING:
    from histoloop.store.project import Project


def why_fewer(project: Project, *, wanted: int, asked: int, considered: int | None = None) -> str:
    """Sentences about why `asked` regions are asked about and not as many as `wanted`; empty where they are.

    `considered` is how many regions the strategy looked at where there were more than it looks at (None: at all).
    Regions of one asking never overlap, and at least half of each is tissue.
    """
    if asked >= wanted:
        return ""
    there = tr_plural(
        "{count} question instead of {wanted}.", "{count} questions instead of {wanted}.", asked, wanted=wanted
    )
    if considered is not None:
        looked_at = tr("This strategy compares {count} regions at a time, sampled at random.", count=considered)
        return f"{there} {looked_at}"
    reasons = [tr("There is no other area with enough tissue.")]
    reasons += _settled(project) + _not_looked_at(project)
    advice = tr("Smaller regions or more slides give more questions.")
    return " ".join((there, *reasons, advice))


def _settled(project: Project) -> list[str]:
    """What is not asked about again."""
    painted = (AnnotationStatus.DONE, AnnotationStatus.DRAFT)
    annotated = sum(one.status in painted for one in project.annotations.all())
    passed_over = sum(len(project.queries.all(status=one)) for one in (QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL))
    found = []
    if annotated:
        found.append(
            tr_plural("{count} region is annotated already.", "{count} regions are annotated already.", annotated)
        )
    if passed_over:
        found.append(
            tr_plural(
                "{count} region was skipped or marked 'Cannot tell'.",
                "{count} regions were skipped or marked 'Cannot tell'.",
                passed_over,
            )
        )
    return found


def _not_looked_at(project: Project) -> list[str]:
    """The slides that no region can come from."""
    slides = project.slides.all()
    readable = [slide for slide in slides if is_readable(slide)]
    found = []
    if missing := len(slides) - len(readable):
        found.append(tr_plural("{count} slide file was not found.", "{count} slide files were not found.", missing))
    if project.models.current_card().trained:
        unpredicted = sum(project.maps.find(slide.id) is None for slide in readable)
        if unpredicted:
            found.append(
                tr_plural("{count} slide is not predicted yet.", "{count} slides are not predicted yet.", unpredicted)
            )
    return found
