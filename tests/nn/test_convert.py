"""Conversion keeps everything about a network but the class of its norm layers."""

import copy
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune

from sklearn_open import OPeNClassifier
from sklearn_open.exceptions import NoBatchNormWarning, UnsupportedNormError
from sklearn_open.nn import DARNorm, convert_norm, forward_mixed, noise_route, revert_norm

TORCHVISION = [
    "resnet18",
    "resnext50_32x4d",
    "densenet121",
    "efficientnet_b0",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "regnet_y_400mf",
    "mnasnet0_5",
    "vgg11_bn",
]


def torchvision_model(name):
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=4)


def timm_model(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=4, pretrained=False)


def check_round_trip(model, size):
    types = {name: type(layer) for name, layer in model.named_modules()}
    parameters = {name: id(p) for name, p in model.named_parameters()}
    buffers = {name: id(b) for name, b in model.named_buffers()}
    keys = list(model.state_dict())
    plain = copy.deepcopy(model)

    converted = convert_norm(model)
    assert converted is model
    norms = [layer for layer in model.modules() if isinstance(layer, DARNorm)]
    assert norms
    assert {name: id(p) for name, p in model.named_parameters()} == parameters
    assert {name: id(b) for name, b in model.named_buffers()} == buffers
    assert list(model.state_dict()) == keys

    x = torch.rand(6, 3, size, size)
    all_natural = torch.zeros(6, dtype=torch.bool)
    torch.manual_seed(1)  # dropout
    expected = plain(x)
    torch.manual_seed(1)
    torch.testing.assert_close(forward_mixed(model, x, all_natural), expected, rtol=0, atol=0)
    mixed = forward_mixed(model, x, torch.tensor([True, False, True, False, False, True]))
    assert mixed.shape == (6, 4)
    mixed.sum().backward()

    assert revert_norm(model) is model
    assert {name: type(layer) for name, layer in model.named_modules()} == types
    assert not any("noise" in name for layer in model.modules() for name in layer.__dict__)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_models(name):
    check_round_trip(torchvision_model(name), 64 if name != "vgg11_bn" else 32)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_timm_models(name):
    check_round_trip(timm_model(name), 32)


def test_timm_norm_with_activation_keeps_it_on_noise_rows():
    model = timm_model("efficientnet_b0")
    layer = next(layer for layer in model.modules() if type(layer).__name__ == "BatchNormAct2d")
    convert_norm(layer)
    layer.on_noise_route = True
    x = torch.randn(4, layer.num_features, 3, 3)
    norm = nn.functional.batch_norm(x, None, None, layer.weight, layer.bias, True, 0.0, layer.eps)
    torch.testing.assert_close(layer(x), layer.act(layer.drop(norm)))


def test_nested_shared_and_hooked_layers():
    shared = nn.BatchNorm2d(3)
    calls = []
    shared.register_forward_hook(lambda *_: calls.append(1))
    net = nn.Sequential(shared, nn.Sequential(nn.Identity(), nn.Sequential(shared)))
    net.alias = shared
    convert_norm(net)
    assert net[0] is net[1][1][0] is net.alias
    assert isinstance(shared, DARNorm)
    net[0](torch.rand(2, 3, 4, 4))
    assert calls == [1]


def test_training_flags_dtype_and_device_are_kept():
    net = nn.Sequential(nn.BatchNorm2d(3).double().eval(), nn.BatchNorm1d(3).to("meta"))
    convert_norm(net)
    assert [layer.training for layer in net] == [False, True]
    assert net[0].weight.dtype == torch.float64
    assert net[1].weight.device.type == "meta"


def test_an_optimizer_made_before_still_trains_the_network():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    convert_norm(net)
    before = net[1].weight.detach().clone()
    (net(torch.rand(4, 3, 5, 5)) ** 3).sum().backward()
    optimizer.step()
    assert not torch.equal(net[1].weight, before)


def test_converting_again_changes_the_gradient_and_reverting_twice_is_harmless():
    net = convert_norm(nn.Sequential(nn.BatchNorm2d(4)))
    kind = type(net[0])
    convert_norm(net, noise_grad="all")
    assert type(net[0]) is kind
    assert net[0].noise_grad == "all"
    assert type(revert_norm(revert_norm(net))[0]) is nn.BatchNorm2d


def test_a_subclass_keeps_its_behaviour():
    class Doubled(nn.BatchNorm2d):
        def forward(self, x):
            return 2 * super().forward(x)

    layer = convert_norm(Doubled(4))
    assert isinstance(layer, Doubled)
    x = torch.rand(3, 4, 5, 5)
    layer.on_noise_route = True
    torch.testing.assert_close(
        layer(x), 2 * nn.functional.batch_norm(x, None, None, training=True, eps=layer.eps)
    )


