"""Heads: found, fresh, scaled and folded, normalised."""

import copy

import pytest
import torch
from torch import nn

from sklearn_open.backbones import CosineClassifier, SmallCNN, SmallMLP, resnet32
from sklearn_open.decoupling._heads import (
    ScaledHead,
    check_is_linear,
    check_tau,
    find_head,
    fresh_head,
    normalized_head,
    put_head,
)


class TestFindHead:
    @pytest.mark.parametrize(
        ("network", "shape"),
        [
            (SmallCNN(in_channels=3, num_classes=4), (3, 8, 8)),
            (SmallCNN(in_channels=3, num_classes=4, head="cosine"), (3, 8, 8)),
            (SmallMLP(in_features=5, num_classes=4), (5,)),
            (resnet32(num_classes=4), (3, 32, 32)),
        ],
    )
    def test_it_is_what_gives_the_logits(self, network, shape):
        name = find_head(network, torch.zeros(2, *shape))
        head = network.get_submodule(name)
        assert isinstance(head, (nn.Linear, CosineClassifier))
        assert head.weight.shape[0] == 4
        assert network.training
        assert not head._forward_hooks

    def test_of_several_linear_layers_the_last_one(self):
        network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        assert find_head(network, torch.zeros(2, 3)) == "2"

    def test_the_output_may_have_more_parts(self):
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

            def forward(self, x):
                other = self.other(x)
                return self.one(x), other

        assert find_head(Two(), torch.zeros(2, 3)) == "one"

    @pytest.mark.parametrize(
        ("network", "shape"),
        [
            (nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), (3,)),
            (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()), (3, 1, 1)),
            (nn.Linear(3, 2), (3,)),
        ],
    )
    def test_a_network_without_one_is_refused(self, network, shape):
        with pytest.raises(ValueError, match="not the output of a linear layer"):
            find_head(network, torch.zeros(2, *shape))


def test_a_fresh_head_is_of_the_same_kind():
    linear = fresh_head(nn.Linear(5, 3, bias=False), 7)
    assert linear.weight.shape == (7, 5)
    assert linear.bias is None
    for scale in ("learnable", "oltr", 7.0):
        old = CosineClassifier(5, 3, scale)
        new = fresh_head(old, 7)
        assert new.weight.shape == (7, 5)
        assert type(new.scale) is type(old.scale)
        assert new.scale.item() == old.scale.item()
        assert new.squash == old.squash


@pytest.mark.parametrize("bias", [True, False])
def test_a_scale_is_folded_into_one_layer(bias):
    head = ScaledHead(nn.Linear(5, 3, bias=bias))
    x = torch.randn(4, 5)
    torch.testing.assert_close(head(x), head.linear(x), rtol=0, atol=0)  # it begins at 1
    with torch.no_grad():
        head.scale.copy_(torch.tensor([1.5, 1.0, -0.8]))
    torch.testing.assert_close(head.folded()(x), head(x))
    torch.testing.assert_close(head(x), head.scale * head.linear(x), rtol=0, atol=0)
    assert (head.folded().bias is not None) == bias


def test_published_scaled_logits():
    head = ScaledHead(nn.Linear(1, 3).double())
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.tensor([1.0, 2.0, 0.5]))  # the offset is multiplied, too
        head.scale.copy_(torch.tensor([1.5, 1.0, 0.8]))
    logits = head(torch.zeros(1, 1, dtype=torch.float64))
    torch.testing.assert_close(logits[0], torch.tensor([1.5, 2.0, 0.4], dtype=torch.float64))


class TestNormalizedHead:
    def test_weights_by_hand(self):
        head = nn.Linear(2, 3)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.6, 0.8]]))
        half = normalized_head(head, 0.5)
        expected = torch.tensor([[3 / 5**0.5, 4 / 5**0.5], [0, 2**0.5], [0.6, 0.8]])
        torch.testing.assert_close(half.weight, expected)
        assert not half.bias.any()
        torch.testing.assert_close(normalized_head(head, 1).weight.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(normalized_head(head, 0).weight, head.weight)
        assert head.bias.any()  # the old one is left alone

    def test_zeros_stay_zeros(self):
        head = nn.Linear(2, 2)
        nn.init.zeros_(head.weight)
        assert not normalized_head(head, 1.0).weight.any()

    @pytest.mark.parametrize("tau", ["1", None, float("nan"), float("inf"), True])
    def test_what_is_no_number_is_refused(self, tau):
        with pytest.raises(ValueError, match=r"tau=.*pass a number"):
            check_tau(tau)

    def test_cosine_heads_are_refused(self):
        with pytest.raises(ValueError, match="do not depend on them"):
            check_is_linear(CosineClassifier(2, 2), "tau divides weights")


def test_a_head_is_put_where_the_old_one_was():
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.ReLU())
    twin, head = copy.deepcopy(network), nn.Identity()
    put_head(twin, "0.0", head)
    assert twin[0][0] is head
    assert isinstance(network[0][0], nn.Linear)
