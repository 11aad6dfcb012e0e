"""The rates of classes: what they begin as, how rows are drawn by them, what their gradient is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_open.decoupling._meta_sampler import MetaSampler, draw_balanced

COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]  # CIFAR-10-LT at 100


def begun(counts, power=0.0, dtype=torch.float64):
    sampler = MetaSampler(len(counts), power).to(dtype)
    sampler.begin(counts)
    return sampler


RATES = {
    0: [0.5] * 10,
    0.1: [
        *(0.386863, 0.407179, 0.428572, 0.451058, 0.474787),
        *(0.49967, 0.525903, 0.553545, 0.582836, 0.613137),
    ],
    0.3: [
        *(0.20076, 0.234079, 0.272946, 0.318202, 0.371108),
        *(0.432569, 0.504338, 0.588117, 0.686507, 0.79924),
    ],
}


@pytest.mark.parametrize(("power", "rates"), RATES.items())
def test_published_rates(power, rates):
    found = begun(COUNTS, power).rates.detach()
    np.testing.assert_allclose(found, rates, rtol=2e-5)
    np.testing.assert_allclose(begun(COUNTS, power, torch.float32).rates.detach(), rates, rtol=2e-5)


def test_published_shares():
    expected = [0.403031, 0.241577, 0.144769, 0.0868128, 0.051991, 0.0311946, 0.0187006, 0.0112043]
    expected += [0.00669031, 0.00403031]
    np.testing.assert_allclose(begun(COUNTS).shares(COUNTS), expected, rtol=2e-5)
    np.testing.assert_allclose(begun(COUNTS, 1.0).shares(COUNTS), [0.1] * 10, rtol=2e-5)


def test_a_class_without_rows_is_never_drawn():
    sampler = begun([5, 0, 3], 0.5)
    assert sampler.shares([5, 0, 3])[1] == 0
    codes = torch.tensor([0] * 5 + [2] * 3)
    draw = sampler.draw(codes, 500, torch.Generator().manual_seed(0))
    assert set(draw.codes.tolist()) == {0, 2}
    weights = sampler.straight_through(draw)
    (gradient,) = torch.autograd.grad((weights * torch.rand(500)).sum(), sampler.theta)
    assert torch.isfinite(gradient).all()


GUMBEL = torch.tensor([[0.3, -0.2, 1.4, 0.1], [0.2, 0.9, -0.5, 2.0]], dtype=torch.float64)
CODES = torch.tensor([0, 0, 0, 1])


def with_theta(*theta):
    sampler = MetaSampler(len(theta)).double()
    with torch.no_grad():
        sampler.theta.copy_(torch.tensor(theta))
    return sampler


def test_published_draws():
    sampler = with_theta(0.2, -0.1)
    draw = sampler.draw_by(torch.exp(-GUMBEL), CODES)
    assert draw.rows.tolist() == [2, 3]
    assert draw.codes.tolist() == [0, 1]
    log_p = (sampler.rates[CODES] / sampler.rates[CODES].sum()).log()
    soft = (log_p + GUMBEL).softmax(1).detach()
    expected = [[0.18804, 0.114052, 0.564902, 0.133006], [0.114458, 0.23049, 0.0568381, 0.598214]]
    np.testing.assert_allclose(soft, expected, rtol=2e-5)
    selected = sampler.rates[draw.codes] * draw.own / (draw.of_classes * sampler.rates).sum(1)
    np.testing.assert_allclose(selected.detach(), [0.564902, 0.598214], rtol=2e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(1, 30), st.integers(1, 8), st.integers(0, 10**6))
def test_gradients_are_those_of_soft_samples_over_all_rows(n_classes, n, n_draws, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(n_classes, (n,), generator=generator)
    theta = torch.randn(n_classes, dtype=torch.float64, generator=generator)
    numbers = torch.empty(n_draws, n, dtype=torch.float64).exponential_(generator=generator)
    losses = torch.rand(n_draws, dtype=torch.float64, generator=generator)
    sampler = with_theta(*theta.tolist())
    draw = sampler.draw_by(numbers, codes)
    weights = sampler.straight_through(draw)
    assert torch.equal(weights, torch.ones(n_draws, dtype=torch.float64))
    (found,) = torch.autograd.grad((weights * losses).sum(), sampler.theta)

    own = sampler.theta.detach().clone().requires_grad_()
    rates = torch.sigmoid(own)[codes]
    soft = ((rates / rates.sum()).log() - numbers.log()).softmax(1)
    assert torch.equal(soft.argmax(1), draw.rows)
    (expected,) = torch.autograd.grad((soft.max(1).values * losses).sum(), own)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


def test_rows_are_drawn_by_their_rates(monkeypatch):
    from sklearn_open.decoupling import _meta_sampler

    monkeypatch.setattr(_meta_sampler, "AT_ONCE", 1000)  # several chunks
    sampler = with_theta(-1.0, 1.5)
    codes = torch.tensor([0] * 30 + [1] * 10)
    draw = sampler.draw(codes, 20_000, torch.Generator().manual_seed(0))
    weights = torch.sigmoid(torch.tensor([-1.0, 1.5]))[codes]
    shares = torch.bincount(draw.rows, minlength=40) / 20_000
    torch.testing.assert_close(shares, weights / weights.sum(), rtol=0, atol=0.006)
    assert torch.equal(draw.codes, codes[draw.rows])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 40))
def test_balanced_rows(codes, n_draws):
    codes = np.array(codes)
    rows = draw_balanced(codes, n_draws, np.random.RandomState(0))
    assert len(rows) == n_draws
    drawn = np.bincount(codes[rows], minlength=6)[np.unique(codes)]
    assert np.ptp(drawn) <= 1
    many = draw_balanced(codes, 6 * 300, np.random.RandomState(0))
    assert set(many) == set(range(len(codes)))  # every row can be drawn


def test_classes_that_have_no_rows_yet_change_no_other_rate():
    found = begun([50, 0, 5, 0], 1.0).rates.detach()
    np.testing.assert_allclose(found[[0, 2]], begun([50, 5], 1.0).rates.detach())
    np.testing.assert_allclose(found[[1, 3]], found[2])


def test_extreme_powers_stay_finite():
    sampler = begun(COUNTS, 50.0)
    assert torch.isfinite(sampler.theta).all()
    assert sampler.shares(COUNTS)[-1] > 0.9
