"""norm=: the classifier with DAR-BN and with the norms that it is compared with."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch._dynamo.testing import CompileCounter

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN, WideResNet
from sklearn_open.exceptions import NoBatchNormWarning
from sklearn_open.nn import AuxNorm, revert_norm

NORMS = ("dar", "aux", "standard")


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16, "delta": 1}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def assert_same(one, other):
    states = [{**clf.module_.state_dict()} for clf in (one, other)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert one.history[:, "train_loss"] == other.history[:, "train_loss"]
    states = one.optimizer_.state_dict(), other.optimizer_.state_dict()
    torch.testing.assert_close(*states, rtol=0, atol=0)


def second_layers(clf):
    return [layer.auxiliary for layer in clf.module_.modules() if isinstance(layer, AuxNorm)]


def test_the_default_is_the_paper_s(images):
    assert OPeNClassifier().norm == "dar"
    assert_same(make(norm="dar").fit(*images), make().fit(*images))


@pytest.mark.parametrize("norm", NORMS[1:])
def test_norms_differ_from_start_epoch_on_only(images, norm):
    clf, dar = make(norm=norm).fit(*images), make().fit(*images)
    losses, others = clf.history[:, "train_loss"], dar.history[:, "train_loss"]
    assert losses[0] == others[0]
    assert losses[1] != others[1]


class Recorded(OPeNClassifier):
    """Keeps the first batch with noise, and the network before and after its step."""

    def train_step(self, batch, **fit_params):
        first = self._noise_rows_ and "before_" not in self.__dict__
        if first:
            self.batch_, self.n_noise_ = batch, self._noise_rows_
            self.__dict__["before_"] = copy.deepcopy(self.module_)
        step = super().train_step(batch, **fit_params)
        if first:
            self.__dict__["after_"] = copy.deepcopy(self.module_)
        return step


def stepped(parameters):
    """What one step of SGD at a rate of 0.05 makes of parameters in float64."""
    return [(p - 0.05 * p.grad).detach().float() for p in parameters]


def norms_of(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


def assert_close(got, expected):
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.detach(), other, rtol=1e-4, atol=1e-5)


@pytest.fixture
def first_step(images):
    """Fit with a norm; return the estimator and the network before its first step, in float64."""

    def fit(norm):
        settings = {"start_epoch": 0, "warmup_epochs": 0, "precision": "float32", "max_epochs": 1}
        params = {**settings, "optimizer__weight_decay": 0, "delta": 1, "batch_size": 20}
        clf = Recorded(tiny_net, norm=norm, lr=0.05, random_state=0, verbose=0, **params)
        clf.fit(*images)
        return clf, revert_norm(copy.deepcopy(clf.before_)).double()

    return fit


def test_standard_is_a_step_of_plain_batch_norm_on_the_mixed_batch(first_step):
    clf, net = first_step("standard")
    nn.functional.cross_entropy(net(clf.batch_[0].double()), clf.batch_[1]).backward()
    assert_close(clf.after_.parameters(), stepped(net.parameters()))
    for got, expected in zip(norms_of(clf.after_), norms_of(net), strict=True):
        torch.testing.assert_close(got.running_mean.double(), expected.running_mean, rtol=1e-4,
                                   atol=1e-5)  # fmt: skip


def test_aux_is_a_step_of_two_networks_that_share_all_but_batch_norm(first_step):
    clf, net = first_step("aux")
    second = copy.deepcopy(net)
    for layer in norms_of(second):
        layer.reset_parameters()
    x = clf.batch_[0].double()
    logits = torch.cat([net(x[: -clf.n_noise_]), second(x[-clf.n_noise_ :])])
    nn.functional.cross_entropy(logits, clf.batch_[1]).backward()

    own = {p for layer in norms_of(net) for p in layer.parameters()}
    for p, twin in zip(net.parameters(), second.parameters(), strict=True):
        if p not in own:
            p.grad += twin.grad
    got = [layer.auxiliary for layer in clf.after_.modules() if isinstance(layer, AuxNorm)]
    for layer, twin in zip(got, norms_of(second), strict=True):
        assert_close(layer.parameters(), stepped(twin.parameters()))
        assert_close([layer.running_var], [twin.running_var.float()])
    after = revert_norm(clf.after_)
    assert_close(after.parameters(), stepped(net.parameters()))
    for layer, twin in zip(norms_of(after), norms_of(net), strict=True):
        assert_close([layer.running_var], [twin.running_var.float()])


def test_second_layers_train_from_start_epoch_on_with_the_settings_of_the_first(images):
    clf = make(norm="aux", start_epoch=3, optimizer__weight_decay=0.1).fit(*images)
    new = nn.BatchNorm2d(8).state_dict()
    for layer in second_layers(clf):
        assert float(layer.weight.detach().min()) == float(layer.weight.detach().max()) == 1
        assert set(layer.state_dict()) == set(new)
    natural, auxiliary = clf.optimizer_.param_groups
    parameters = [p for layer in second_layers(clf) for p in layer.parameters()]
    assert len(auxiliary["params"]) == len(parameters) > 0
    assert all(a is b for a, b in zip(auxiliary["params"], parameters, strict=True))
    assert {k: v for k, v in natural.items() if k != "params"} == {
        k: v for k, v in auxiliary.items() if k != "params"
    }
    clf.set_params(start_epoch=0).partial_fit(*images)
    assert all(not torch.equal(layer.weight, torch.ones_like(layer.weight))
               for layer in second_layers(clf))  # fmt: skip


def test_parameter_groups_of_one_s_own(images):
    groups = [("features.*", {"weight_decay": 0.0, "lr": 0.01})]
    names = [name for name, _ in make().fit(*images).module_.named_parameters()]
    assert any(name.startswith("features.") for name in names)
    clf = make(norm="aux", optimizer__param_groups=groups).fit(*images)
    rates = [(len(g["params"]), g["weight_decay"]) for g in clf.optimizer_.param_groups]
    assert rates[2] == (len(second_layers(clf)) * 2, 0.0)
    assert len(rates) == 3


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_copies_go_on_as_the_original_does(images, norm, optimizer):
    clf = make(norm=norm, optimizer=optimizer).fit(*images)
    twins = [pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)]
    for each in (clf, *twins):
        each.partial_fit(*images)
    for twin in twins:
        assert_same(clf, twin)
    assert_same(clone(clf).fit(*images).partial_fit(*images), clf)


@pytest.mark.parametrize("norm", NORMS)
def test_weights_can_be_saved_and_loaded(images, norm, tmp_path):
    X, _ = images
    clf = make(SmallCNN(3, 3), norm=norm).fit(*images)
    files = {"f_params": tmp_path / "weights", "f_optimizer": tmp_path / "optimizer"}
    clf.save_params(**files)
    twin = clone(clf).set_params(max_epochs=0).fit(*images)
    twin.load_params(**files)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    only_initialized = clone(clf).initialize()
    only_initialized.load_params(**files)
    torch.testing.assert_close(
        only_initialized.module_.state_dict(), clf.module_.state_dict(), rtol=0, atol=0
    )


def test_natural_keys_are_those_of_the_network(images):
    keys = list(make(norm="dar").fit(*images).module_.state_dict())
    clf = make(norm="aux").fit(*images)
    assert [key for key in clf.module_.state_dict() if "auxiliary" not in key] == keys
    assert list(revert_norm(clf.module_).state_dict()) == keys


def test_the_norm_may_change_between_fits_of_one_network(images):
    clf = make(norm="aux").fit(*images)
    n_natural = len(clf.optimizer_.param_groups[0]["params"])
    for norm in ("dar", "aux", "standard", "aux"):
        clf.set_params(norm=norm, start_epoch=0).partial_fit(*images)
        n_second = sum(len(list(layer.parameters())) for layer in second_layers(clf))
        sizes = [len(group["params"]) for group in clf.optimizer_.param_groups]
        assert sizes == ([n_natural, n_second] if norm == "aux" else [n_natural])
        assert sum(sizes) == len(list(clf.module_.parameters()))
        assert len(clf.optimizer_.state) == sum(sizes)


@pytest.mark.parametrize("params", [{"delta": 0}, {"resampler": None}])
def test_a_fit_without_noise_has_no_second_layers(images, params):
    clf = make(norm="aux", **params).fit(*images)
    assert_same(clf, make(**params).fit(*images))
    assert not second_layers(clf)


@pytest.mark.parametrize(("norm", "n_graphs"), [("aux", 2), ("standard", 1)])
def test_compiled_steps(images, norm, n_graphs):
    counter = CompileCounter()
    torch._dynamo.reset()
    settings = {"batch_size": 9, "precision": "float32", "norm": norm}
    clf = make(tiny_net, compile=True, compile__backend=counter, **settings).fit(*images)
    assert counter.frame_count == n_graphs
    plain = make(tiny_net, **settings).fit(*images)
    plain.module_.load_state_dict(clf.module_.state_dict())
    np.testing.assert_allclose(
        clf.predict_proba(images[0]), plain.predict_proba(images[0]), atol=1e-5
    )


def test_a_network_without_batch_norm_warns_once(images):
    def net(num_classes=3):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))

    with pytest.warns(NoBatchNormWarning) as seen:
        make(net, norm="aux").fit(*images)
    assert len(seen) == 1


def test_fp16_scales_the_gradients_of_second_layers(images):
    clf = make(norm="aux", precision="fp16").fit(*images)
    assert all(torch.isfinite(p).all() for p in clf.module_.parameters())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"norm": "batch"}, "norm='batch' is unknown. Use one of 'dar', 'aux', 'standard'"),
        ({"norm": None}, "norm=None is unknown"),
        ({"norm": "aux", "optimizer": torch.optim.LBFGS}, "Use another optimizer"),
    ],
)
def test_refusals(images, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(*images)
