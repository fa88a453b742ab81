"""Which language the window speaks, and that Qt speaks it too; see docs/decisions/0011-languages.md."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator

from histoloop.language import ENGLISH, Language, best_of, speak

if TYPE_CHECKING:
    from PySide6.QtCore import QCoreApplication

    from histoloop.gui.kit.settings import Settings

_log = logging.getLogger(__name__)

SYSTEM = "system"
"""The choice of the language that the desktop is in, as far as the program speaks it."""


def chosen_language(settings: Settings) -> str:
    """Code of the language that the user chose, or of the desktop's."""
    chosen = settings.text("language", SYSTEM)
    return best_of(QLocale.system().uiLanguages() if chosen == SYSTEM else [chosen])


def speak_as_chosen(application: QCoreApplication, settings: Settings) -> Language:
    """Speak what the user chose, or the desktop's language; windows that are open already keep theirs."""
    language = speak(chosen_language(settings))
    QLocale.setDefault(QLocale(language.code))  # how Qt writes numbers
    _translate_qt(application, language)
    return language


def _translate_qt(application: QCoreApplication, language: Language) -> None:
    """Have the buttons and menus that Qt brings along (Cancel, Yes, Copy) in the language."""
    for translator in application.findChildren(QTranslator):
        application.removeTranslator(translator)
        translator.deleteLater()
    if language is ENGLISH:
        return
    translator = QTranslator(application)
    if translator.load(f"qtbase_{language.code}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        application.installTranslator(translator)
    else:
        _log.warning("Qt has no texts in %s here; its own buttons stay English", language.name)
