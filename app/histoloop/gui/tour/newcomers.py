"""What the tour shows to newcomers: the first steps, the loop in five steps, versions and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.gui.dialogs.about import AboutDialog
from histoloop.gui.dialogs.keys_dialog import KeysDialog
from histoloop.gui.window.newcomers.first_steps import LOOKING, FirstSteps
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.tour.driver import Tour


def begin_as_a_newcomer(tour: Tour) -> None:
    """The first steps and the loop in five steps: late, so that the welcome stays the first picture."""
    window = tour.window
    window.help_commands.first_steps()
    (first,) = window.findChildren(FirstSteps)
    tour.wait(lambda: first.machine.text() != tr(LOOKING) and first.folder_state.text(), "the first steps")
    tour.picture("first-steps", "What a first start asks and says", of=first)
    first.accept()
    tour.settle()
    tour.picture("five-steps", "The loop in five steps, above the slide")
    window.five_steps.close_button.click()
    window.help_commands.about()
    (about,) = window.findChildren(AboutDialog)
    tour.wait(about.list.rowCount, "the list of licences")
    tour.picture("about", "Versions and licences", of=about)
    about.close()
    window.actions_["shortcuts"].trigger()
    (keys,) = window.findChildren(KeysDialog)
    tour.settle()
    tour.picture("keys", "All keys, of both presets, to search", of=keys)
    keys.close()
