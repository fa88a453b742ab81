"""How far off the time left is that is shown while long work runs, on real tissue.

    HISTOLOOP_DATA=FOLDER python tests/benchmarks/time_left.py [--write] [--again]
    HISTOLOOP_DATA=FOLDER python tests/benchmarks/time_left.py job NAME FOLDER

FOLDER has the slides, GlaS and EBHI-Seg of the experiments. A project is made of a small whole slide (2,220 x
2,967 px), pictures of GlaS and of 224 x 224 px, up to 130 times smaller; six regions of GlaS are annotated with their
own masks. Then, one after the other: all slides are predicted, questions are chosen by mc-dropout, masks and tables are
exported, and a round is trained, quick and full (12 epochs). Questions and rounds are done twice, the quick one first
with half of the annotations: what they took is what the second time knows of the stages to come, as in the window.

The clock is the CPU time of the process, so that other work on the machine does not count. At each report of the work
the time left is noted as the window would show it, and compared with what was left in truth: of the whole work, or
where its stages are not known yet, of the step, which the window says. A row is a job: CPU seconds in all, the worst
factor between the first tenth and the last twentieth (of the work or of the step), where that was, the share of the
time in which nothing was shown, and the time left as shown at a tenth, half and nine tenths, beside the truth. `job`
runs one of them in FOLDER and prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.measured import Kept, run_measured, show, table
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.progress import Progress, Stage, Work
    from histoloop.store.project import Project

MPP = 0.62
GLAS, TINY, ANNOTATED, QUESTIONS = 8, 6, 6, 4
EPOCHS_FULL = 12
"""Of the full round: as many as show how the estimate goes."""
FROM, TO = 0.1, 0.95
AT = (0.1, 0.5, 0.9)
SEEN_S = 1.0
"""The time left is shown in whole seconds: what is off by less is not seen."""


@dataclass(frozen=True, slots=True)
class Note:
    """The time left that was shown at `now` seconds (None: none), whether of the whole work, and the stage's number."""

    now: float
    left: float | None
    whole: bool
    stage: int


class Watch:
    """Notes what the window would show while work runs; `earlier` are the stages of the last time."""

    def __init__(self, earlier: Sequence[Stage], *, in_parts: bool) -> None:
        from histoloop.progress import TimeLeft

        self._left, self._in_parts = TimeLeft(earlier), in_parts
        self.notes: list[Note] = []

    def run(self, work: Work[Any]) -> dict[str, Any]:
        """Run work to its end: the notes, the stages with their seconds, how long it took."""
        from histoloop.progress import finish

        began = time.process_time()

        def note(step: Progress) -> None:
            now = time.process_time() - began
            left = self._left.after(step, now)
            whole = not self._in_parts or self._left.knows_all
            self.notes.append(Note(now, left, whole, len(self._left.stages(now))))

        finish(work, note)
        end = time.process_time() - began
        stages = [(stage.name, stage.seconds, stage.amount) for stage in self._left.stages(end)]
        return {"end": end, "stages": stages, "notes": [(n.now, n.left, n.whole, n.stage) for n in self.notes]}


# --- the project and its jobs -----------------------------------------------------------------------------------------


def make(folder: Path, data: Path) -> None:
    """Make the project, with its annotations."""
    from histoloop.progress import finish
    from histoloop.store.project import Project
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_project, import_slides

    glas = [data / "glas" / f"train_{number}.png" for number in range(1, GLAS + 1)]
    tiny = sorted((data / "ebhi-seg" / "Normal" / "image").glob("*"))[:TINY]
    create_project(folder, name="Time left", start=DEFAULT_MODEL).close()
    with Project.open(folder) as project:
        finish(import_slides(project, [*glas[:4], *tiny], mpp=MPP))
        finish(import_slides(project, [data / "slides" / "CMU-1-Small-Region.svs", *glas[4:]], mpp=MPP))


def annotate(project: Project, count: int) -> None:
    """Give the first pictures of GlaS their own masks, each as a region, as far as they have none."""
    from histoloop.geometry import Region
    from histoloop.workflows import annotate as regions

    done = {record.slide_id for record in project.annotations.finished()}
    for slide in [slide for slide in project.slides.all() if slide.name.startswith("train_")][:count]:
        if slide.id not in done:
            truth = np.asarray(Image.open(slide.path.with_name(f"{slide.path.stem}_anno.png"))) > 0
            place = Region(0, 0, min(512, slide.width), min(512, slide.height))
            mask = truth[: place.height, : place.width].astype(np.uint8)
            draft = project.drafts.start(slide.id, place, mask=mask, origin_model=None, person="benchmark")
            regions.finish(project, draft.id)


def job(name: str, folder: Path) -> dict[str, Any]:
    """Do a job of the project in a folder; stages of its last time are kept beside it."""
    from histoloop.progress import Stage
    from histoloop.store.project import Project

    kept = folder.parent / f"{name.split(',')[0]}.json"
    earlier = [Stage(*stage) for stage in json.loads(kept.read_text())] if kept.exists() else []
    with Project.open(folder) as project:
        found = Watch(earlier, in_parts=name.split(",")[0] in IN_PARTS).run(JOBS[name](project))
        kept.write_text(json.dumps(found["stages"]))
        return found


