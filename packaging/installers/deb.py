"""A .deb of the frozen program, made with dpkg-deb."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from installers.bundle import EXECUTABLES, check_bundle, files, has_cuda, link_tree
from installers.desktop import write_gz, write_share
from installers.libraries import depends, find_needs, load_table
from installers.licences import write_licence_texts
from installers.program import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from installers.licences import Component
    from installers.program import Program

ARCHITECTURE = "amd64"

COMPRESSION = ("-Zzstd", "-z3")
"""Chosen by measuring: docs/packaging.md, 'Debian package'. dpkg reads zstd from Debian 12 and Ubuntu 18.04 on."""

RECOMMENDS = ("desktop-file-utils", "hicolor-icon-theme", "shared-mime-info")
SUGGESTS_WITH_CUDA = ("libcuda1",)

_OVERRIDES = REPOSITORY / "packaging" / "linux" / "lintian-overrides"
_WIDTH = 78


def build_deb(
    bundle: Path, out: Path, *, program: Program, work: Path, found: Sequence[Component], released: int
) -> Path:
    """Pack a bundle to `out`/histoloop_VERSION_amd64.deb and return that path.

    `work` is a folder for what is laid out in between, emptied first, best on the bundle's file system (the files are
    linked, not copied); `found` are the components whose licences are told.
    """
    check_bundle(bundle)
    needed = depends(find_needs(bundle), load_table())
    shutil.rmtree(work, ignore_errors=True)
    lay_out(bundle, work, program=program, found=found, released=released)
    _write_control(work, program, needed, cuda=has_cuda(bundle))
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{program.package}_{program.version}_{ARCHITECTURE}.deb"
    partial = target.with_suffix(".partial")
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(released)}
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", work, partial], check=True, env=environment
    )
    partial.replace(target)
    shutil.rmtree(work)
    return target


def lay_out(bundle: Path, root: Path, *, program: Program, found: Sequence[Component], released: int) -> None:
    """Fill `root` with the files as they are to lie in the system."""
    link_tree(bundle, root / "usr" / "lib" / program.package)
    commands = root / "usr" / "bin"
    commands.mkdir(parents=True)
    for name in EXECUTABLES:
        (commands / name).symlink_to(f"../lib/{program.package}/{name}")
    share = root / "usr" / "share"
    write_share(share, program, bin_folder="", released=released)
    documents = share / "doc" / program.package
    write_gz(documents / "changelog.gz", changelog(program, released))
    (documents / "copyright").write_text(copyright_file(program, found, released), encoding="utf-8")
    write_licence_texts(documents / "licences", list(found))
    overrides = share / "lintian" / "overrides"
    overrides.mkdir(parents=True)
    shutil.copyfile(_OVERRIDES, overrides / program.package)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]:
        folder.chmod(0o755)


def control(program: Program, needed: Sequence[str], *, size_kib: int, cuda: bool) -> str:
    """The package's control file."""
    flavour = "This build computes on the processor, and on an NVIDIA GPU where there is one."
    if not cuda:
        flavour = "This build computes on the processor only."
    suggests = f"Suggests: {', '.join(SUGGESTS_WITH_CUDA)}\n" if cuda else ""
    paragraphs = [*program.description, flavour, program.notice]
    description = "\n .\n".join(
        textwrap.fill(text, _WIDTH, initial_indent=" ", subsequent_indent=" ") for text in paragraphs
    )
    return f"""Package: {program.package}
Version: {program.version}
Architecture: {ARCHITECTURE}
Maintainer: {program.publisher} <{program.mail}>
Installed-Size: {size_kib}
Depends: {", ".join(needed)}
Recommends: {", ".join(RECOMMENDS)}
{suggests}Section: science
Priority: optional
Description: {program.summary[:1].lower()}{program.summary[1:]}
{description}
"""


def changelog(program: Program, released: int) -> str:
    """Debian's changelog: what changed in a release is told by the program's own notes."""
    day = format_datetime(datetime.fromtimestamp(released, UTC))
    return f"""{program.package} ({program.version}) stable; urgency=medium

  * Release {program.version}.

 -- {program.publisher} <{program.mail}>  {day}
"""


def copyright_file(program: Program, found: Sequence[Component], released: int) -> str:
    """Debian's copyright file, with the licence of every component as it states it."""
    holder = f"{datetime.fromtimestamp(released, UTC).year} {program.publisher}"
    listed = "".join(f"  {component.name} {component.version}: {component.licence}\n" for component in found)
    return f"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {program.name}
Upstream-Contact: {program.publisher} <{program.mail}>
Comment:
 The program is frozen: beside its own code, usr/lib/{program.package}/_internal holds the
 Python interpreter (PSF-2.0), libraries of the system it was built on, and the
 components below, each under its own licence; the terms that they ship are in
 /usr/share/doc/{program.package}/licences.
 .
{listed.rstrip()}

Files: *
Copyright: {holder}
License: Apache-2.0

Files: usr/lib/{program.package}/_internal/models/*
Copyright: {holder}; EBHI-Seg: Shi et al.
License: CC-BY-4.0
Comment:
 The weights were trained on EBHI-Seg; each model's card.md has the attribution.

License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.

License: CC-BY-4.0
 Creative Commons Attribution 4.0 International:
 https://creativecommons.org/licenses/by/4.0/legalcode
"""


def _write_control(root: Path, program: Program, needed: Sequence[str], *, cuda: bool) -> None:
    listed = [path for path in files(root) if not path.is_symlink()]
    size_kib = sum(-(-path.stat().st_size // 1024) for path in listed)
    folder = root / "DEBIAN"
    folder.mkdir(mode=0o755)
    (folder / "control").write_text(control(program, needed, size_kib=size_kib, cuda=cuda), encoding="utf-8")
    sums = "".join(f"{_md5(path)}  {path.relative_to(root)}\n" for path in listed)
    (folder / "md5sums").write_text(sums, encoding="utf-8")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