def test_a_network_without_batch_norm_warns():
    with pytest.warns(NoBatchNormWarning, match="Sequential has no batch norm"):
        convert_norm(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))


def test_norms_that_do_not_mix_rows_are_left_alone():
    net = nn.Sequential(
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, track_running_stats=True),
        nn.GroupNorm(2, 4),
        torchvision.ops.FrozenBatchNorm2d(4),
    )
    types = [type(layer) for layer in net[1:]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_norm(net)
    assert [type(layer) for layer in net[1:]] == types


class OwnBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(4))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.LazyBatchNorm2d(), "LazyBatchNorm2d that does not know its channels"),
        (OwnBatchNorm(), "OwnBatchNorm: it keeps batch statistics"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_path(layer, message):
    net = nn.ModuleDict({"body": nn.Sequential(nn.BatchNorm2d(4), layer)})
    with pytest.raises(UnsupportedNormError, match=rf"'body\.1' is a {message}"):
        convert_norm(net)
    assert type(net["body"][0]) is nn.BatchNorm2d  # nothing was changed


def test_parametrized_norms_are_refused_and_pruned_ones_hold_gamma_constant():
    net = nn.Sequential(nn.BatchNorm2d(3))
    torch.nn.utils.parametrize.register_parametrization(net[0], "weight", nn.Softplus())
    with pytest.raises(UnsupportedNormError, match=r"'0'.*Remove the parametrization first"):
        convert_norm(net)

    pruned = nn.Sequential(nn.BatchNorm2d(3))
    prune.l1_unstructured(pruned[0], "weight", amount=1)
    convert_norm(pruned, noise_grad="all")
    x = torch.rand(4, 3, 5, 5, requires_grad=True)
    with noise_route(pruned):
        (pruned(x) ** 3).sum().backward()
    assert x.grad.abs().max() > 0
    assert all(p.grad is None for p in pruned.parameters())


@pytest.mark.parametrize("module", [None, nn.BatchNorm2d])
def test_only_networks_are_converted(module):
    with pytest.raises(TypeError, match=r"needed is a torch\.nn\.Module instance"):
        convert_norm(module)


def test_a_lazy_network_can_be_converted_after_its_first_call():
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    net(torch.rand(2, 3, 5, 5))
    assert isinstance(convert_norm(net)[1], DARNorm)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"norm": "layer"}, "norm='layer' is unknown"), ({"noise_grad": "no"}, "noise_grad='no'")],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        convert_norm(nn.BatchNorm2d(4), **kwargs)


@pytest.mark.parametrize("name", ["running_std", "moving_mean", "ema_var", "running_mean"])
def test_layers_with_statistics_of_their_own_are_refused(name):
    layer = nn.Identity()
    layer.register_buffer(name, torch.zeros(3))
    with pytest.raises(UnsupportedNormError, match="'0' is a Identity: it keeps batch statistics"):
        convert_norm(nn.Sequential(layer, nn.BatchNorm2d(3)))


def test_instance_norm_with_statistics_is_named_at_fit(images):
    norms = [nn.InstanceNorm2d(4, track_running_stats=True), nn.InstanceNorm2d(4)]
    for norm in norms:
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), norm, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)
        )
        clf = OPeNClassifier(net, max_epochs=1, start_epoch=0, random_state=0, verbose=0)
        if norm.track_running_stats:
            with pytest.warns(UserWarning, match="noise rows change what '1' of Sequential keep"):
                clf.fit(*images)
        else:
            clf.fit(*images)


class KeepsMean(nn.Module):
    """Statistics under a name of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mu", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.mu.mul_(0.9).add_(0.1 * x.detach().mean((0, 2, 3)))
        return x


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
def test_statistics_of_any_name_are_named_at_fit(images, norm):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), KeepsMean(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)
    )
    settings = {"max_epochs": 1, "start_epoch": 0, "random_state": 0, "verbose": 0}
    with pytest.warns(UserWarning, match="noise rows change what '1' of Sequential keep"):
        OPeNClassifier(net, norm=norm, **settings).fit(*images)
    OPeNClassifier(net, norm=norm, resampler=None, **settings).fit(*images)


def test_spectral_norm_is_no_statistic_of_rows(images):
    conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))
    net = nn.Sequential(conv, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    OPeNClassifier(net, max_epochs=1, start_epoch=0, random_state=0, verbose=0).fit(*images)


def test_frozen_batch_norm_among_routed_layers_is_named(images):
    frozen = torchvision.ops.FrozenBatchNorm2d(4)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), frozen, nn.Flatten(), nn.Linear(144, 3)
    )
    with pytest.warns(UserWarning, match=r"'2' of Sequential are frozen.*that has, '1'"):
        OPeNClassifier(net, max_epochs=1, start_epoch=0, random_state=0, verbose=0).fit(*images)
