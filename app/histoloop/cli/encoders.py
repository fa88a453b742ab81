"""`histoloop encoders`: which encoders are known, where their weights come from, bring them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command
from histoloop.cli.terminal import OK, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's command."""
    parser = add_command(commands, "encoders", _list, "list the known encoders, show details of one, or add one")
    doing = parser.add_subparsers(metavar="list | show NAME | add FILE")
    doing.add_parser("list", help="list all, with whether their weights are here (default)").set_defaults(command=_list)
    shown = doing.add_parser("show", help="show what one is made of, and where to get its weights")
    shown.add_argument("name", metavar="NAME")
    shown.set_defaults(command=_show)
    added = doing.add_parser("add", help="keep a file of weights (.safetensors) on this computer")
    added.add_argument("file", type=Path, metavar="FILE")
    added.add_argument("--name", help="which encoder they belong to, where the file fits several")
    added.set_defaults(command=_add)


def _list(_options: argparse.Namespace) -> int:
    from histoloop.encoders import known_encoders
    from histoloop.store.encoders import added_encoders
    from histoloop.store.shipped import shipped_cards

    here = added_encoders()
    for _folder, card in shipped_cards():
        print(f"{card.name:22} {'':8} shipped   {card.title}; {card.licence}")
    own = [added for added in here.values() if added.name not in known_encoders()]
    for encoder in known_encoders().values():
        state = "added" if encoder.name in here else "not here"
        print(f"{encoder.name:22} {encoder.parameters / 1e6:6.0f} M  {state:9} {encoder.title}; {encoder.licence}")
    for added in own:
        print(f"{added.name:22} {'':8} added     {added.backbone}, from a file of yours")
    return OK


def _show(options: argparse.Namespace) -> int:
    from histoloop.encoders import encoder_named, known_encoders
    from histoloop.store.encoders import added_encoders
    from histoloop.store.shipped import shipped_cards

    for folder, card in shipped_cards():
        if card.name == options.name:
            _say(
                {
                    "encoder": card.title,
                    "architecture": card.network.backbone,
                    "compared at": f"{card.mpp:g} um per pixel",
                    "licence": card.licence,
                    "from": card.attribution,
                    "here": str(folder),
                    "in a project": f'histoloop new PROJECT --classes "..." --encoder {card.name}',
                }
            )
            return OK
    here = added_encoders().get(options.name)
    if here is not None and options.name not in known_encoders():
        _say(
            {
                "encoder": "from a file of yours",
                "architecture": here.backbone,
                "here": str(here.path),
                "in a project": f'histoloop new PROJECT --classes "..." --encoder {here.name}',
            }
        )
        return OK
    encoder = encoder_named(options.name)
    rows = {
        "encoder": encoder.title,
        "architecture": f"{encoder.architecture} of timm, {encoder.parameters / 1e6:.0f} million parameters",
        "trained on": f"tiles of {encoder.input_px} px at about {encoder.mpp:g} um per pixel",
        "licence": encoder.licence,
        "from": f"{encoder.source}, file {encoder.file}",
        "to be accepted": encoder.terms,
        "here": "no; get the file, then: histoloop encoders add FILE" if here is None else f"{here.path}",
        "in a recipe": f'[network] backbone = "encoder/{encoder.name}", weights = "added"',
    }
    _say(rows)
    return OK


def _say(rows: Mapping[str, str]) -> None:
    for key, value in rows.items():
        print(f"{key + ':':16}{value}")


def _add(options: argparse.Namespace) -> int:
    from histoloop.workflows.retraining.encoders import add_encoder

    kept = run(add_encoder(options.file, name=options.name))
    print(f"{kept.name} is kept as {kept.path}")
    return OK
