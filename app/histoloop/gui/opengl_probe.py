"""Make an OpenGL context and report whose it is: run in a process of its own, since a broken driver can end it."""

from __future__ import annotations

import json

from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

_RENDERER, _VERSION = 0x1F01, 0x1F02


def probe() -> int:
    """Print {"version", "renderer"} as JSON; 1 with a reason on standard error when there is no context."""
    application = QGuiApplication.instance() or QGuiApplication([])
    surface = QOffscreenSurface()
    surface.create()
    context = QOpenGLContext()
    if not context.create() or not context.makeCurrent(surface):
        raise SystemExit("no OpenGL context can be made")
    functions = context.functions()
    print(json.dumps({"version": functions.glGetString(_VERSION), "renderer": functions.glGetString(_RENDERER)}))  # noqa: T201
    context.doneCurrent()
    del application
    return 0
