"""The loss is that of the whole batch, and its gradient what one process would have."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open._distributed.gradients import average_gradients
from sklearn_open._distributed.whole_batch import forward_together, whole_batch
from sklearn_open.batching._batches import Batch
from sklearn_open.nn import convert_norm
from sklearn_open.nn._routing import forward_natural_first

CLOSE = {"rtol": 0, "atol": 1e-14}


def rows(n, *shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def own_part(x, n_natural, n_noise, ranks):
    natural, noise = ranks.share.rows(n_natural, n_noise)
    return torch.cat([x[:n_natural][natural], x[n_natural:][noise]])


SPLITS = [(8, 4), (7, 2), (5, 0), (0, 3), (2, 1), (1, 1)]


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
@pytest.mark.parametrize(("n_natural", "n_noise"), SPLITS)
def test_every_rank_has_all_rows_in_their_order(on_ranks, n_ranks, n_natural, n_noise):
    x = rows(n_natural + n_noise, 3)

    def gathered(ranks):
        return whole_batch(own_part(x, n_natural, n_noise, ranks), n_natural, n_noise, ranks)

    assert all(torch.equal(got, x) for got in on_ranks(n_ranks, gathered))


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_the_mean_over_ranks_of_gradients_is_that_of_one_process(on_ranks, n_ranks):
    """Also where rows have weights, and where a loss adds something for a parameter."""
    n_natural, n_noise = 5, 2
    x, y = rows(7, 4), torch.tensor([0, 1, 2, 1, 0, 2, 2])
    torch.manual_seed(0)
    linear, weight = nn.Linear(4, 3).double(), torch.tensor([1.0, 5, 0.3], dtype=torch.float64)

    def loss_of(net, logits):
        return F.cross_entropy(logits, y, weight) + net.weight.square().sum()

    def grads(ranks):
        net = copy.deepcopy(linear)
        own = net(own_part(x, n_natural, n_noise, ranks))
        loss = loss_of(net, whole_batch(own, n_natural, n_noise, ranks))
        loss.backward()
        average_gradients(net.parameters(), ranks)
        return [loss.detach(), *(p.grad for p in net.parameters())]

    loss = loss_of(linear, linear(x))
    loss.backward()
    for got in on_ranks(n_ranks, grads):
        expected = [loss.detach(), linear.weight.grad, linear.bias.grad]
        torch.testing.assert_close(got, expected, **CLOSE)


class TwoHeads(nn.Module):
    """Returns a tuple, as networks with auxiliary heads do."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        features = self.body(x).mean((2, 3))
        return self.head(features), self.other(features)


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
@pytest.mark.parametrize(("n_natural", "n_noise"), [(6, 3), (5, 1), (4, 0), (2, 1)])
def test_networks_with_batch_norm_return_what_one_process_has(on_ranks, norm, n_natural, n_noise):
    x = rows(n_natural + n_noise, 2, 5, 5)
    torch.manual_seed(0)
    net = convert_norm(TwoHeads().double(), norm).train()
    batch = Batch(x, torch.zeros(len(x), dtype=torch.long), n_noise)

    def together(ranks):
        own = copy.deepcopy(net)
        outputs = forward_together(own, own_part(x, n_natural, n_noise, ranks), batch, ranks)
        sum(part.square().sum() for part in outputs).backward()
        average_gradients(own.parameters(), ranks)
        grads = [p.grad for p in own.parameters()]
        return [part.detach() for part in outputs], grads, own.state_dict()

    found = on_ranks(3, together)
    expected = forward_natural_first(net, x, n_noise)
    sum(part.square().sum() for part in expected).backward()
    for outputs, grads, state in found:
        torch.testing.assert_close(outputs, [part.detach() for part in expected], **CLOSE)
        torch.testing.assert_close(state, net.state_dict(), **CLOSE)
        for got, parameter in zip(grads, net.parameters(), strict=True):
            assert (got is None) == (parameter.grad is None)
            if got is not None:
                torch.testing.assert_close(got, parameter.grad, rtol=1e-12, atol=1e-12)


def test_halves_are_widened_before_they_are_added(on_ranks):
    class Half(nn.Module):
        def forward(self, x):
            return x.bfloat16()

    x = rows(5, 3).float()
    batch = Batch(x, torch.zeros(5, dtype=torch.long))

    def together(ranks):
        return forward_together(Half(), own_part(x, 5, 0, ranks), batch, ranks)

    for got in on_ranks(2, together):
        assert got.dtype == torch.float32
        assert torch.equal(got, x.bfloat16().float())


class Reshapes(nn.Module):
    def forward(self, x):
        return x.reshape(len(x), -1)


def test_networks_that_take_no_rows_are_told_what_does(on_ranks):
    batch = Batch(torch.zeros(0), torch.zeros(5, dtype=torch.int64), n_noise=1)

    def call(ranks):
        n_own = 2 if ranks.rank == 0 else 3  # two natural rows each, and the noise row
        x = torch.zeros(n_own, 1, 2, 2)
        return forward_together(Reshapes(), x, batch, ranks)

    told = on_ranks(2, call)
    assert "Reshapes was called with 0 noise rows" in str(told[0])
    assert "larger batch_size, or on fewer ranks" in str(told[0])
