"""`histoloop train`, `cross-validate` and `decide`: models of a project and of data sets, and which one is in use."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_device, add_json, add_seed, add_split, count
from histoloop.cli.checks import WrongUsageError
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import OK, as_argument, print_warning, run, speaks

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import CandidateModel
    from histoloop.workflows.decisions import Decision


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    _add_train(commands)
    _add_cross_validate(commands)
    _add_decide(commands)


def _add_train(commands: Commands) -> None:
    trained = add_command(
        commands, "train", _train, "retrain a project on its annotations, or make a model from a data set by a recipe"
    )
    trained.add_argument("project", type=Path, nargs="?", help="project to retrain")
    trained.add_argument(
        "--learn-from",
        choices=("masks", "sizes", "labels", "min-max"),
        default="masks",
        help="what a project learns from (default: masks; sizes and labels learn from the masks too, afterwards)",
    )
    trained.add_argument(
        "--pace",
        choices=("quick", "full", "self-supervised"),
        default="full",
        help="quick: only the decoder, on stored features of the frozen classifier; full: on augmented tiles "
        "(default); self-supervised: pretrain the backbone on all tissue first, which takes hours on a "
        "processor",
    )
    trained.add_argument(
        "--propagation",
        action="store_true",
        help="also train on a project's regions that are similar in colour to annotated ones, with the model's own "
        "masks (masks only)",
    )
    trained.add_argument(
        "--consistency",
        action="store_true",
        help="also train on a project's unlabelled regions, by consistency over time (with masks or labels)",
    )
    trained.add_argument(
        "--continued",
        action="store_true",
        help="go on training the model that a project uses instead of its first one (masks only)",
    )
    trained.add_argument("--recipe", help="recipe name or file (with --data and --out); see: histoloop recipes")
    trained.add_argument("--data", type=Path, help="folder or CSV file of the data set")
    trained.add_argument("--out", type=Path, help="model folder to write; the same command continues where it stopped")
    trained.add_argument("--epochs", type=count, help="shorten or lengthen the training")
    add_seed(trained)
    add_split(trained)
    decided = trained.add_mutually_exclusive_group()
    decided.add_argument(
        "--keep",
        action="store_true",
        help="keep the new model of a project, whatever the figures say (default: it is kept where it is better on the "
        "held-out regions, rolled back where it is worse, both by the 95 %% interval of the change; where nobody can "
        "tell it waits for your decision)",
    )
    decided.add_argument("--roll-back", action="store_true", help="keep the old model, whatever the figures say")
    add_json(trained)
    add_device(trained)


def _add_cross_validate(commands: Commands) -> None:
    crossed = add_command(
        commands,
        "cross-validate",
        _cross_validate,
        "measure a project's retrained model that waits on all painted regions, each left out in turn",
    )
    crossed.add_argument("project", type=Path)
    crossed.add_argument("--epochs", type=count, help="shorten or lengthen each training")
    add_seed(crossed)
    add_json(crossed)
    add_device(crossed)


def _add_decide(commands: Commands) -> None:
    settled = add_command(commands, "decide", _decide, "keep a project's retrained model that waits, or roll it back")
    settled.add_argument("project", type=Path)
    settled.add_argument("decision", choices=("keep", "roll-back"))
    add_json(settled)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _train(options: argparse.Namespace) -> int | Outcome:
    of_data_set = (options.recipe, options.data, options.out)
    _check_usage(options, is_of_data_set=all(of_data_set))
    if options.project is None and all(of_data_set):
        return _train_on_data_set(options)
    if options.project is None or any(of_data_set):
        raise WrongUsageError(
            "There is nothing to train on.", advice="Give a PROJECT, or --recipe, --data and --out together."
        )
    return _train_project(options)


def _check_usage(options: argparse.Namespace, *, is_of_data_set: bool) -> None:
    """WrongUsageError for options that do not go together."""
    of_masks = {f"--pace {options.pace}": options.pace != "full", "--propagation": options.propagation}
    of_masks |= {"--continued": options.continued}
    wrong = [name for name, on in of_masks.items() if on and (options.project is None or options.learn_from != "masks")]
    if options.consistency and (options.project is None or options.learn_from not in ("masks", "labels")):
        wrong.append("--consistency")
    if wrong:
        raise WrongUsageError(
            f"{', '.join(wrong)}: only with a PROJECT that learns from masks (--consistency: from labels too).",
            advice="Recipes have [segment.consistency] and [classify.consistency].",
        )
    if options.project is None and (options.keep or options.roll_back):
        raise WrongUsageError("--keep and --roll-back go with a PROJECT.", advice="Name one, or leave them out.")


def _train_on_data_set(options: argparse.Namespace) -> int | Outcome:
    from histoloop.workflows.experiments.train import train_model

    folder = run(
        train_model(
            recipe=options.recipe,
            data=options.data,
            out=options.out,
            device=options.device,
            seed=options.seed,
            epochs=options.epochs,
            split=options.by,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            warn=print_warning,
        )
    )
    if not speaks():
        return OK
    return Outcome([f"model written to {folder}"], done=[{"model": str(folder)}])


def _train_project(options: argparse.Namespace) -> Outcome:
    from histoloop.errors import ProjectError
    from histoloop.workflows.contents.rounds import HowToLearn
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.retraining.retrain import retrain

    with opened_project(options.project) as project:
        first = not project.models.current_card().trained
        if first and options.roll_back:
            raise ProjectError(
                "There is no model to go back to: this project's model has not been trained yet.",
                advice="Leave --roll-back out: the first trained model is kept.",
            )
        how = HowToLearn(
            options.learn_from, options.pace, options.propagation, options.consistency, continued=options.continued
        )
        result = run(
            retrain(
                project, how=how, device=options.device, seed=options.seed, epochs=options.epochs, person="command line"
            )
        )
        decision = _decided(project, result, options, first=first)
        folder = project.models.get(result.model_id).folder
        notes = [*_of_decision(options, result, decision), *_of_unpredicted(project, options, result, decision)]
    return _trained(result, decision, folder, notes)


def _decided(project: Project, result: CandidateModel, options: argparse.Namespace, *, first: bool) -> Decision:
    from histoloop.workflows.decisions import decide_by_figures, keep, roll_back

    if options.roll_back:
        roll_back(project, result.model_id)
        return "rolled back"
    if options.keep and not first:
        keep(project, result.model_id)
        return "kept"
    return decide_by_figures(project, result)


def _trained(result: CandidateModel, decision: Decision, folder: Path, notes: list[str]) -> Outcome:
    """What a retraining gave, in lines and as JSON."""
    figures = f"{_figure(result.old_dice)} before, {_figure(result.new_dice)} now"
    lines = [f"{result.pseudo} regions used with the model's own masks"] if result.pseudo else []
    lines += [
        f"trained on {result.annotations} annotations; Dice on {result.held_out} held-out ones: {figures}",
        {
            "kept": "the new model is kept",
            "rolled back": "rolled back: the old model stays",
            "waits": "the old model stays until you decide about the new one",
        }[decision],
    ]
    done = {
        "model": str(folder),
        "round": result.round,
        "annotations": result.annotations,
        "held_out": result.held_out,
        "dice_before": result.old_dice,
        "dice": result.new_dice,
        "change": None if result.change is None else list(result.change),
        "decision": decision,
    }
    return Outcome(lines, done=[done], notes=notes)


def _of_decision(options: argparse.Namespace, result: CandidateModel, decision: Decision) -> list[str]:
    """Why it was decided so, where nobody asked for it, and how to decide otherwise."""
    from histoloop.workflows.contents.verdict import in_words

    if decision == "rolled back" and not options.roll_back:
        return [f"{in_words(result)} To keep such a model all the same, train with --keep."]
    if decision == "waits":
        by = f"histoloop decide {as_argument(options.project)} keep, or roll-back; or open the project in the window."
        return [f"{in_words(result)} To decide about it: {by}"]
    return []


def _of_unpredicted(
    project: Project, options: argparse.Namespace, result: CandidateModel, decision: Decision
) -> list[str]:
    """That the new model has not predicted every slide, where it may be used."""
    slides = project.slides.all()
    missing = sum(project.maps.find(slide.id, result.model_id) is None for slide in slides)
    if not missing or decision == "rolled back":
        return []
    first = "" if decision == "kept" else "once it is kept, "
    return [
        f"{missing} of {len(slides)} slides have no masks of the new model yet: {first}"
        f"histoloop query {as_argument(options.project)} predicts them, or Predict in the window."
    ]


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _waiting(project: Project) -> CandidateModel:
    """The model that waits for a decision; ProjectError where none does."""
    from histoloop.errors import ProjectError
    from histoloop.workflows.contents.rounds import open_candidate

    if (candidate := open_candidate(project)) is None:
        raise ProjectError(
            f"No retrained model of {project.folder} waits for a decision.", advice="Train the project first."
        )
    return candidate


def _cross_validate(options: argparse.Namespace) -> Outcome:
    from histoloop.errors import ProjectError
    from histoloop.workflows.contents.verdict import crossed_in_words, in_words
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.retraining.cross_validate import cross_validate

    with opened_project(options.project) as project:
        waiting = _waiting(project)
        if waiting.crossed is None and not waiting.can_be_crossed:
            raise ProjectError(
                f"Round {waiting.round} of {options.project} cannot be cross-validated.",
                advice="That is for rounds that learned from masks alone, with three painted regions or more and few "
                "of them held out. Go by the regions held out.",
            )
        found = waiting.crossed
        if found is None:
            found = run(
                cross_validate(
                    project, waiting.model_id, device=options.device, seed=options.seed, epochs=options.epochs
                )
            )
        verdict = in_words(_waiting(project))
    told = {"round": waiting.round, **dataclasses.asdict(found)}
    return Outcome([crossed_in_words(found), verdict], done=[told])


def _decide(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.decisions import keep, roll_back
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        candidate = _waiting(project)
        folder = project.models.get(candidate.model_id).folder
        (keep if options.decision == "keep" else roll_back)(project, candidate.model_id)
    line = "the new model is kept" if options.decision == "keep" else "rolled back: the old model stays"
    decision = "kept" if options.decision == "keep" else "rolled back"
    return Outcome([line], done=[{"model": str(folder), "round": candidate.round, "decision": decision}])