def _predict(project: Project) -> Work[Any]:
    from histoloop.workflows.prediction.predict import predict_project

    return predict_project(project, device="cpu")


def _ask(project: Project) -> Work[Any]:
    from histoloop.workflows.queries.ask import ask

    return ask(project, strategy="mc-dropout", count=QUESTIONS, device="cpu")


def _export(project: Project) -> Work[Any]:
    from histoloop.workflows.export import export_project

    return export_project(project, project.folder.parent / "exported")


def _retrain(project: Project, pace: str, annotated: int, epochs: int | None = None) -> Work[Any]:
    from histoloop.workflows.contents.rounds import HowToLearn
    from histoloop.workflows.retraining.retrain import learn

    annotate(project, annotated)
    return learn(project, how=HowToLearn(pace=pace), device="cpu", epochs=epochs)  # type: ignore[arg-type]


JOBS: dict[str, Callable[[Project], Work[Any]]] = {
    "predict": _predict,
    "ask": _ask,
    "ask, again": _ask,
    "export": _export,
    "quick round": lambda project: _retrain(project, "quick", ANNOTATED // 2),
    "quick round, again": lambda project: _retrain(project, "quick", ANNOTATED),
    "full round": lambda project: _retrain(project, "full", ANNOTATED, EPOCHS_FULL),
    "full round, again": lambda project: _retrain(project, "full", ANNOTATED, EPOCHS_FULL),
}
IN_PARTS = ("ask", "quick round", "full round")
"""Jobs of which the window shows the time left of the step alone, while their stages are not known."""


# --- figures ----------------------------------------------------------------------------------------------------------


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    """The worst factor, where it was, how much of the time nothing was shown, and examples (shown, in truth)."""
    end, notes = found["end"], [Note(*note) for note in found["notes"]]
    spans = {number: [note.now for note in notes if note.stage == number] for number in {note.stage for note in notes}}
    begins = {number: times[0] for number, times in spans.items()}
    factors: list[tuple[float, float]] = []
    silent, examples = 0.0, {}
    for note, after in zip(notes, [*(one.now for one in notes[1:]), end], strict=True):
        begin, until = (0.0, end) if note.whole else (begins[note.stage], begins.get(note.stage + 1, end))
        truth = until - note.now
        if note.left is None:
            silent += after - note.now if note.now >= FROM * end else 0.0
            continue
        if FROM * (until - begin) <= note.now - begin <= TO * (until - begin) and abs(note.left - truth) >= SEEN_S:
            factors.append((max(note.left / truth, truth / max(note.left, 1e-3)), note.now / end))
        examples |= {share: (note.left, truth) for share in AT if note.now <= share * end}
    worst, where = max(factors, default=(1.0, 0.0))
    whole = all(note.whole for note in notes if note.now >= FROM * end)
    named = {str(share): example for share, example in examples.items()}
    return {"end": end, "worst": worst, "at": where, "silent": silent / end, "whole": whole, "examples": named}


def written_table(data: Path, *, again: bool) -> str:
    """A row for each job."""
    kept, rows = Kept("time_left", again=again), []
    with tempfile.TemporaryDirectory() as scratch:
        home, folder = Path(scratch) / "home", Path(scratch) / "project"
        made = False
        for name in JOBS:

            def measured(name: str = name) -> dict[str, Any]:
                nonlocal made
                if not made:
                    run_measured([__file__, "make", str(folder), str(data)], home=home)
                    made = True
                printed = run_measured([__file__, "job", name, str(folder)], home=home).printed
                return figures_of(json.loads(printed.strip().splitlines()[-1]))

            one = kept.get(name, measured)
            examples = [one["examples"].get(str(share)) for share in AT]
            shown = ["-" if each is None else f"{each[0]:.0f} ({each[1]:.0f})" for each in examples]
            row = [name, f"{one['end']:.0f}", "all" if one["whole"] else "step", f"{one['worst']:.1f}"]
            rows.append([*row, f"{one['at']:.0%}", f"{one['silent']:.0%}", *shown])
    head = ["work", "CPU s", "time left of", "off by at most", "at", "nothing shown"]
    return table([*head, *(f"shown (true) at {share:.0%}" for share in AT)], rows)


def main() -> None:
    """Make a project, do one job, or measure all, as the command line asks."""
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "make":
        make(Path(sys.argv[2]), Path(sys.argv[3]))
    elif what == "job":
        print(json.dumps(job(sys.argv[2], Path(sys.argv[3]))))
    else:
        data = Path(os.environ["HISTOLOOP_DATA"])
        show("time left", written_table(data, again="--again" in sys.argv), write="--write" in sys.argv)


if __name__ == "__main__":
    main()
