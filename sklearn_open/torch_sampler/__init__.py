"""OPeN for a training loop of one's own: the plan of an epoch as a `DataLoader` takes it.

The sampler says which rows a batch has and which of them are noise; the data set puts noise in
their place. What a worker needs travels with the row, so any number of workers makes the same bits.
"""

from sklearn_open.torch_sampler._dataset import PureNoiseDataset
from sklearn_open.torch_sampler._row import PlannedRow
from sklearn_open.torch_sampler._sampler import PureNoiseBatchSampler

__all__ = ["PlannedRow", "PureNoiseBatchSampler", "PureNoiseDataset"]
