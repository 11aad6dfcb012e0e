"""The bilevel step: published numbers, finite differences, the real optimisers."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open.decoupling._meta_sampler import MetaSampler
from sklearn_open.decoupling._meta_step import (
    check_is_differentiable,
    gradient_through_step,
    stepped,
)
from sklearn_open.losses import BalancedSoftmaxLoss

GUMBEL = torch.tensor([[0.3, -0.2, 1.4, 0.1], [0.2, 0.9, -0.5, 2.0]], dtype=torch.float64)
CODES = torch.tensor([0, 0, 0, 1])
FEATURES = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.8, -0.2], [-0.4, 1.0]], dtype=torch.float64)
META = torch.tensor([[0.9, 0.1], [-0.3, 0.8]], dtype=torch.float64)
META_CODES = torch.tensor([0, 1])


def close(found, expected):
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found.detach(), expected, rtol=2e-5, atol=1e-8)


def published():
    head = nn.Linear(2, 2).double()
    sampler = MetaSampler(2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.1, -0.2], [0.0, 0.3]]))
        head.bias.copy_(torch.tensor([0.05, -0.05]))
        sampler.theta.copy_(torch.tensor([0.2, -0.1]))
    return head, sampler


def inner_loss(head, sampler, theta=None):
    draw = sampler.draw_by(torch.exp(-GUMBEL), CODES)
    rows = BalancedSoftmaxLoss(class_counts=[3, 1], reduction="none")(
        head(FEATURES[draw.rows]), draw.codes
    )
    return rows, (sampler.straight_through(draw) * rows).mean()


def test_published_step():
    head, sampler = published()
    rows, loss = inner_loss(head, sampler)
    close(rows, [0.224685, 1.07572])
    close(loss, 0.650203)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    gradients = torch.autograd.grad(loss, [head.weight, head.bias], create_graph=True)
    after = stepped(optimizer, dict(zip([head.weight, head.bias], gradients, strict=True)))
    close(after[head.weight], [[0.121228, -0.23496], [-0.0212283, 0.33496]])
    close(after[head.bias], [0.0271142, -0.0271142])
    outer = []

    def judge(network):
        outer.append(F.cross_entropy(network(META), META_CODES))
        return outer[-1]

    _, loss = inner_loss(head, sampler)
    gradient = gradient_through_step(head, optimizer, loss, judge, sampler.theta)
    close(outer[0], 0.563903)
    close(gradient, [0.0012463, -0.00145342])
    adam = torch.optim.Adam([sampler.theta], lr=0.01)
    sampler.theta.grad = gradient
    adam.step()
    close(sampler.theta, [0.19, -0.0900001])
    close(head.weight, [[0.1, -0.2], [0.0, 0.3]])  # nothing has moved


OPTIMIZERS = {
    "plain": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.4),
    "fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5),
}


@pytest.mark.parametrize("n_before", [0, 1, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_the_step_of_the_optimizer(name, n_before):
    torch.manual_seed(0)
    weight, bias = (nn.Parameter(torch.randn(n, dtype=torch.float64)) for n in (4, 2))
    groups = [{"params": [weight]}, {"params": [bias], "lr": 0.03}]
    optimizer = OPTIMIZERS[name](groups)
    for _ in range(n_before):
        weight.grad, bias.grad = torch.randn(4).double(), torch.randn(2).double()
        optimizer.step()
    optimizer.zero_grad()
    before, state = [weight.clone(), bias.clone()], copy.deepcopy(optimizer.state_dict())
    gradients = {
        p: torch.randn(len(p), dtype=torch.float64, requires_grad=True) for p in (weight, bias)
    }
    found = stepped(optimizer, gradients)
    assert torch.equal(weight, before[0])
    assert torch.equal(bias, before[1])
    assert str(optimizer.state_dict()) == str(state)
    assert weight.grad is None
    weight.grad, bias.grad = (g.detach().clone() for g in gradients.values())
    optimizer.step()
    exact = 1e-5 if name.startswith("adam") else 1e-12  # torch counts its steps in float32 then
    torch.testing.assert_close(found[weight].detach(), weight.detach(), rtol=exact, atol=exact)
    torch.testing.assert_close(found[bias].detach(), bias.detach(), rtol=exact, atol=exact)
    assert found[weight].requires_grad


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_gradient_by_finite_differences(name):
    """Of the outer loss, where the weight of each row's loss is what is moved."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    network[0].bias.requires_grad_(False)
    optimizer = OPTIMIZERS[name]([p for p in network.parameters() if p.requires_grad])

    def outer(theta):
        rows = F.cross_entropy(network(FEATURES), CODES, reduction="none")
        trained = [p for p in network.parameters() if p.requires_grad]
        loss = (theta * rows).mean()
        gradients = torch.autograd.grad(loss, trained, create_graph=True)
        after = stepped(optimizer, dict(zip(trained, gradients, strict=True)))
        changed = {n: after[p] for n, p in network.named_parameters() if p in after}
        return F.cross_entropy(torch.func.functional_call(network, changed, (META,)), META_CODES)

    theta = torch.tensor([0.5, 1.0, 2.0, 1.5], dtype=torch.float64, requires_grad=True)
    rows = F.cross_entropy(network(FEATURES), CODES, reduction="none")
    found = gradient_through_step(
        network,
        optimizer,
        (theta * rows).mean(),
        lambda called: F.cross_entropy(called(META), META_CODES),
        theta,
    )
    small = 1e-6
    for i in range(4):
        shift = torch.eye(4, dtype=torch.float64)[i] * small
        difference = outer(theta.detach() + shift) - outer(theta.detach() - shift)
        assert abs(found[i] - difference / (2 * small)) < 1e-6 * max(1, abs(found[i]))


