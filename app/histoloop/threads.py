"""How the threads of the numerical libraries behave beside other programs."""

from __future__ import annotations

import os


def wait_without_spinning() -> None:
    """Let OpenMP's threads sleep while they wait for each other; call it before torch is loaded.

    By default they spin, and when another program takes one of the cores, all others burn theirs until it comes back:
    a training step on two cores was seen to take ten times as long. What the user has set is left as it is.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
