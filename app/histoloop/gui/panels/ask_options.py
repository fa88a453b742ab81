"""What is asked: how the regions are chosen, how many, how large, and how many of them at random."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSpinBox, QVBoxLayout, QWidget

from histoloop.acquisition.advice import FIRST
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.gui.kit.widgets import Fold, NarrowBox, button, label, row
from histoloop.language import mark, tr
from histoloop.workflows.contents.candidate_regions import LARGEST_MAP_PX, REGION_MAP_PX, SMALLEST_MAP_PX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.workflows.contents.budget import Advised

PAPERS: Mapping[str, str] = {
    "label-prop": "Belharbi et al. 2020",
    "ssl-al": "Zolfaghari Bengar et al. 2021",
    "tod": "Huang et al. 2022",
}
"""The short names of the papers in `Strategy.source`, for people."""

SIZES = (
    (mark("Small"), mark("small regions"), 256),
    (mark("Medium"), mark("medium regions"), REGION_MAP_PX),
    (mark("Large"), mark("large regions"), 768),
)
SHARES = ((mark("None"), 0.0), (mark("A quarter"), 0.25), (mark("Half"), 0.5))
ADVICE: Mapping[str, str] = {
    "random": mark("With {share} annotated, the papers would ask at random."),
    "entropy": mark("With {share} annotated, the papers would ask where the model is unsure."),
    FIRST: mark("As long as no model has been trained, covering the tissue is the better choice."),
}
"""What the papers would do, by the strategies that acquisition/advice.py names."""

MOST_QUESTIONS = 60


@dataclass(frozen=True, slots=True)
class HowToAsk:
    """Strategy and number of questions, side of a region in pixels that the model sees, share sampled at random."""

    strategy: str = "entropy"
    count: int = 6
    region_map_px: int = REGION_MAP_PX
    random_share: float = 0.0

    def __post_init__(self) -> None:
        fits = self.strategy in STRATEGIES and 1 <= self.count <= MOST_QUESTIONS
        if not fits or not SMALLEST_MAP_PX <= self.region_map_px <= LARGEST_MAP_PX or not 0 <= self.random_share <= 1:
            raise ValueError(f"cannot ask by {self}")


class AskOptions(QWidget):
    """Shows and emits how to ask; `questions_requested` when the user wants to be asked now."""

    changed = Signal(object)
    questions_requested = Signal(str, int)

    def __init__(self, *, ask_tip: str) -> None:
        super().__init__()
        self._ready = False
        self.strategy = NarrowBox()
        for strategy in STRATEGIES.values():
            self.strategy.addItem(tr(strategy.title), strategy.name)
            tip = f"<p>{escape(tr(strategy.sentence))}</p><p><i>{escape(source_in_words(strategy.source))}</i></p>"
            self.strategy.setItemData(self.strategy.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.strategy.setMaxVisibleItems(len(STRATEGIES))
        self.count = QSpinBox(minimum=1, maximum=MOST_QUESTIONS, value=HowToAsk().count)
        self.count.setToolTip(tr("How many regions"))
        self.count.setAccessibleName(tr("How many regions"))
        self.sentence = label(role="muted", wrap=True)
        self.advice = label(role="muted", wrap=True)
        self.advice.setTextFormat(Qt.TextFormat.RichText)
        self.advice.linkActivated.connect(self._on_why)
        self.advice.setVisible(False)
        self.side = NarrowBox()
        for title, _regions, side in SIZES:
            self.side.addItem(tr("{size} ({pixels} px)", size=tr(title), pixels=side), side)
        self.side.setToolTip(tr("Side of a region in pixels as the model sees them; at most 2048 pixels of the slide"))
        self.share = NarrowBox()
        for title, share in SHARES:
            self.share.addItem(tr(title), share)
        why = tr(
            "Some of the questions are sampled anywhere in the tissue. Every fourth region that you paint is "
            "held out to measure the model: with random ones among them, the result holds for all tissue."
        )
        self.share.setToolTip(f"<p>{why}</p>")
        self.more = Fold(_two_rows((tr("Region size"), self.side), (tr("Of these, at random"), self.share)))
        self.ask = button(tr("Ask me"), primary=True, tip=ask_tip)
        self.ask.clicked.connect(self.ask_now)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(row(self.strategy, self.count, stretch=0))
        column.addWidget(self.sentence)
        column.addWidget(self.advice)
        column.addWidget(self.more)
        column.addWidget(self.ask)
        self._advised: Advised | None = None
        self._explained = False
        for box in (self.strategy, self.side, self.share):
            box.currentIndexChanged.connect(lambda _index: self._on_changed())
        self.count.valueChanged.connect(lambda _value: self._on_changed())
        self.take(HowToAsk())
        self._ready = True

    def how(self) -> HowToAsk:
        """What is chosen."""
        return HowToAsk(
            strategy=self.strategy.currentData(),
            count=self.count.value(),
            region_map_px=self.side.currentData(),
            random_share=self.share.currentData(),
        )

    def take(self, how: HowToAsk) -> None:
        """Show what was chosen before, without emitting."""
        blockers = [QSignalBlocker(box) for box in (self.strategy, self.count, self.side, self.share)]
        self.strategy.setCurrentIndex(self.strategy.findData(how.strategy))
        self.count.setValue(how.count)
        if self.side.findData(how.region_map_px) < 0:
            self.side.addItem(tr("{pixels} px", pixels=how.region_map_px), how.region_map_px)
        self.side.setCurrentIndex(self.side.findData(how.region_map_px))
        if self.share.findData(how.random_share) < 0:
            self.share.addItem(tr("{percent:.0f}%", percent=100 * how.random_share), how.random_share)
        self.share.setCurrentIndex(self.share.findData(how.random_share))
        del blockers
        self._describe()

    def ask_now(self) -> None:
        """Ask with what is chosen here."""
        how = self.how()
        self.questions_requested.emit(how.strategy, how.count)

    def show_advice(self, advised: Advised | None) -> None:
        """What the papers would do at this budget; None: nothing is known of it."""
        self._advised = advised
        self._describe()

    def changeEvent(self, event: QEvent) -> None:
        """Give the link the colour of a new theme: a label keeps the one it had when its text was set."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._ready:
            self.advice.clear()
            self._describe()

    def _on_changed(self) -> None:
        self._describe()
        self.changed.emit(self.how())

    def _on_why(self, _link: str) -> None:
        self._explained = not self._explained
        self._describe()

    def _describe(self) -> None:
        how, strategy = self.how(), STRATEGIES[self.strategy.currentData()]
        self.sentence.setText(tr(strategy.sentence))
        self.strategy.setToolTip(self.strategy.currentData(Qt.ItemDataRole.ToolTipRole))
        self.more.set_title(_more_text(how))
        self.advice.setVisible(self._advised is not None)
        if self._advised is not None:
            source = source_in_words(strategy.source)
            self.advice.setText(_advice_text(self._advised, how.strategy, source if self._explained else ""))


