"""From validated arrays to batches on the device."""

from sklearn_open.batching._batches import (
    Batch,
    EpochBatches,
    EvalBatches,
    ImageDataset,
    LoaderBatches,
    TrainSet,
    taken,
)
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
