"""Real widgets on a real X server; napari's canvas needs OpenGL, which Qt's offscreen platform does not have.

These tests run in processes of their own (see the Makefile): the process of a window must never load torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QCoreApplication, QEvent

from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtWidgets import QApplication

    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 180_000
SHORT_EPOCHS = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("win32", "darwin")
    if not display or os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        reason = "the window needs a display: run through packaging/with_display.sh"
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("slides")
    paths = {}
    for seed, label in enumerate(("benign", "malignant")):
        paths[label] = folder / f"{label}.tiff"
        spec = SyntheticSpec(seed=seed, width=1800, height=1000, mpp=0.5, label=label)
        finish(write_synthetic_slide(paths[label], spec))
    return paths


@pytest.fixture(scope="session")
def asked_project(slides: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two predicted slides and three open questions; made by the command line, never opened here."""
    folder = tmp_path_factory.mktemp("projects") / "asked"
    for arguments in (
        ["import", str(folder), *map(str, slides.values())],
        ["query", str(folder), "--count", "3", "--device", "cpu"],
    ):
        done = subprocess.run([sys.executable, "-m", "histoloop", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project_folder(asked_project: Path, tmp_path: Path) -> Path:
    """A copy of that project to work in."""
    return Path(shutil.copytree(asked_project, tmp_path / "project"))


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    """The program's own application object, in place of a plain one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own dependencies, as they are imported
        from histoloop.gui.application import Application
    return Application


@pytest.fixture
def delete_window() -> Callable[[MainWindow], None]:
    """Deletes a window at once, whatever it does: a change of theme colours every window that there still is."""

    def delete(window: MainWindow) -> None:
        window.session.jobs.shut_down()
        window.close()
        window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()

    return delete


@pytest.fixture
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick round that a test begins learns for ten epochs: enough to see what becomes of it."""
    from histoloop.gui.work.session import Session

    retrain = Session.retrain

    def shortened(session: Session, *, epochs: int | None = None) -> None:
        is_quick = session.how.learn_from == "masks" and session.how.pace == "quick"
        retrain(session, epochs=SHORT_EPOCHS if is_quick and epochs is None else epochs)

    monkeypatch.setattr(Session, "retrain", shortened)


@pytest.fixture
def window(
    qtbot, delete_window, short_rounds: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    """The window without a project; shut down at the end, whatever runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own dependencies, as they are imported
        from histoloop.gui.application import make_application
        from histoloop.gui.canvas.napari_canvas import load_the_rest
        from histoloop.gui.kit.settings import Settings
        from histoloop.gui.window.main_window import MainWindow

        load_the_rest()

    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    make_application()
    settings = Settings(tmp_path / "settings.ini")
    settings.set("learn_live", False)  # a child process that loads torch: for tests that want it
    window = MainWindow(settings)
    window.show()
    qtbot.waitExposed(window)
    yield window
    delete_window(window)


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Enter is pressed in each New project dialog that opens; what its heading said."""
    from keyboard import bring_up
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    from histoloop.gui.dialogs.new_project import NewProjectDialog

    headings: list[str] = []
    execute = NewProjectDialog.exec

    def executed(dialog: NewProjectDialog) -> int:
        def press() -> None:
            bring_up(dialog)
            headings.append(dialog.slides.text())
            QTest.keyClick(QApplication.focusWidget() or dialog, Qt.Key.Key_Return)

        QTimer.singleShot(0, press)
        return execute(dialog)

    monkeypatch.setattr(NewProjectDialog, "exec", executed)
    return headings


@pytest.fixture
def opened(window: MainWindow, project_folder: Path, qtbot) -> MainWindow:
    """The window with the project open and its first slide on the screen."""
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    assert window.viewer.wait_until_loaded()
    return window


@pytest.fixture
def painting(opened: MainWindow, qtbot) -> MainWindow:
    """The window with the first question's region ready to paint."""
    opened.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=30_000)
    assert opened.viewer.wait_until_loaded()
    return opened