def test_optimizers_that_torch_cannot_differentiate_are_refused():
    with pytest.raises(ValueError, match="cannot differentiate a step of LBFGS"):
        check_is_differentiable(torch.optim.LBFGS(nn.Linear(1, 1).parameters()))


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_what_has_no_gradient_has_no_say(name):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2).double()
    x = torch.cat([FEATURES, torch.zeros(4, 1, dtype=torch.float64)], dim=1)  # a constant column
    theta = torch.ones(4, dtype=torch.float64, requires_grad=True)
    rows = F.cross_entropy(layer(x), CODES, reduction="none")
    found = gradient_through_step(
        layer,
        OPTIMIZERS[name](layer.parameters()),
        (theta * rows).mean(),
        lambda called: F.cross_entropy(called(x), CODES),
        theta,
    )
    assert torch.isfinite(found).all()
    assert found.any()


def outer_after(network, optimizer):
    theta = torch.ones(4, dtype=torch.float64, requires_grad=True)
    rows = F.cross_entropy(network(FEATURES), CODES, reduction="none")
    return gradient_through_step(
        network,
        optimizer,
        (theta * rows).mean(),
        lambda called: F.cross_entropy(called(META), META_CODES),
        theta,
    )


def test_layers_of_two_names_and_shared_parameters():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    aliased = nn.ModuleDict({"other": plain[2], "layers": plain})
    aliased.forward = plain.forward
    sgd = torch.optim.SGD(plain.parameters(), lr=0.5)
    expected = outer_after(plain, sgd)
    torch.testing.assert_close(outer_after(aliased, sgd), expected)
    assert isinstance(plain[2].weight, nn.Parameter)  # as it was
    torch.testing.assert_close(outer_after(aliased, sgd), expected)

    tied = nn.Sequential(
        nn.Linear(2, 2, bias=False), nn.Tanh(), nn.Linear(2, 2, bias=False)
    ).double()
    tied[2].weight = tied[0].weight
    found = outer_after(tied, torch.optim.SGD(tied.parameters(), lr=0.5))

    def by_hand(theta):
        weight = tied[0].weight

        def call(w, x):
            return (x @ w.T).tanh() @ w.T

        rows = F.cross_entropy(call(weight, FEATURES), CODES, reduction="none")
        (g,) = torch.autograd.grad((theta * rows).mean(), weight, create_graph=True)
        return F.cross_entropy(call(weight.detach() - 0.5 * g, META), META_CODES)

    theta = torch.ones(4, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(by_hand(theta), theta)
    torch.testing.assert_close(found, expected)
