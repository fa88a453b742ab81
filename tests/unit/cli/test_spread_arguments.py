"""Where commands run: devices, parts of a cohort, processes and clusters, as they are written."""

from __future__ import annotations

import argparse

import pytest

from histoloop.cli import build_parser, main
from histoloop.cli.arguments import device, shard, spread_of
from histoloop.workflows.cluster.spread import Spread


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_devices_are_named_as_in_torch(text: str) -> None:
    assert device(text) == text


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:x", "cuda:-1", "1", ""])
def test_what_is_no_device_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="cuda:0"):
        device(text)


def test_a_part_is_counted_from_one() -> None:
    assert shard("1/1") == (1, 1)
    assert shard("3/8") == (3, 8)
    for text in ("0/8", "9/8", "3", "a/b", "3/", "-1/2"):
        with pytest.raises(argparse.ArgumentTypeError, match="2/8"):
            shard(text)


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "slides", "--out", "out"],
        ["evaluate", "--model", "m", "--data", "d"],
        ["simulate", "--data", "d", "--json", "j"],
        ["patches", "slides", "--masks", "m", "--out", "o"],
    ],
    ids=lambda command: command[0],
)
def test_commands_of_many_like_parts_take_jobs_and_dask(command: list[str]) -> None:
    options = build_parser().parse_args([*command, "--jobs", "3", "--dask", "tcp://host:8786"])
    assert spread_of(options) == Spread(3, "tcp://host:8786")
    assert spread_of(options).is_elsewhere
    assert spread_of(build_parser().parse_args(command)).is_here


def test_a_part_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "slides", "--out", "out", "--shard", "3/2"])
    assert stopped.value.code == 2
    assert "3/2 is not I/N" in capsys.readouterr().err
