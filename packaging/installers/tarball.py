"""A tar.gz of the frozen program for any Linux, with scripts that install it for one user."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from installers.bundle import check_bundle, link_tree
from installers.desktop import write_share
from installers.libraries import find_needs, load_table, required_sonames
from installers.licences import write_licence_texts
from installers.program import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from installers.licences import Component
    from installers.program import Program

BIN_FOLDER = "@BIN@/"
"""What install.sh replaces by the folder of the user's programs: a menu entry needs the whole path."""

_SCRIPTS = REPOSITORY / "packaging" / "linux"


def build_tarball(
    bundle: Path, out: Path, *, program: Program, work: Path, found: Sequence[Component], released: int
) -> Path:
    """Pack a bundle to `out`/histoloop-VERSION-linux-x86_64.tar.gz and return that path; `work` is emptied first."""
    check_bundle(bundle)
    name = f"{program.package}-{program.version}-linux-x86_64"
    shutil.rmtree(work, ignore_errors=True)
    top = work / name
    link_tree(bundle, top / "program")
    write_share(top / "share", program, bin_folder=BIN_FOLDER, released=released)
    write_licence_texts(top / "licences", list(found))
    shutil.copyfile(REPOSITORY / "LICENSE", top / "LICENSE")
    for script in ("install.sh", "uninstall.sh"):
        shutil.copyfile(_SCRIPTS / script, top / script)
        (top / script).chmod(0o755)
    shutil.copyfile(_SCRIPTS / "README.txt", top / "README.txt")
    sonames = required_sonames(find_needs(bundle), load_table())
    (top / "libraries.txt").write_text("".join(f"{soname}\n" for soname in sonames), encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}.tar.gz"
    _pack(work, name, target, released)
    shutil.rmtree(work)
    return target


def _pack(folder: Path, name: str, target: Path, released: int) -> None:
    """With pigz, which uses all cores, where it is installed; with gzip elsewhere."""
    compressor = shutil.which("pigz") or "gzip"
    partial = target.with_suffix(".partial")
    command = ["tar", "--create", "--directory", str(folder), "--sort=name", "--owner=0", "--group=0"]
    command += ["--numeric-owner", f"--mtime=@{released}", f"--use-compress-program={compressor} -n -6"]
    subprocess.run([*command, "--file", str(partial), name], check=True, env=os.environ | {"LC_ALL": "C"})
    partial.replace(target)
