"""What a Linux desktop wants to know: menu entry, kinds of files, a page for the software centre, icons, man pages."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from installers.icons import write_hicolor
from installers.manual import man_pages

if TYPE_CHECKING:
    from pathlib import Path

    from installers.program import FileType, MenuTexts, Program


def write_share(share: Path, program: Program, *, bin_folder: str, released: int) -> None:
    """Fill a `share` folder with everything of this module.

    `bin_folder` with a slash at its end goes before the program's name in the menu entry; '' leaves it to the PATH.
    """
    texts = {
        f"applications/{program.id}.desktop": desktop_entry(program, bin_folder=bin_folder),
        f"mime/packages/{program.id}.xml": mime_types(program),
        f"metainfo/{program.id}.metainfo.xml": metainfo(program, released=released),
    }
    for name, text in texts.items():
        path = share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_hicolor(share / "icons" / "hicolor", program.package)
    for name, page in man_pages(program, released).items():
        write_gz(share / "man" / "man1" / f"{name}.gz", page)


def write_gz(path: Path, text: str) -> None:
    """Write a text, compressed as well as gzip can, with neither its name nor the time inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def desktop_entry(program: Program, *, bin_folder: str) -> str:
    """The menu entry; it also says which files the program opens."""
    command = f"{bin_folder}histoloop-gui"
    generic_names = "\n".join(_in(texts, "GenericName", texts.generic_name) for texts in program.menu)
    comments = "\n".join(_in(texts, "Comment", texts.summary) for texts in program.menu)
    demos = "\n".join(_in(texts, "Name", texts.demo) for texts in program.menu)
    return f"""[Desktop Entry]
Type=Application
Version=1.4
Name={program.name}
{generic_names}
{comments}
Exec={command} %F
Icon={program.package}
Terminal=false
StartupNotify=true
StartupWMClass={program.name}
Categories=Science;Biology;MedicalSoftware;ImageProcessing;
Keywords={"".join(f"{word};" for word in program.keywords)}
MimeType={"".join(f"{kind.mime};" for kind in program.types)}
Actions=demo;

[Desktop Action demo]
{demos}
Exec={command} --demo
"""


def _in(texts: MenuTexts, key: str, value: str) -> str:
    """A key of the entry; English is what it says to everybody else."""
    return f"{key}={value}" if texts.language == "en" else f"{key}[{texts.language}]={value}"


def mime_types(program: Program) -> str:
    """The kinds of files that the shared MIME database does not have."""
    kinds = "".join(_mime_type(kind, program) for kind in program.types if kind.mime_parent)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
{kinds}</mime-info>
"""


def _mime_type(kind: FileType, program: Program) -> str:
    globs = "".join(f'    <glob pattern="*.{extension}"/>\n' for extension in kind.extensions)
    icon = f'    <icon name="{program.package}"/>\n' if kind.ours else '    <generic-icon name="image-x-generic"/>\n'
    return f"""  <mime-type type={quoteattr(kind.mime)}>
    <comment>{escape(kind.title)}</comment>
{icon}    <sub-class-of type={quoteattr(kind.mime_parent or "")}/>
{globs}  </mime-type>
"""


def metainfo(program: Program, *, released: int) -> str:
    """The AppStream page of the program."""
    day = datetime.fromtimestamp(released, UTC).date().isoformat()
    paragraphs = "".join(f"    <p>{escape(text)}</p>\n" for text in (*program.description, program.notice))
    keywords = "".join(f"    <keyword>{escape(word)}</keyword>\n" for word in program.keywords)
    media = "".join(f"    <mediatype>{escape(kind.mime)}</mediatype>\n" for kind in program.types)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<component type="desktop-application">
  <id>{program.id}</id>
  <metadata_license>CC0-1.0</metadata_license>
  <project_license>Apache-2.0</project_license>
  <name>{escape(program.name)}</name>
  <summary>{escape(program.summary)}</summary>
  <developer id="{program.id.rpartition(".")[0]}">
    <name>{escape(program.publisher)}</name>
  </developer>
  <description>
{paragraphs}  </description>
  <launchable type="desktop-id">{program.id}.desktop</launchable>
  <icon type="stock">{program.package}</icon>
  <categories>
    <category>Science</category>
    <category>MedicalSoftware</category>
  </categories>
  <keywords>
{keywords}  </keywords>
  <provides>
    <binary>histoloop</binary>
    <binary>histoloop-gui</binary>
{media}  </provides>
  <content_rating type="oars-1.1"/>
  <releases>
    <release version="{program.version}" date="{day}"/>
  </releases>
</component>
"""
