"""A row cannot be taken for an index."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from sklearn_open.torch_sampler import PlannedRow


def test_noise_is_what_has_a_seed():
    assert PlannedRow(3, 1, 0).is_noise
    assert not PlannedRow(3, 1, None).is_noise


def test_a_data_set_without_noise_does_not_take_a_planned_row_for_an_index():
    class Plain(Dataset):
        def __init__(self, X):
            self.X = X

        def __getitem__(self, i):
            return self.X[i]

    row = PlannedRow(0, 0, 1)
    for X in (np.zeros((9, 3, 2, 2)), torch.zeros(9, 3, 2, 2), [1, 2, 3]):
        with pytest.raises((IndexError, TypeError)):
            Plain(X)[row]
