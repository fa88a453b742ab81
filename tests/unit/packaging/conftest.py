"""The scripts of packaging/ are no package: they are imported as they are when run, from their own folder."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parents[3] / "packaging")
if FOLDER not in sys.path:
    sys.path.append(FOLDER)
