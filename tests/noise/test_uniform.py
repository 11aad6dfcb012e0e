"""Uniform noise."""

import torch

from sklearn_open._random import keyed_generator
from sklearn_open.noise import (
    check_noise,
)


def test_uniform_noise_covers_the_range():
    sample = check_noise("uniform").sample(torch.zeros(50), (3, 8, 8), keyed_generator("cpu", 0))
    assert sample.min() < 0.01
    assert sample.max() > 0.99
    assert abs(float(sample.mean()) - 0.5) < 0.01
