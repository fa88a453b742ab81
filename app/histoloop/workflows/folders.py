"""What a folder is like as a place for projects, in words for the user."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from histoloop.language import tr
from histoloop.workflows.doctor import ENOUGH_DISK_GB

if TYPE_CHECKING:
    from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "afpfs", "webdav", "davfs", "ncpfs", "9p", "fuse.sshfs"}
)


@dataclass(frozen=True, slots=True)
class FolderState:
    """Whether projects can be made in a folder, and what to say about it."""

    usable: bool
    said: str


def examine_folder(folder: Path) -> FolderState:
    """Try to write where the folder is, or where it would be made; nothing stays there. May wait for a network."""
    if not folder.is_absolute():
        return FolderState(False, tr("Give a whole path, from the root or the drive on."))
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if there is None:
        missing = folder.anchor or folder
        said = tr("There is no {place}: connect the disk, or choose another folder.", place=missing)
        return FolderState(False, said)
    if not there.is_dir():
        return FolderState(False, tr("{path} is a file: choose a folder.", path=there))
    try:
        with tempfile.TemporaryFile(dir=there) as trial:
            trial.write(b"HistoLoop")
        free_gb = shutil.disk_usage(there).free / 1e9
    except OSError as error:
        return FolderState(
            False,
            tr(
                "You may not write to {folder} ({reason}): choose a folder of your own.",
                folder=there,
                reason=error.strerror,
            ),
        )
    said = tr("{free:.0f} GB are free there.", free=free_gb)
    if free_gb < ENOUGH_DISK_GB:
        said = tr("Only {free:.1f} GB are free there: maps and models need more.", free=free_gb)
    if is_on_network(there):
        slow = tr("It is on a network drive: that works, but a folder on a disk of this computer is faster and safer.")
        said = f"{said} {slow}"
    return FolderState(True, said)


def is_on_network(folder: Path) -> bool:
    """Whether a folder that exists is on a file system of another machine, as far as this one tells."""
    if str(folder).startswith("\\\\"):
        return True
    path = os.path.realpath(folder)
    mounts = [mount for mount in psutil.disk_partitions(all=True) if _inside(path, mount.mountpoint)]
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint), default=None)
    if nearest is None:
        return False
    return nearest.fstype.lower() in NETWORK_FILE_SYSTEMS or "remote" in nearest.opts.split(",")


def _inside(path: str, mountpoint: str) -> bool:
    return path == mountpoint or path.startswith(mountpoint.rstrip("/\\") + os.sep)
