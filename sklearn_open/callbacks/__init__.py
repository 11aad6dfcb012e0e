"""Callbacks: the paper's learning rates, a progress bar, accuracy by class size."""

from sklearn_open.callbacks._schedules import GroupAccuracy, StepSchedule, TrainingProgress

__all__ = ["GroupAccuracy", "StepSchedule", "TrainingProgress"]
