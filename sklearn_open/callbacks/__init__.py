"""Callbacks: the paper's learning rates, a progress bar, accuracy by class size."""

from sklearn_open.callbacks._group_accuracy import GroupAccuracy
from sklearn_open.callbacks._progress import TrainingProgress
from sklearn_open.callbacks._schedules import StepSchedule

__all__ = ["GroupAccuracy", "StepSchedule", "TrainingProgress"]
