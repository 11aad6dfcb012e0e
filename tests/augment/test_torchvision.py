"""Transforms of torchvision inside of functions and objects."""

from functools import partial

import pytest
import torch
from torchvision.transforms import v2

from sklearn_open.augment import check_augment

FLIP = v2.RandomHorizontalFlip()


def generator():
    return torch.Generator().manual_seed(0)


def closure():
    flip = v2.RandomHorizontalFlip()
    return lambda batch: flip(batch)


def applied(batch, transform):
    return transform(batch)


def calls_a_global(batch):
    return FLIP(batch)


class Holder:
    """A callable that holds transforms, in a list."""

    def __init__(self):
        self.transforms = [v2.RandomHorizontalFlip()]

    def __call__(self, batch):
        return self.transforms[0](batch)


class Wrapped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = [FLIP]

    def forward(self, batch):
        return self.steps[0](batch)


@pytest.mark.parametrize(
    "function",
    [
        closure(),
        partial(applied, transform=FLIP),
        calls_a_global,
        Holder(),
        Holder().__call__,
        FLIP.forward,
        Wrapped(),
    ],
    ids=["closure", "partial", "global", "object", "bound method", "forward", "module"],
)
def test_each_image_has_draws_of_its_own(function):
    one = torch.rand(1, 3, 8, 8, generator=generator())
    out = check_augment(function)(one.expand(40, -1, -1, -1), generator())
    assert len({tuple(image.flatten().tolist()) for image in out}) == 2


def test_functions_without_such_transforms_get_whole_batches():
    seen = []

    def count(batch):
        seen.append(len(batch))
        return batch

    check_augment(count)(torch.rand(6, 3, 8, 8), generator())
    assert seen == [6]
