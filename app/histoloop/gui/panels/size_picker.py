"""How much of a region is foreground: a slider in steps of 5 %, a box for the exact number, and no answer at first."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QSlider, QSpinBox, QStyle, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import button, label, leave_wheel_to_panel, row
from histoloop.language import spoken, tr

STEP_PERCENT = 5
UNSAID = -1
"""Value of the box while no size was given."""

_HANDLE_PX = 16
_STATE_PX = 28


class SizePicker(QWidget):
    """Tells the size (0..1) that the user settles on, and None when it is taken back."""

    size_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.slider = _JumpSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Size of the region"))
        self.slider.setRange(0, 100 // STEP_PERCENT)
        self.slider.setPageStep(2)
        self.slider.setToolTip(tr("Your estimate, in steps of 5% (keys: , less, . more)"))
        self.box = _PercentBox()
        self.box.setAccessibleName(tr("Size of the region"))
        self.box.setToolTip(tr("Your estimate in percent"))
        self.take_back = button("\N{MULTIPLICATION SIGN}", tip=tr("Clear the size"))
        self.take_back.setFixedWidth(30)
        self.take_back.setObjectName("small")
        self.state = label(role="muted", wrap=True)
        self.state.setMinimumHeight(_STATE_PX)  # what is below stays where it is when the button comes
        self.use_mask = button(tr("Use the mask"), tip=tr("Use the painted share of the region as its size"))
        self.use_mask.setObjectName("small")
        for widget in (self.slider, self.box):
            leave_wheel_to_panel(widget)
        self._value: float | None = None
        self._told: float | None = None
        self._painted: float | None = None
        self.slider.valueChanged.connect(lambda step: self._take(step * STEP_PERCENT / 100))
        self.slider.sliderPressed.connect(lambda: self._take(self.slider.value() * STEP_PERCENT / 100))
        self.slider.sliderReleased.connect(self._emit)
        self.box.valueChanged.connect(lambda percent: self._take(None if percent == UNSAID else percent / 100))
        self.take_back.clicked.connect(lambda: self._take(None))
        self.use_mask.clicked.connect(self.take_from_mask)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row(self.slider, self.box, self.take_back, stretch=0))
        column.addLayout(row(self.state, self.use_mask, stretch=0))
        self._show()

    @property
    def value(self) -> float | None:
        """The size given; None while there is none."""
        return self._value

    def set_value(self, value: float | None) -> None:
        """Show a size, without telling it."""
        self._value = self._told = value
        self._show()

    def set_painted(self, share: float | None) -> None:
        """Show what share of the region (0..1) the user's mask covers; None while none was painted."""
        self._painted = share
        self._show()

    def take_from_mask(self) -> None:
        """Say the share that is painted."""
        if self._painted is not None:
            self._take(round(self._painted, 2))

    def step(self, *, more: bool) -> None:
        """One step of 5 % more or less, from none to 0 % or 5 %."""
        self.box.stepBy(1 if more else -1)

    def commit(self) -> None:
        """Take a number that is being typed."""
        self.box.interpretText()
        self._emit()

    def _take(self, value: float | None) -> None:
        self._value = value
        self._show()
        if not self.slider.isSliderDown():
            self._emit()

    def _emit(self) -> None:
        if self._value != self._told:
            self._told = self._value
            self.size_chosen.emit(self._value)

    def _show(self) -> None:
        percent = UNSAID if self._value is None else round(100 * self._value)
        for widget, shown in ((self.box, percent), (self.slider, round(max(0, percent) / STEP_PERCENT))):
            widget.blockSignals(True)
            widget.setValue(shown)
            widget.blockSignals(False)
        self.take_back.setEnabled(self._value is not None)
        self.use_mask.setVisible(self._painted is not None and round(100 * self._painted) != percent)
        self.state.setText(self._in_words())
        _set_unsaid(self.slider, self._value is None)

    def _in_words(self) -> str:
        if self._painted is not None:
            return tr("The mask covers {percent:.0f}%.", percent=100 * self._painted)
        return tr("Leave it open if you cannot tell.") if self._value is None else tr("Your estimate.")


class _JumpSlider(QSlider):
    """A slider that goes to where it is clicked."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        room = self.width() - _HANDLE_PX
        place = round(event.position().x() - _HANDLE_PX / 2)
        value = QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), place, room)
        self.setSliderDown(True)
        self.setValue(value)
        super().mousePressEvent(event)


class _PercentBox(QSpinBox):
    """Whole percents, or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(UNSAID, 100)
        self.setSingleStep(STEP_PERCENT)
        self.setSpecialValueText(tr("Not set"))
        self.setSuffix(spoken().percent)
        self.setValue(UNSAID)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def stepBy(self, steps: int) -> None:
        """Steps of 5 % to multiples of 5; the first step gives 5 % or 0 %."""
        before = max(0, self.value())
        whole = before // STEP_PERCENT if steps > 0 else -(-before // STEP_PERCENT)
        self.setValue(min(100, max(0, (whole + steps) * STEP_PERCENT)))

    def event(self, event: QEvent) -> bool:
        """Keys that are typed here are no shortcuts of the window: Return takes the number, Esc drops it."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return and Esc give the keys back to the window."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            if event.key() == Qt.Key.Key_Escape:
                self.setValue(self.value())
            else:
                self.interpretText()
            self.clearFocus()
            return
        super().keyPressEvent(event)


def _set_unsaid(widget: QSlider, unset: bool) -> None:
    if widget.property("unset") != unset:
        widget.setProperty("unset", unset)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
