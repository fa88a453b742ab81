"""The frozen program that installers pack: a folder with two programs and `_internal/`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXECUTABLES = ("histoloop", "histoloop-gui")


def check_bundle(bundle: Path) -> None:
    """FileNotFoundError when a folder is not the frozen program."""
    for name in (*EXECUTABLES, "_internal"):
        if not (bundle / name).exists():
            raise FileNotFoundError(f"{bundle} is not the frozen program: it has no {name}. Run `make bundle` first.")


def has_cuda(bundle: Path) -> bool:
    """Whether its PyTorch can use a GPU."""
    return any((bundle / "_internal").rglob("*torch_cuda*"))


def files(folder: Path) -> Iterator[Path]:
    """All files and links below a folder, sorted; links are not followed."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        at = type(folder)(parent)
        linked = [name for name in folders if (at / name).is_symlink()]
        yield from (at / name for name in sorted([*names, *linked]))


def link_tree(source: Path, target: Path) -> None:
    """Lay the files of a folder out a second time without a second copy of their content, with plain permissions.

    A file whose permissions are not 0644 or 0755 is copied, so that the source keeps its own; so is every file when
    `target` is on another file system.
    """
    for path in files(source):
        made = target / path.relative_to(source)
        made.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            made.symlink_to(path.readlink())
            continue
        mode = path.stat().st_mode & 0o7777
        plain = 0o755 if mode & 0o100 else 0o644
        if mode != plain or not _hard_linked(path, made):
            shutil.copyfile(path, made)
            made.chmod(plain)
            os.utime(made, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))


def _hard_linked(path: Path, made: Path) -> bool:
    try:
        made.hardlink_to(path)
    except OSError:
        return False
    return True
