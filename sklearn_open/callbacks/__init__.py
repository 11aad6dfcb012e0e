"""Callbacks: the paper's learning rates, what is shown of a training, accuracy by class size."""

from sklearn_open.callbacks._averaging import WeightAveraging
from sklearn_open.callbacks._epoch_log import EpochLog
from sklearn_open.callbacks._group_accuracy import GroupAccuracy
from sklearn_open.callbacks._max_norm import MaxNorm
from sklearn_open.callbacks._progress import TrainingProgress
from sklearn_open.callbacks._schedules import StepSchedule

__all__ = [
    "EpochLog",
    "GroupAccuracy",
    "MaxNorm",
    "StepSchedule",
    "TrainingProgress",
    "WeightAveraging",
]
