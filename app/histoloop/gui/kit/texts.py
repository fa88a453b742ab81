"""Texts that stand in several places of the window."""

from __future__ import annotations

from histoloop.language import mark

NOTICE = mark("Research use only. HistoLoop is not a diagnostic device.")
