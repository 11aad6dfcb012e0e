"""Gradients are the mean over ranks, wherever they are."""

import pytest
import torch

from sklearn_open._distributed import gradients
from sklearn_open._distributed.gradients import average_gradients

FLOAT64 = torch.float64


def parameters(rank, *, dtypes=(FLOAT64,) * 3):
    """Three parameters with gradients of their own on each rank."""
    made = [
        torch.zeros(shape, dtype=dtype, requires_grad=True)
        for shape, dtype in zip([(3, 2), (4,), ()], dtypes, strict=True)
    ]
    for i, parameter in enumerate(made):
        generator = torch.Generator().manual_seed(10 * rank + i)
        grad = torch.randn(parameter.shape, generator=generator, dtype=FLOAT64)
        parameter.grad = grad.to(parameter.dtype)
    return made


def averaged(ranks, **settings):
    made = parameters(ranks.rank, **settings)
    average_gradients(made, ranks)
    return [parameter.grad for parameter in made]


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_the_mean_over_ranks(on_ranks, n_ranks):
    expected = [
        torch.stack([p.grad for p in of_ranks]).mean(0)
        for of_ranks in zip(*map(parameters, range(n_ranks)), strict=True)
    ]
    for grads in on_ranks(n_ranks, averaged):
        torch.testing.assert_close(grads, expected, rtol=0, atol=1e-15)


def test_all_ranks_get_the_same_bits(on_ranks):
    first, *others = on_ranks(3, averaged)
    for grads in others:
        assert all(torch.equal(a, b) for a, b in zip(first, grads, strict=True))


@pytest.mark.parametrize("n_bytes", [1, 50, 60])
def test_the_size_of_buckets_changes_nothing(on_ranks, monkeypatch, n_bytes):
    expected = on_ranks(2, averaged)
    monkeypatch.setattr(gradients, "BUCKET_BYTES", n_bytes)
    torch.testing.assert_close(on_ranks(2, averaged), expected, rtol=0, atol=0)


def test_how_many_buckets_travel(on_ranks, monkeypatch):
    def count(ranks):
        sent = []
        add_up, ranks.add_up = ranks.add_up, lambda flat: (sent.append(len(flat)), add_up(flat))
        average_gradients(parameters(ranks.rank), ranks)
        return sent

    assert on_ranks(2, count) == [[6 + 4 + 1]] * 2
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 48)
    assert on_ranks(2, count) == [[6, 4 + 1]] * 2


def test_dtypes_travel_apart(on_ranks):
    dtypes = (torch.float32, FLOAT64, torch.bfloat16)
    for grads in on_ranks(2, lambda ranks: averaged(ranks, dtypes=dtypes)):
        assert [grad.dtype for grad in grads] == list(dtypes)
        expected = (parameters(0)[1].grad + parameters(1)[1].grad) / 2
        torch.testing.assert_close(grads[1], expected, rtol=0, atol=1e-15)


def test_gradients_that_are_not_everywhere(on_ranks):
    def some(ranks):
        made = parameters(ranks.rank)
        made[0].grad = None  # a head that nobody has called
        if ranks.rank == 0:
            made[1].grad = None
        made[2].requires_grad_(False)  # a frozen one
        before = made[2].grad.clone()
        average_gradients(made, ranks)
        assert torch.equal(made[2].grad, before)
        return made[0].grad, made[1].grad

    for nowhere, somewhere in on_ranks(2, some):
        assert nowhere is None
        torch.testing.assert_close(somewhere, parameters(1)[1].grad / 2, rtol=0, atol=0)


def test_gradients_stay_where_and_as_they_are(on_ranks):
    """Optimisers and callbacks hold on to them, and kernels want the layout of the weights."""

    def strides(ranks):
        weight = torch.zeros(4, 3, 2, 2, requires_grad=True)
        weight.grad = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
        grad, stride = weight.grad, weight.grad.stride()
        average_gradients([weight], ranks)
        return weight.grad is grad and grad.stride() == stride

    assert on_ranks(2, strides) == [True, True]


def test_nothing_to_train_is_nothing_to_send(on_ranks):
    assert on_ranks(2, lambda ranks: average_gradients([], ranks)) == [None, None]
