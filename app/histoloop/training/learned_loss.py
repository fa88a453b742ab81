from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LearnedLossSettings:
    """."""

    steps: int = 1


def learned_loss_scores(known, losses, pool, *, settings, device, seed):
    """."""
    import numpy as np

    return np.zeros(len(pool[0]))
