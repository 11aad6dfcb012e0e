"""A network in eval mode for a while."""

import pytest
from torch import nn

from sklearn_open.nn._modes import in_eval_mode


def test_every_layer_gets_its_own_mode_back():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.Linear(2, 2))
    network[0].eval()
    with in_eval_mode(network):
        assert not any(layer.training for layer in network.modules())
    assert [layer.training for layer in network.modules()] == [True, False, True, True]
    with pytest.raises(KeyError), in_eval_mode(network):
        raise KeyError
    assert [layer.training for layer in network.modules()] == [True, False, True, True]
