"""Measure a model on a data set: labels, masks by each of its drawings, robustness; pictures of it all."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from histoloop.errors import DataError
from histoloop.networks.drawing import drawings
from histoloop.networks.gradcam import grad_cam, layer_named, normalised
from histoloop.progress import Progress, Work
from histoloop.training.classify import label_report
from histoloop.training.datasets import DataSet, Split, read_dataset
from histoloop.training.ddn import DdnSettings
from histoloop.training.outputs import TileOutput, look_at, normalise
from histoloop.training.samples import TrainingTile, collate
from histoloop.workflows.models import LoadedModel, choose_device, load_model
from histoloop.workflows.robustness import measure_robustness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
