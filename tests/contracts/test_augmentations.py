"""What every augmentation preset keeps, found by `PRESETS`."""

import pickle

import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.augment import check_augment
from sklearn_open.augment._presets import PRESETS


def batch():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def augmented(name, seed=0):
    return check_augment(name)(batch(), torch.Generator().manual_seed(seed))


def check_form_and_range(name):
    out = augmented(name)
    assert out.shape == batch().shape
    assert out.dtype == torch.float32
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def check_the_generator_is_all_that_is_drawn_from(name):
    before = torch.get_rng_state()
    torch.testing.assert_close(augmented(name), augmented(name), rtol=0, atol=0)
    assert not all(torch.equal(augmented(name), augmented(name, seed)) for seed in range(1, 6))
    assert torch.equal(torch.get_rng_state(), before)
    again = pickle.loads(pickle.dumps(check_augment(name)))
    out = again(batch(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(out, augmented(name), rtol=0, atol=0)


CHECKS = [check_form_and_range, check_the_generator_is_all_that_is_drawn_from]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(name, check):
    check(name)


def random_negative(batch, generator):
    """Make a throw-away augmentation: some images become their negatives."""
    negative = torch.rand(len(batch), generator=generator) < 0.5
    return torch.where(negative[:, None, None, None], 1 - batch, batch)


def test_a_new_one_needs_a_function_and_a_line(monkeypatch, images):
    monkeypatch.setitem(PRESETS, "negative", (random_negative,))
    for check in CHECKS:
        check("negative")
    OPeNClassifier(augment="negative", max_epochs=1, random_state=0, verbose=0).fit(*images)
