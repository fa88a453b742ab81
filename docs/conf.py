"""How the pages in this folder become a site (`make docs`); why Sphinx: decisions/0010-guide.md."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = (_ROOT / "app" / "histoloop" / "__init__.py").read_text(encoding="utf-8")

project = "HistoLoop"
author = "the HistoLoop developers"
copyright = author
release = version = re.search(r'__version__ = "(.+?)"', _PACKAGE)[1]  # type: ignore[index]
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
nitpicky = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"HistoLoop {release}"
html_logo = "../resources/icons/histoloop.svg"
html_favicon = "../resources/icons/histoloop.svg"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_theme_options = {
    "announcement": "Research use only. HistoLoop is not a diagnostic device.",
    "light_css_variables": {"color-brand-primary": "#12717f", "color-brand-content": "#12717f"},
    "dark_css_variables": {"color-brand-primary": "#4fb3c1", "color-brand-content": "#4fb3c1"},
}
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a browser does not let a page from a disk fetch the text of others
html_domain_indices = html_use_index = False
pygments_style, pygments_dark_style = "friendly", "monokai"