def source_in_words(source: str) -> str:
    """A strategy's source, translated, with the papers' authors instead of their short names."""
    source = tr(source)
    for short, authors in PAPERS.items():
        source = source.replace(short, authors)
    return source


def _more_text(how: HowToAsk) -> str:
    named = {side: regions for _title, regions, side in SIZES}
    regions = tr(named.get(how.region_map_px, "")) or tr("{pixels} px regions", pixels=how.region_map_px)
    if not how.random_share:
        return tr("More: {regions}, none at random", regions=regions)
    return tr("More: {regions}, {percent:.0f}% at random", regions=regions, percent=100 * how.random_share)


def _advice_text(advised: Advised, chosen: str, source: str) -> str:
    """A line, or with the `source` of the chosen strategy all that is known."""
    if source:
        return f'{escape(advised.text)}<br><i>{escape(source)}</i> <a href="why">{tr("Less")}</a>'
    share = _percent(advised.share)
    if chosen == advised.strategy:
        text = tr("With {share} annotated, so would the papers.", share=share)
    else:
        text = tr(ADVICE[advised.strategy], share=share)
    return f'{escape(text)} <a href="why">{tr("Why?")}</a>'


def _percent(share: float) -> str:
    return tr("under 1%") if 0 < share < 0.01 else tr("{percent:.0f}%", percent=100 * share)


def _two_rows(*entries: tuple[str, QWidget]) -> QWidget:
    held = QWidget()
    grid = QGridLayout(held)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(6)
    grid.setColumnStretch(1, 1)
    for number, (text, widget) in enumerate(entries):
        grid.addWidget(label(text), number, 0)
        grid.addWidget(widget, number, 1)
    return held


def how_to_ask(kept: Any) -> HowToAsk:
    """What a project has kept, as a JSON value; the usual where it is nothing or cannot be read."""
    try:
        return HowToAsk(**kept)
    except (TypeError, ValueError):
        return HowToAsk()
