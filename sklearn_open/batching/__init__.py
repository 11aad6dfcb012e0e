"""Batches: rows gathered by the plan of an epoch, augmented, joined by noise, normalised."""

from sklearn_open.batching._batches import Batch, EpochBatches, EvalBatches, LoaderBatches
from sklearn_open.batching._dataset import ImageDataset, TrainSet, taken
from sklearn_open.batching._transform import BatchTransform, check_normalize

__all__ = [
    "Batch",
    "BatchTransform",
    "EpochBatches",
    "EvalBatches",
    "ImageDataset",
    "LoaderBatches",
    "TrainSet",
    "check_normalize",
    "taken",
]
