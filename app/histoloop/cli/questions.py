"""Which regions of a project to annotate next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_json,
    add_precision,
    add_seed,
    count,
    fraction,
    side,
    two_or_more,
)
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import WRONG, print_error, report_failures, run
from histoloop.errors import suggestion

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    asked = add_command(commands, "query", _query, "choose the regions of a project to annotate next, and list them")
    asked.add_argument("project", type=Path)
    asked.add_argument(
        "--strategy",
        help="entropy (default), random, least-confidence, margin, ratio, mc-dropout, k-center, vaal, svm-margin, "
        "learned-loss, cod or cod-softmax; see docs/active-learning.md. Before the first retraining of a project that "
        "begins with an encoder: k-center (default) or random",
    )
    asked.add_argument("--count", type=count, default=6, help="how many regions (default: 6)")
    asked.add_argument(
        "--side",
        type=side,
        default=384,
        help="side of a region, in pixels as the model sees them: 128 to 1024 (default: 384)",
    )
    asked.add_argument(
        "--random",
        type=fraction,
        default=0.0,
        metavar="SHARE",
        help="share of them sampled at random, e.g. 0.25 (default: 0)",
    )
    asked.add_argument(
        "--passes", type=two_or_more, help="passes of mc-dropout (default: 20; label-prop takes 50, for a GPU)"
    )
    asked.add_argument(
        "--vaal",
        choices=("quick", "paper"),
        default="quick",
        help="the networks of vaal; quick: seconds (default); paper: as its authors have them, for a GPU",
    )
    add_seed(asked)
    add_json(asked)
    add_precision(asked)
    add_device(asked)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _query(options: argparse.Namespace) -> int | Outcome:
    from histoloop.acquisition.strategies import STRATEGIES, reason_of

    if options.strategy not in (None, *STRATEGIES):
        print_error(
            f"there is no strategy {options.strategy!r}{suggestion(options.strategy, STRATEGIES)}; "
            f"choose one of {', '.join(STRATEGIES)}",
            command="query",
        )
        return WRONG
    from histoloop.workflows.prediction.predict import predict_project
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.queries.ask import ask
    from histoloop.workflows.queries.score_project import PASSES
    from histoloop.workflows.queries.score_regions import ScoringSettings
    from histoloop.workflows.queries.vaal_scores import PAPER_VAAL, VaalSettings

    with opened_project(options.project) as project:
        failed: tuple[tuple[str, str], ...] = ()
        if project.models.current_card().trained:
            predicted = run(predict_project(project, device=options.device, precision=options.precision))
            failed = predicted.failed
            if not predicted.predicted:
                report_failures(failed)  # why there will be nothing to ask about
        asked = run(
            ask(
                project,
                strategy=options.strategy,
                count=options.count,
                seed=options.seed,
                region_map_px=options.side,
                random_share=options.random,
                device=options.device,
                settings=ScoringSettings(
                    passes=options.passes or PASSES, vaal=PAPER_VAAL if options.vaal == "paper" else VaalSettings()
                ),
            )
        )
        slides = {slide.id: slide for slide in project.slides.all()}
    rows = [
        {
            "id": query.id,
            "slide": slides[query.slide_id].name,
            "path": str(slides[query.slide_id].path),
            "region": [query.region.x, query.region.y, query.region.width, query.region.height],
            "class": query.class_name,
            "strategy": query.strategy,
            "score": query.score,
            "reason": reason_of(query),
        }
        for query in asked.queries
    ]
    lines = [
        (f"{row['id']}", f"{row['slide']}", f"{row['region']}", f"{row['class']}", f"{row['score']:.3f}",
         f"{row['reason']}")
        for row in rows
    ]  # fmt: skip
    return Outcome(
        ["\t".join(cell.replace("\t", " ") for cell in line) for line in lines],
        done=rows,
        failed=tuple(dict.fromkeys((*failed, *asked.failed))),
        notes=[asked.why_fewer] if asked.why_fewer else [],
    )
