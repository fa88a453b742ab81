"""Man pages follow the arguments."""

from __future__ import annotations

import argparse
import shutil
import subprocess

import pytest

from histoloop.cli import build_parser
from installers.manual import man_page, man_pages

RELEASED = 1_780_000_000


@pytest.fixture(scope="module")
def pages(program) -> dict[str, str]:
    return man_pages(program, RELEASED)


def test_both_programs_have_a_page(pages):
    assert sorted(pages) == ["histoloop-gui.1", "histoloop.1"]


def test_every_listed_command_and_its_options_are_on_the_page(pages):
    page = pages["histoloop.1"].replace(r"\-", "-")
    for line in build_parser().format_help().splitlines():
        if line.startswith("    ") and line[4:5].strip():
            assert f'.SS "histoloop {line.split()[0]}"' in page
    assert r"--strategy" in page
    assert "probe-opengl" not in page


def test_the_page_carries_version_and_date(pages, program):
    assert f'.TH HISTOLOOP 1 2026-05-28 "HistoLoop {program.version}" "User Commands"' in pages["histoloop.1"]


def test_what_roff_would_read_as_its_own_is_escaped(program):
    parser = argparse.ArgumentParser(prog="x", description=".start with a\\b and 'c'")
    parser.add_argument("--half", help="50%% of %(prog)s")
    page = man_page(parser, summary="s", program=program, released=RELEASED)
    assert r"\&.start with a\eb and \(aqc\(aq" in page
    assert "50% of x" in page


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_a_strict_reader_finds_nothing_wrong(pages, tmp_path):
    for name, page in pages.items():
        (tmp_path / name).write_text(page)
        read = subprocess.run(["mandoc", "-Tlint", "-Wwarning", tmp_path / name], capture_output=True, text=True)
        assert read.stdout == ""
