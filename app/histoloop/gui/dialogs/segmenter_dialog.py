"""Which files the tool that finds objects works with: two of a Segment Anything model, or none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import button, label, row, set_role
from histoloop.language import tr


class SegmenterDialog(QDialog):
    """An encoder and a decoder as ONNX files; both empty: the way that is built in."""

    def __init__(self, parent: QWidget | None, *, encoder: str, decoder: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Model that finds objects"))
        self.setMinimumWidth(460)
        self.encoder, self.decoder = self._line(tr("Encoder"), encoder), self._line(tr("Decoder"), decoder)
        self.note = label(role="muted", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(
            label(
                tr(
                    "A Segment Anything model in two ONNX files that you have on this computer. Leave both empty for "
                    "the built-in way, which needs no files."
                ),
                wrap=True,
            )
        )
        for name, line in ((tr("Encoder"), self.encoder), (tr("Decoder"), self.decoder)):
            choose = button(tr("Choose…"))
            choose.setAccessibleName(f"{name}: {tr('Choose…')}")
            choose.clicked.connect(lambda _checked, line=line, name=name: self._choose(line, name))
            column.addLayout(row(label(name), line, choose, stretch=1))
        column.addWidget(self.note)
        column.addWidget(self.buttons)
        self._check()

    def files(self) -> tuple[str, str]:
        """The encoder and the decoder; empty for none."""
        return self.encoder.text().strip(), self.decoder.text().strip()

    def _line(self, name: str, path: str) -> QLineEdit:
        line = QLineEdit(path)
        line.setAccessibleName(name)
        line.setClearButtonEnabled(True)
        line.textChanged.connect(lambda _text: self._check())
        return line

    def _choose(self, line: QLineEdit, name: str) -> None:
        place = str(Path(line.text()).parent) if line.text() else ""
        chosen, _kind = QFileDialog.getOpenFileName(self, name, place, tr("ONNX models (*.onnx)"))
        if chosen:
            line.setText(chosen)

    def _check(self) -> None:
        why = self._why_not()
        self.note.setText(why)
        set_role(self.note, "bad" if why else "muted")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not why)

    def _why_not(self) -> str:
        """What is missing, in words."""
        files = self.files()
        if not any(files):
            return ""
        for path in files:
            if not path:
                return tr("Both files are needed: encoder and decoder.")
            if not Path(path).is_file():
                return tr("There is no file {path}.", path=path)
        if importlib.util.find_spec("onnxruntime") is None:
            return " ".join(
                (
                    tr("ONNX Runtime is not installed, which models of ONNX files need."),
                    tr('Install it with: pip install "histoloop[sam]". Until then the built-in way finds objects.'),
                )
            )
        return ""
