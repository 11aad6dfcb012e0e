"""Numbers on a device, made once."""

import numpy as np
import torch

from sklearn_open._constants import constant

CPU = torch.device("cpu")


def test_each_precision_has_its_own():
    third = np.array([1 / 3])
    assert constant(third, CPU).dtype == torch.float32
    assert constant(third, CPU, torch.float64).item() == 1 / 3
    assert constant(third, CPU, torch.float64) is constant(third.copy(), CPU, torch.float64)


def test_those_first_asked_for_in_inference_mode_can_be_trained_with():
    values = np.array([0.123456, 7])
    with torch.inference_mode():
        constant(values, CPU)
    z = torch.zeros(2, requires_grad=True)
    (z * constant(values, CPU)).sum().backward()
    assert z.grad.tolist() == constant(values, CPU).tolist()
