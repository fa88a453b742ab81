"""What is seen while the program loads. Imports little more than Qt, so that it is there at once.

Qt draws it on all three systems. The splash of the bundler would come some tenths of a second earlier, but it needs
Tcl/Tk inside the bundle, does not exist on macOS, and would not be there for who installed the Python package.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QDeadlineTimer, QEventLoop, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPainter, QPixmap
from PySide6.QtWidgets import QSplashScreen

import histoloop
from histoloop import paths
from histoloop.gui.kit.theme import application_icon
from histoloop.language import tr

SIZE_PX = QSize(460, 200)
MARGIN_PX = 36
ICON_PX = 96
TEXT_LEFT_PX = MARGIN_PX + ICON_PX + 28
GROUND, INK, FAINT = "#143642", "#f4f7f8", "#a9c3cb"
PATIENCE_MS = 500
"""How long the desktop may take to put it on the screen before loading goes on without it."""


class Splash(QSplashScreen):
    """Name and version on a card; `finish(window)` takes it away when the window is there."""

    def __init__(self) -> None:
        super().__init__(_card())

    def show_at_once(self) -> None:
        """Show it and return when it is on the screen: what comes next keeps this thread busy for seconds."""
        self.show()
        patience = QDeadlineTimer(PATIENCE_MS)
        while not (self.windowHandle().isExposed() or patience.hasExpired()):
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, patience)
        self.repaint()
        QCoreApplication.processEvents()


def _card() -> QPixmap:
    ratio = QGuiApplication.primaryScreen().devicePixelRatio()
    card = QPixmap(SIZE_PX * ratio)
    card.setDevicePixelRatio(ratio)
    card.fill(QColor(GROUND))
    painter = QPainter(card)
    top = (SIZE_PX.height() - ICON_PX) // 2
    painter.drawPixmap(MARGIN_PX, top, application_icon().pixmap(QSize(ICON_PX, ICON_PX), ratio))
    _write(painter, top, 40, paths.APP_NAME, size_px=30, colour=INK)
    _write(painter, top + 42, 22, tr("Version {version}", version=histoloop.__version__), size_px=14, colour=FAINT)
    _write(painter, top + 70, 22, tr("Opening…"), size_px=14, colour=FAINT)
    painter.end()
    return card


def _write(painter: QPainter, top: int, height: int, text: str, *, size_px: int, colour: str) -> None:
    font = QFont(painter.font())
    font.setPixelSize(size_px)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    place = QRectF(TEXT_LEFT_PX, top, SIZE_PX.width() - TEXT_LEFT_PX, height)
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, text)
