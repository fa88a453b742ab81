"""What the demo tells, of one foreground and of classes."""

from __future__ import annotations

from histoloop.workflows.experiments.demo import DemoReport, DemoRound


def test_a_demo_of_one_foreground_reports_what_it_always_did() -> None:
    report = DemoReport(0, "cpu", (DemoRound(0, 0, 0.5), DemoRound(1, 4, 0.75)), 1.5)
    assert report.as_json() == {
        "seed": 0,
        "device": "cpu",
        "rounds": [{"round": 0, "annotations": 0, "dice": 0.5}, {"round": 1, "annotations": 4, "dice": 0.75}],
        "seconds": 1.5,
    }


def test_a_demo_of_classes_reports_their_dice_too() -> None:
    report = DemoReport(0, "cpu", (DemoRound(0, 0, 0.5, 0.25),), 1.5)
    assert report.as_json()["rounds"] == [{"round": 0, "annotations": 0, "dice": 0.5, "class_dice": 0.25}]
