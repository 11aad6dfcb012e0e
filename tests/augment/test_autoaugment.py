"""AutoAugment."""

import numpy as np
import pytest
import torch

from sklearn_open.augment import _autoaugment as policies
from sklearn_open.augment import (
    check_augment,
    random_autoaugment,
    random_autoaugment_imagenet,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=3, height=32, width=32, seed=0):
    """Smooth 8-bit images: noise would be its own equalised, shifted, sharpened self."""
    coarse = torch.rand((n, channels, 4, 4), generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth * 255).round() / 255


def torchvision_draws(sub_policy, uniform, negative):
    """Put one sample's draws in the order in which torchvision asks for them."""
    for step, (name, probability, _) in enumerate(sub_policy):
        yield torch.tensor(uniform[step])
        if uniform[step] <= probability and name in policies.SIGNED:
            yield torch.tensor(0.0 if negative[step] else 1.0)


AUTOAUGMENT = [
    (random_autoaugment, policies.CIFAR10_POLICY, "CIFAR10"),
    (random_autoaugment_imagenet, policies.IMAGENET_POLICY, "IMAGENET"),
]


@pytest.mark.parametrize(("augment", "sub_policies", "name"), AUTOAUGMENT)
@pytest.mark.parametrize("size", [(32, 32), (20, 28)])
def test_autoaugment_equals_torchvision_sample_by_sample(
    monkeypatch, size, augment, sub_policies, name
):
    from torchvision.transforms import v2

    n = 400
    batch = images(n, 3, *size)
    draws = generator(11)
    policy = torch.randint(25, (n,), generator=draws).tolist()
    uniform = torch.rand((n, 2), generator=draws).tolist()
    negative = torch.randint(2, (n, 2), generator=draws).tolist()
    out = augment(batch, generator(11))

    reference = v2.AutoAugment(v2.AutoAugmentPolicy[name])
    for i in range(n):
        answers = torchvision_draws(sub_policies[policy[i]], uniform[i], negative[i])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_, i=i: torch.tensor(policy[i]))
            patch.setattr(torch, "rand", lambda *_, answers=answers: next(answers))
            expected = reference((batch[i] * 255).round().to(torch.uint8))
        assert torch.equal((out[i] * 255).round().to(torch.uint8), expected), policy[i]


def test_autoaugment_keeps_8_bit_images_that_drew_no_operation():
    batch = images(1000)
    same = (random_autoaugment(batch, generator()) == batch).flatten(1).all(1)
    nothing = np.mean([(1 - a[1]) * (1 - b[1]) for a, b in policies.CIFAR10_POLICY])
    # Some operations change nothing either, such as autocontrast of a full range.
    assert same.float().mean() >= nothing - 0.05


@pytest.mark.parametrize("name", ["autoaugment", "autoaugment_imagenet"])
def test_autoaugment_needs_rgb(name):
    with pytest.raises(ValueError, match=rf"'{name}' .* got 1 channels. Use augment='cutout'"):
        check_augment(name)(torch.zeros(2, 1, 8, 8), generator())
