"""What the macOS bundle says of itself, for the spec's BUNDLE and for the disk picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installers.icons import write_icns

if TYPE_CHECKING:
    from pathlib import Path

    from installers.program import FileType, Program

MINIMUM_SYSTEM = "13.0"
"""The oldest macOS that Qt 6.10 and PyTorch's wheels run on."""


def write_macos_parts(folder: Path) -> None:
    """Write histoloop.icns to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_icns(folder / "histoloop.icns")


def info_plist(program: Program) -> dict[str, Any]:
    """The keys of Info.plist that PyInstaller does not set itself."""
    return {
        "CFBundleName": program.name,
        "CFBundleDisplayName": program.name,
        "CFBundleIdentifier": program.id,
        "CFBundleShortVersionString": program.version,
        "CFBundleVersion": program.version,
        "CFBundleDevelopmentRegion": "en",
        "CFBundleLocalizations": [texts.language for texts in program.menu],  # for the system's own dialogs
        "CFBundleDocumentTypes": [_document_type(kind) for kind in program.types],
        "UTExportedTypeDeclarations": [_declaration(kind) for kind in program.types if kind.ours],
        "UTImportedTypeDeclarations": [
            _declaration(kind) for kind in program.types if not kind.ours and kind.uti_parent is not None
        ],
        "LSApplicationCategoryType": "public.app-category.medical",
        "LSMinimumSystemVersion": MINIMUM_SYSTEM,
        "NSHighResolutionCapable": True,
        "NSSupportsAutomaticGraphicsSwitching": True,
        "NSHumanReadableCopyright": f"{program.publisher}. Apache-2.0. {program.notice}",
    }


def _document_type(kind: FileType) -> dict[str, Any]:
    return {
        "CFBundleTypeName": kind.title,
        "CFBundleTypeRole": "Editor" if kind.ours else "Viewer",
        "LSHandlerRank": "Owner" if kind.ours else "Alternate",
        "LSItemContentTypes": [kind.uti],
    }


def _declaration(kind: FileType) -> dict[str, Any]:
    return {
        "UTTypeIdentifier": kind.uti,
        "UTTypeDescription": kind.title,
        "UTTypeConformsTo": [kind.uti_parent],
        "UTTypeTagSpecification": {
            "public.filename-extension": list(kind.extensions),
            "public.mime-type": [kind.mime],
        },
    }
