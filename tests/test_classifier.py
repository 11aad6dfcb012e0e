"""OPeNClassifier, end to end."""

import copy
import itertools
import pickle
import random
import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch
import torchvision
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring, LRScheduler
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from skorch.history import History
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._training.hardware import _shared_casts_have_gradients
from sklearn_open.backbones import SmallCNN, WideResNet, wrn28_10
from sklearn_open.exceptions import NoBatchNormWarning
from sklearn_open.nn import DARNorm


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


class TestDefaults:
    def test_the_paper_s_recipe(self):
        params = OPeNClassifier().get_params()
        expected = {
            "delta": None,  # the resampler's own, 1/3
            "resampler": PureNoiseOverSampler,
            "start_epoch": 0.8,
            "noise_grad": "head",
            "composition": "even",
            "max_epochs": 200,
            "batch_size": 128,
            "lr": 0.1,
            "warmup_epochs": 5 / 200,
            "lr_milestones": (160 / 200, 180 / 200),
            "lr_decay": 0.01,
            "train_split": None,
            "device": "auto",
            "precision": "auto",
        }
        assert {name: params[name] for name in expected} == expected

    def test_the_paper_s_delta_momentum_and_decay(self, images):
        clf = make(max_epochs=1).fit(*images)
        assert clf.resampler_.delta == 1 / 3
        group = clf.optimizer_.param_groups[0]
        assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 2e-4, False)
        clf = make(max_epochs=1, optimizer__momentum=0.5).fit(*images)
        assert clf.optimizer_.param_groups[0]["momentum"] == 0.5

    def test_other_optimizers_keep_their_own(self, images):
        clf = make(max_epochs=1, optimizer=torch.optim.Adam, lr=1e-3).fit(*images)
        assert clf.optimizer_.param_groups[0]["weight_decay"] == 0

    def test_it_learns(self, digits_lt):
        X, y = digits_lt
        clf = make(max_epochs=15, start_epoch=0.6, lr_decay=0.1, batch_size=64).fit(X, y)
        assert clf.score(X, y) > 0.97


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


class TestInputs:
    def test_layouts_give_the_same_network(self, images):
        X, y = images
        first, last = make().fit(X, y), make().fit(np.moveaxis(X, 1, 3), y)
        assert first.image_shape_ == last.image_shape_ == (3, 8, 8)
        assert torch.equal(weights(first), weights(last))
        proba = first.predict_proba(X)
        np.testing.assert_array_equal(first.predict_proba(np.moveaxis(X, 1, 3)), proba)
        np.testing.assert_array_equal(first.predict_proba(torch.from_numpy(X)), proba)

    def test_floats_where_bytes_were_fitted_warn(self, images):
        X, y = images
        clf = make().fit(X, y)
        with pytest.warns(UserWarning, match="nearly black"):
            clf.predict(X / 255)

    @pytest.mark.parametrize("view", [lambda a: a[::-1], np.asfortranarray, _read_only, list])
    def test_arrays_of_any_memory_layout(self, images, view):
        X, y = images
        np.testing.assert_array_equal(
            make().fit(view(X), y).predict_proba(view(X)),
            make()
            .fit(np.ascontiguousarray(np.asarray(view(X))), y)
            .predict_proba(np.ascontiguousarray(np.asarray(view(X)))),
        )

    def test_dates_as_labels(self, images):
        X, y = images
        days = np.array(["2021-01-01", "2022-01-01", "2023-01-01"], dtype="datetime64[D]")[y]
        assert set(make().fit(X, days).predict(X)) <= set(days)

    def test_uint8_and_unit_floats_are_the_same_images(self, images):
        X, y = images
        bytes_, floats = make().fit(X, y), make().fit(X / 255, y)
        torch.testing.assert_close(weights(bytes_), weights(floats), rtol=1e-2, atol=1e-3)

    def test_gray_images_and_tables(self, images):
        X, y = images
        gray = X[:, 0]
        assert make().fit(gray, y).image_shape_ == (1, 8, 8)
        assert make().fit(gray.reshape(60, 64), y).image_shape_ == (64,)
        table = make(image_shape=(8, 8)).fit(gray.reshape(60, 64), y)
        assert table.image_shape_ == (1, 8, 8)
        assert torch.equal(weights(table), weights(make().fit(gray, y)))
        assert table.predict(gray).shape == table.predict(gray.reshape(60, 64)).shape

    @pytest.mark.parametrize(
        "labels", [["cat", "bird", "dog"], [30, 5, 700], [2.0, 0.0, 1.0], ["x", 3, None]]
    )
    def test_labels_come_back_as_they_went_in(self, images, labels):
        X, y = images
        names = np.array(labels, dtype=object if None in labels else None)[y]
        if None in labels:
            names = names.astype(str).astype(object)
        clf = make().fit(X, names)
        assert set(clf.predict(X)) <= set(names)
        np.testing.assert_array_equal(clf.classes_, np.unique(names))
        np.testing.assert_array_equal(
            clf.predict(X), clf.classes_[clf.predict_proba(X).argmax(axis=1)]
        )

    def test_boolean_labels(self, images):
        X, y = images
        assert make().fit(X, y == 0).predict(X).dtype == bool

    def test_probabilities(self, images):
        proba = make().fit(*images).predict_proba(images[0])
        assert proba.dtype == np.float32
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


class TestModules:
    @pytest.mark.parametrize("module", [tiny_net, SmallCNN, torchvision.models.resnet18, nn.Module])
    def test_classes_functions_and_instances(self, images, module):
        if module is nn.Module:
            module = tiny_net()
        clf = make(module, max_epochs=1, start_epoch=0).fit(*images)
        assert clf.predict_proba(images[0]).shape == (60, 3)
        assert any(isinstance(layer, DARNorm) for layer in clf.module_.modules())

    def test_an_instance_is_never_trained(self, images):
        net = tiny_net()
        before = copy.deepcopy(net.state_dict())
        clf = make(net).fit(*images)
        assert clf.module is net
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name])
        assert not any(isinstance(layer, DARNorm) for layer in net.modules())

    def test_facts_are_passed_on_unless_given(self, images):
        X, y = images
        clf = make(WideResNet, module__depth=10, module__widen_factor=1, max_epochs=1)
        clf.fit(X[:, :2], y)
        assert next(clf.module_.parameters()).shape[1] == 2
        wider = make(tiny_net, module__num_classes=4, classes=[0, 1, 2, 3], max_epochs=1)
        assert wider.fit(X, y).predict_proba(X).shape == (60, 4)

    def test_a_network_without_batch_norm_warns_and_trains(self, images):
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        with pytest.warns(NoBatchNormWarning, match="Sequential has no batch norm"):
            clf = make(net).fit(*images)
        assert clf.predict(images[0]).shape == (60,)
        make(net, delta=0).fit(*images)  # without noise there is nothing to warn of

    def test_tables_reach_a_network_as_they_are(self, images):
        class Table(nn.Module):
            def __init__(self, in_features, num_classes):
                super().__init__()
                self.layers = nn.Sequential(nn.BatchNorm1d(in_features), nn.Linear(64, num_classes))

            def forward(self, x):
                assert x.ndim == 2
                return self.layers(x)

        X, y = images
        make(Table).fit(X[:, 0].reshape(60, 64), y)

    def test_auxiliary_heads_are_trained(self, images):
        Outputs = namedtuple("Outputs", ["logits", "aux_logits"])

        class WithHead(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8))
                self.main, self.head = nn.Linear(8, 3), nn.Linear(8, 3)

            def forward(self, x):
                z = self.body(x)
                return Outputs(self.main(z), self.head(z)) if self.training else self.main(z)

        clf = make(WithHead())
        clf.fit(*images)
        assert not torch.equal(clf.module_.head.weight, clf.module.head.weight)
        logits, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
        loss = clf.get_loss(Outputs(logits, 2 * logits), y)
        expected = F.cross_entropy(logits, y) + 0.3 * F.cross_entropy(2 * logits, y)
        torch.testing.assert_close(loss, expected)

    def test_wide_resnet_28_10_on_real_images(self, data_home):
        from sklearn_open.datasets import load_image_folder

        X, y = load_image_folder(data_home / "cifar10-images.zip", subset="test", return_X_y=True)
        rows = np.r_[0:40, 1000:1016, 2000:2008]
        clf = OPeNClassifier(module=wrn28_10, delta=1 / 3, max_epochs=1, verbose=0)
        clf.fit(X[rows], y[rows])
        assert clf.epoch_plan(0).is_noise.any()
        assert set(clf.predict(X[rows][:8])) <= {0, 1, 2}


class TestTraining:
    @pytest.mark.parametrize("noise_grad", ["head", "all"])
    def test_it_equals_a_loop_written_out(self, images, noise_grad):
        """Plan, noise, two routes and optimiser, against the paper's listing with masks."""
        X, y = images
        clf = make(tiny_net, start_epoch=1, precision="float32", noise_grad=noise_grad)
        clf.fit(X, y)

        net = make(tiny_net, max_epochs=0).fit(X, y).module_  # the same initial weights
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.__class__ = Listing
                layer.noise_grad = noise_grad
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-4)
        pixels, labels = torch.from_numpy(X), torch.from_numpy(y)
        for epoch in range(3):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 if epoch < 2 else 0.05 * 0.01
            for b, (index, n_noise) in enumerate(clf.epoch_plan(epoch).batches()):
                natural = index[: len(index) - n_noise]
                codes = labels[index]
                x = clf.transform_.train(pixels[natural], codes[len(natural) :], epoch, b)
                Listing.mask = torch.arange(len(index)) >= len(natural)
                optimizer.zero_grad()
                F.cross_entropy(net(x), codes).backward()
                optimizer.step()
        for got, expected in zip(clf.module_.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        for got, expected in zip(clf.module_.buffers(), net.buffers(), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)

    def test_delta_zero_is_the_random_over_sampler_bit_by_bit(self, images):
        ours, theirs = make(delta=0), make(resampler=RandomOverSampler)
        assert torch.equal(weights(ours.fit(*images)), weights(theirs.fit(*images)))
        assert ours.history[:, "train_loss"] == theirs.history[:, "train_loss"]
        assert not torch.equal(weights(make().fit(*images)), weights(ours))

    def test_before_the_start_all_methods_are_one(self, images):
        methods = [{"resampler": None}, {"delta": 0}, {"delta": 1}, {"composition": "bernoulli"}]
        losses = [make(start_epoch=2, **m).fit(*images).history[:, "train_loss"] for m in methods]
        assert all(loss[:2] == losses[0][:2] for loss in losses)
        assert len({loss[2] for loss in losses}) == 4

    def test_random_state_fixes_everything_and_nothing_else_is_touched(self, images):
        states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        dropout = {"module__depth": 10, "module__widen_factor": 1, "module__dropout": 0.5}
        first, second, other = (
            make(WideResNet, augment="cutout", random_state=seed, **dropout).fit(*images)
            for seed in (0, 0, 1)
        )
        assert torch.equal(weights(first), weights(second))
        assert not torch.equal(weights(first), weights(other))
        assert torch.equal(torch.get_rng_state(), states[0])
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])
        assert random.getstate() == states[2]

    def test_noise_reaches_the_network_on_its_route_only(self, images):
        seen = []

        class Watch(nn.BatchNorm2d):
            def forward(self, x):
                if self.training:
                    seen.append(len(x))
                return super().forward(x)

        net = nn.Sequential(Watch(3), nn.Flatten(), nn.Linear(192, 3))
        clf = make(net, start_epoch=0, max_epochs=1).fit(*images)
        plan = clf.epoch_plan(0)
        routes = []
        for index, n_noise in plan.batches():
            routes += [len(index) - n_noise] + [n_noise] * (n_noise > 0)
        assert seen == routes
        assert plan.is_noise.any()
        assert int(clf.module_[0].num_batches_tracked) == plan.n_batches

    @pytest.mark.parametrize(
        "resampler", [RandomUnderSampler, SMOTE(k_neighbors=2), PureNoiseOverSampler(delta=0.5)]
    )
    def test_other_resamplers(self, images, resampler):
        X, y = images
        clf = make(resampler=resampler).fit(X, np.array(["a", "b", "c"])[y])
        assert clf.predict(X).shape == (60,)
        plan = clf.epoch_plan(2)
        if isinstance(resampler, SMOTE):
            assert plan.index.min() >= 60  # rows that the sampler made
        assert plan.is_noise.any() == isinstance(resampler, PureNoiseOverSampler)

    def test_an_under_sampler_makes_epochs_short(self, images):
        clf = make(resampler=RandomUnderSampler).fit(*images)
        assert len(clf.epoch_plan(0).index) == 60
        assert len(clf.epoch_plan(1).index) == 18

    def test_resampler_parameters(self, images):
        clf = make(resampler__sampling_strategy={2: 20}, resampler__noise="uniform").fit(*images)
        pool = clf.resampler_.draw(images[1], np.random.RandomState(0))[0]
        assert len(pool) == 60 + 14
        assert make(resampler__delta=0.7).fit(*images).resampler_.delta == 0.7
        uniform = PureNoiseOverSampler(noise="uniform")
        assert make(resampler=uniform, delta=0).fit(*images).resampler_.delta == 0
        assert uniform.delta is None

    def test_a_class_without_rows(self, images):
        X, y = images
        for composition in ("even", "bernoulli"):
            clf = make(
                composition=composition, classes=[0, 1, 2, 3], resampler__noise="class_gaussian"
            )
            assert clf.fit(X, y).predict_proba(X).shape == (60, 4)

    @pytest.mark.parametrize("augment", ["flip_crop", "cutout", "simclr", lambda x: x.flip(3)])
    def test_augmentation(self, images, augment):
        assert make(augment=augment, max_epochs=2).fit(*images).predict(images[0]).shape == (60,)

    def test_lbfgs_sees_one_noise_in_all_calls_of_a_step(self, images):
        X, y = images
        clf = make(
            tiny_net,
            optimizer=torch.optim.LBFGS,
            precision="float32",
            lr=0.1,
            batch_size=-1,
            start_epoch=0,
            max_epochs=2,
        )
        assert clf.fit(X, y).history[-1, "train_loss"] < clf.history[0, "train_loss"]

    @pytest.mark.parametrize("precision", ["float32", "bf16", "auto"])
    def test_precision(self, images, precision):
        proba = make(precision=precision).fit(*images).predict_proba(images[0])
        assert np.isfinite(proba).all()

    def test_one_pixel_images_and_tiny_classes(self):
        rng = np.random.RandomState(0)
        X, y = rng.rand(11, 3, 1, 1), np.repeat([0, 1, 2], [8, 2, 1])
        for batch_size in (3, 5, 10, 11, 128, -1):
            clf = make(batch_size=batch_size, start_epoch=0, delta=1)
            assert clf.fit(X, y).predict(X).shape == (11,)
        clf = make(batch_size=2, start_epoch=0, delta=1)
        with pytest.warns(UserWarning, match="batch_size=2 leaves no room for noise"):
            clf.fit(X, y)
        assert clf.predict(X).shape == (11,)


class Listing(nn.BatchNorm2d):
    """Masked DAR-BN, from the paper's formulas."""

    mask = None

    def forward(self, x):
        if not self.training or not self.mask.any():
            return super().forward(x)
        natural = super().forward(x[~self.mask])
        with torch.set_grad_enabled(self.noise_grad == "all"):
            noise, shape = x[self.mask], (1, -1, 1, 1)
            mean, var = noise.mean((0, 2, 3)), noise.var((0, 2, 3), unbiased=False)
            noise = (noise - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
            noise = noise * self.weight.detach().view(shape) + self.bias.detach().view(shape)
        return torch.cat([natural, noise])


class TestScikitLearn:
    def test_grid_search_over_delta(self, images):
        X, y = images
        names = np.array(["a", "b", "c"])[y]
        search = GridSearchCV(make(tiny_net), {"delta": [0, 1 / 3, 1]}, cv=2, error_score="raise")
        search.fit(X, names)
        assert len({params["delta"] for params in search.cv_results_["params"]}) == 3
        assert set(search.predict(X)) <= set("abc")

    def test_clone_and_parameters(self, images):
        clf = make(delta=0.2, resampler__noise="uniform", device="cpu").fit(*images)
        twin = clone(clf)
        assert not hasattr(twin, "module_")
        for name in ("delta", "resampler__noise", "device", "start_epoch", "lr_milestones"):
            assert twin.get_params()[name] == clf.get_params()[name]
        assert clone(OPeNClassifier()).get_params()["device"] == "auto"

    def test_parameters_can_be_set_after_fit(self, images):
        clf = make().fit(*images)
        clf.set_params(delta=0.5, resampler__noise="uniform", start_epoch=0).fit(*images)
        assert clf.resampler_.delta == 0.5
        assert clf.resampler_.noise == "uniform"
        assert clf.epoch_plan(0).is_noise.any()

    def test_pickle(self, images):
        clf = make(start_epoch=0).fit(*images)
        twin = pickle.loads(pickle.dumps(clf))
        np.testing.assert_array_equal(twin.predict_proba(images[0]), clf.predict_proba(images[0]))
        np.testing.assert_array_equal(twin.epoch_plan(7).index, clf.epoch_plan(7).index)
        assert twin.get_params()["device"] == "auto"
        twin.partial_fit(*images)  # still on two routes
        assert any(isinstance(layer, DARNorm) for layer in twin.module_.modules())

    def test_fit_starts_anew_and_partial_fit_goes_on(self, images):
        whole = make(max_epochs=4, lr_milestones=()).fit(*images)
        parts = make(max_epochs=2, lr_milestones=()).partial_fit(*images).partial_fit(*images)
        assert torch.equal(weights(whole), weights(parts))
        warm = make(max_epochs=2, lr_milestones=(), warm_start=True).fit(*images).fit(*images)
        assert torch.equal(weights(whole), weights(warm))
        again = make(max_epochs=4, lr_milestones=()).fit(*images).fit(*images)
        assert torch.equal(weights(whole), weights(again))

    def test_going_on_follows_changed_settings(self, images):
        X, y = images
        clf = make(delta=0, warm_start=True, start_epoch=0).fit(X, y)
        clf.set_params(delta=0.5, noise_grad="all", augment="cutout").fit(X, y)
        layers = [layer for layer in clf.module_.modules() if isinstance(layer, DARNorm)]
        assert {layer.noise_grad for layer in layers} == {"all"}
        assert clf.transform_.augment is not None
        assert clf.planner_.plan(5).is_noise.any()
        clf.set_params(resampler__noise="uniform").partial_fit(X, y)
        assert type(clf.transform_.noise).__name__ == "UniformNoise"

    @pytest.mark.parametrize("resampler", [None, RandomUnderSampler, PureNoiseOverSampler(delta=1)])
    def test_the_resampler_itself_can_be_set_after_fit(self, images, resampler):
        clf = make().fit(*images).set_params(resampler=resampler).fit(*images)
        assert type(clf.resampler_) in (resampler, type(resampler))

    def test_chunks_of_one_class(self, images):
        X, y = images
        clf = make().partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
        assert clf.partial_fit(X[y == 2], y[y == 2]).predict_proba(X).shape == (60, 3)

    def test_a_new_learning_rate_counts(self, images):
        clf = make(max_epochs=2, lr_milestones=()).partial_fit(*images)
        clf.set_params(lr=0.01).partial_fit(*images)
        assert clf.history[:, "lr"] == [0.05, 0.05, 0.01, 0.01]

    def test_a_schedule_of_skorch_s_takes_over(self, images):
        step = LRScheduler("StepLR", step_size=1, gamma=0.1)
        clf = make(callbacks=[("mine", step)]).fit(*images)
        assert clf.history[:, "lr"] == pytest.approx([0.05, 0.005, 0.0005])

    @pytest.mark.parametrize("use_caching", [True, False])
    def test_scorers_get_the_user_s_labels(self, images, use_caching):
        X, y = images
        names = np.array(["a", "b", "c"])[y]
        scores = [
            (f"on_train_{on_train}", EpochScoring("balanced_accuracy", name=f"score_{on_train}",
             on_train=on_train, use_caching=use_caching))
            for on_train in (True, False)
        ]  # fmt: skip
        split = ValidSplit(3, stratified=True)
        clf = make(tiny_net, resampler=None, train_split=split, callbacks=scores, max_epochs=8)
        clf.fit(X, names)
        assert clf.history[-1, "score_True"] > 0.5
        assert 0 <= clf.history[-1, "score_False"] <= 1

    def test_a_predefined_split(self, images):
        X, y = images
        names = np.array(["a", "b", "c"])[y]
        clf = make(tiny_net, train_split=predefined_split(SkorchDataset(X, names))).fit(X, names)
        assert clf.history[-1, "valid_acc"] == pytest.approx(np.mean(clf.predict(X) == names))

    def test_a_net_that_was_only_initialized_predicts_as_skorch_does(self, images):
        pixels = torch.from_numpy(images[0]).float()
        clf = make(tiny_net).initialize()
        with pytest.warns(UserWarning, match="initialized but never fitted"):
            proba = clf.predict_proba(pixels)
        with torch.no_grad():
            expected = torch.softmax(clf.module_.eval()(pixels), 1)
        np.testing.assert_allclose(proba, expected, rtol=0.1, atol=0.05)

    def test_a_data_loader_of_one_s_own(self, images):
        X, y = images
        own = {"iterator_train__drop_last": True, "iterator_train__batch_size": 25}
        clf = make(tiny_net, resampler=None, max_epochs=1, **own).fit(X, y)
        assert clf.history[0, "batches", :, "train_batch_size"] == [25, 25]
        small = make(tiny_net, iterator_train__batch_size=30, iterator_valid__batch_size=7)
        small.fit(X, y)
        assert small.planner_.batch_size == 30
        sizes = [len(batch) for batch in small.forward_iter(X)]
        assert sizes == [7] * 8 + [4]
        plain = make(tiny_net, iterator_valid=torch.utils.data.DataLoader).fit(X, y)
        other = make(tiny_net, iterator_valid__drop_last=False).fit(X, y)
        np.testing.assert_array_equal(plain.predict_proba(X), other.predict_proba(X))

    def test_a_data_set_class_of_one_s_own(self, images):
        X, y = images

        class Dark(SkorchDataset):
            def __init__(self, X, y=None, factor=1):
                super().__init__(X // factor, y)

        clf = make(dataset=Dark, dataset__factor=2).fit(X, y)
        expected = make().fit(X // 2, y)
        np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X // 2))

    def test_classes_may_name_codes(self, images):
        X, y = images
        clf = make(classes=["a", "b", "c"]).fit(X, y)
        assert set(clf.predict(X)) <= set("abc")
        np.testing.assert_array_equal(clf.predict_proba(X), make().fit(X, y).predict_proba(X))

    def test_fit_parameters_reach_the_network(self, images):
        seen = []

        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 3))

            def forward(self, x, scale=None):
                seen.append(scale)
                return self.layers(x)

        make(Scaled, max_epochs=1).fit(*images, scale=2)
        assert set(seen) == {2}

    def test_weights_can_be_saved_and_loaded(self, images, tmp_path):
        pytest.importorskip("safetensors")
        clf = make().fit(*images)
        twin = make(max_epochs=0).fit(*images)
        for safe in (True, False):
            clf.save_params(f_params=tmp_path / "weights", use_safetensors=safe)
            twin.load_params(f_params=tmp_path / "weights", use_safetensors=safe)
            np.testing.assert_array_equal(
                twin.predict_proba(images[0]), clf.predict_proba(images[0])
            )

    def test_an_error_in_training_leaves_something_that_pickles(self, images):
        class Fails(Callback):
            def on_batch_end(self, net, **kwargs):
                raise RuntimeError("stop")

        clf = make(callbacks=[Fails()], verbose=2)
        with pytest.raises(RuntimeError, match="stop"):
            clf.fit(*images)
        clf.set_params(callbacks=None).callbacks_ = [
            pair for pair in clf.callbacks_ if not isinstance(pair[1], Fails)
        ]
        pickle.dumps(clf)

    def test_an_interrupt_leaves_a_usable_estimator(self, images):
        class Stops(Callback):
            def on_batch_end(self, net, **kwargs):
                if len(net.history) == 2:
                    raise KeyboardInterrupt

        clf = make(callbacks=[Stops()], start_epoch=0).fit(*images)
        assert len(clf.history) == 2
        assert clf.predict(images[0]).shape == (60,)

    def test_partial_fit_learns_all_classes_named(self, images):
        X, y = images
        clf = make().partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
        assert clf.predict_proba(X).shape == (60, 3)
        clf.partial_fit(X, y)
        with pytest.raises(ValueError, match="not in classes"):
            clf.partial_fit(X, y + 1)

    @pytest.mark.parametrize("names", [["a", "b", "c"], [5, 15, 25]])
    def test_validation_accuracy_is_that_of_the_user_s_labels(self, images, names):
        X, y = images
        clf = make(tiny_net, train_split=ValidSplit(3, stratified=True))
        labels = np.array(names)[y]
        clf.fit(X, labels)
        held_out = next(iter(ValidSplit(3, stratified=True).check_cv(y).split(X, y)))[1]
        expected = np.mean(clf.predict(X[held_out]) == labels[held_out])
        assert clf.history[-1, "valid_acc"] == pytest.approx(expected)
        assert len(clf.planner_.codes) == 40  # held-out rows are not trained on

    def test_not_fitted(self, images):
        for call in (
            lambda: OPeNClassifier().predict(images[0]),
            lambda: OPeNClassifier().epoch_plan(0),
        ):
            with pytest.raises(NotFittedError):
                call()


class NeverMade(nn.Module):
    def __init__(self):
        raise AssertionError("the network was made before the input was refused")


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"delta": 1.5}, r"delta=1.5 is not a share.*from 0 \(none\) to 1"),
            ({"delta": -0.1}, r"delta=-0.1 is not a share"),
            ({"delta": np.nan}, r"delta=nan is not a share"),
            ({"resampler__delta": 2}, r"delta=2 is not a share"),
            ({"resampler": PureNoiseOverSampler(delta=0.1), "delta": 0.5}, "contradicts"),
            ({"resampler__noise": "pink"}, "noise='pink' is unknown"),
            ({"noise_grad": "none"}, "noise_grad='none' is unknown"),
            ({"composition": "odd"}, "composition='odd' is unknown"),
            ({"composition": "bernoulli", "resampler": SMOTE}, "Use composition='even'"),
            ({"epoch_length": 3}, "epoch_length=3 is unknown"),
            ({"precision": "float8"}, "precision='float8' is unknown"),
            ({"start_epoch": 1.5}, r"start_epoch=1.5 is not an epoch.*share of max_epochs"),
            ({"start_epoch": -1}, "start_epoch=-1 is not an epoch"),
            ({"warmup_epochs": 5.0}, "warmup_epochs=5.0 is not an epoch"),
            ({"lr_milestones": (160.0,)}, "lr_milestones entry=160.0 is not an epoch"),
            ({"lr_milestones": 0.8}, "is not a sequence"),
            ({"augment": "blur"}, "blur"),
            ({"normalize": "imagenet"}, "normalize='imagenet' is not understood"),
            ({"normalize": ([np.nan], [0.2])}, "is not understood"),
            ({"batch_size": 0}, "batch_size=0 is not a number of rows"),
            ({"batch_size": 2.5}, "batch_size=2.5 is not a number of rows"),
            ({"iterator_train__batch_size": 0}, "iterator_train__batch_size=0 is not a number"),
            ({"max_epochs": 2.0}, "max_epochs=2.0 is not a number of epochs"),
            ({"max_epochs": -1}, "max_epochs=-1 is not a number of epochs"),
            ({"lr_decay": None}, "lr_decay=None is not a factor"),
            ({"iterator_train__drop_last": True}, "iterator_train, with its settings, rules"),
            ({"iterator_train": list}, "leave iterator_train out, or pass resampler=None"),
            ({"image_shape": 8}, "image_shape=8 is not the shape of an image"),
            ({"image_shape": (3, 9, 9)}, r"\(3, 9, 9\) is needed"),
            ({"image_shape": (3,)}, "is not the shape of an image"),
            ({"classes": [0, 1]}, r"labels \[2\].*not in classes"),
        ],
    )
    def test_settings(self, images, params, message):
        with pytest.raises(ValueError, match=message):
            make(NeverMade, **params).fit(*images)

    def test_resamplers_that_cannot_draw_fail_before_training(self, images):
        X, y = images
        losses = []

        class Watch(OPeNClassifier):
            def get_loss(self, *args, **kwargs):
                losses.append(1)
                return super().get_loss(*args, **kwargs)

        for params in (
            {"resampler__sampling_strategy": 0.5},
            {"resampler": RandomOverSampler(sampling_strategy={2: 1})},
        ):
            clf = Watch(max_epochs=3, start_epoch=2, verbose=0, **params)
            with pytest.raises(ValueError, match=r"sampling_strategy|number of samples"):
                clf.fit(X, y)
        assert not losses

    def test_augmentation_that_does_not_fit(self, images):
        X, y = images
        with pytest.raises(ValueError, match="RGB"):
            make(NeverMade, augment="autoaugment").fit(X[:, 0], y)
        with pytest.raises((ValueError, TypeError), match=r"image_shape|images"):
            make(NeverMade, augment="cutout").fit(X.reshape(60, -1), y)

    def test_modules_that_cannot_be_made(self, images):
        class Needy(nn.Module):
            def __init__(self, depth):
                super().__init__()

        with pytest.raises(ValueError, match=r"Needy could not be made.*module__<name>"):
            make(Needy).fit(*images)
        with pytest.raises(TypeError, match="module=18 is not a network"):
            make(18).fit(*images)
        with pytest.raises(TypeError, match=r"which is no torch\.nn\.Module"):
            make(lambda: 3).fit(*images)
        with pytest.raises(ValueError, match="lazy layers that have not seen data"):
            make(nn.Sequential(nn.Flatten(), nn.LazyLinear(3))).fit(*images)

    def test_a_refused_refit_leaves_the_estimator_as_it_was(self, images):
        X, y = images
        clf = make().fit(X, y)
        proba = clf.predict_proba(X)
        for args, module in [((X[:, :, :4], y[:-1]), None), ((X[:, :1], y), tiny_net(7))]:
            clf.module = module
            with pytest.raises(ValueError, match=r"labels|output of shape|process rows"):
                clf.fit(*args)
            np.testing.assert_array_equal(clf.predict_proba(X), proba)
            assert len(clf.history) == 3

    def test_one_class_is_refused_even_if_more_are_named(self, images):
        X, y = images
        with pytest.raises(ValueError, match="one class only, 0"):
            make(NeverMade, classes=[0, 1, 2]).fit(X[y == 0], y[y == 0])

    @pytest.mark.parametrize("epoch", [-1, 1.5, "last"])
    def test_epoch_plan_takes_numbers_of_epochs(self, images, epoch):
        clf = make(max_epochs=1).fit(*images)
        with pytest.raises(ValueError, match="is not the number of an epoch"):
            clf.epoch_plan(epoch)

    def test_empty_data(self, images):
        X, y = images
        clf = make().fit(X, y)
        for call in (lambda: clf.predict(X[:0]), lambda: make(NeverMade).fit(X[:0], y[:0])):
            with pytest.raises(ValueError, match="0 sample"):
                call()

    def test_something_that_cannot_resample(self, images):
        with pytest.raises(TypeError, match="has no fit_resample"):
            make(NeverMade, resampler=dict).fit(*images)

    def test_data(self, images):
        X, y = images
        bad = X.astype(float)
        bad[3, 0, 0, 0] = np.nan
        for args, message in [
            ((bad, y), "NaN"),
            ((X, y[:-1]), "60 rows and y has 59 labels"),
            ((X, np.zeros(60)), "one class only"),
            ((X, None), "target y is None"),
            ((X[..., None], y), "dim 5"),
            ((X, np.random.RandomState(0).rand(60)), "continuous"),
        ]:
            with pytest.raises(ValueError, match=message):
                make(NeverMade).fit(*args)

    def test_wrong_shape_at_predict(self, images):
        clf = make().fit(*images)
        with pytest.raises(ValueError, match=r"shape \(3, 9, 8\).*\(3, 8, 8\) is needed, as in"):
            clf.predict(np.zeros((2, 3, 9, 8)))
        with pytest.raises(ValueError, match="NaN"):
            clf.predict(np.full((2, 3, 8, 8), np.nan))

    def test_wrong_output_width(self, images):
        with pytest.raises(ValueError, match=r"shape \(2, 7\) for 2 rows; needed is \(2, 3\)"):
            make(tiny_net(num_classes=7)).fit(*images)

    def test_a_network_for_other_images(self, images):
        X, y = images
        with pytest.raises(ValueError, match=r"could not process rows of shape \(1, 8, 8\)"):
            make(torchvision.models.resnet18).fit(X[:, 0], y)

    def test_no_network_before_data(self):
        with pytest.raises(ValueError, match="Call fit, or pass a module"):
            OPeNClassifier().initialize()

    def test_a_misspelt_parameter(self, images):
        with pytest.raises(ValueError, match="resampler_noise, did you mean resampler__noise"):
            make(resampler_noise="uniform").fit(*images)


class TestSpeed:
    """What makes it fast changes nothing else."""

    def test_losses_are_numbers_once_an_epoch_has_ended(self, images):
        class Peek(Callback):
            def on_batch_end(self, net, training, **kwargs):
                self.last = net.history[-1, "batches", -1, "train_loss"]

        clf = make(callbacks=[("peek", Peek())]).fit(*images)
        assert isinstance(dict(clf.callbacks_)["peek"].last, torch.Tensor)  # nobody waited for it
        losses = clf.history[:, "batches", :, "train_loss"]
        assert all(type(loss) is float for epoch in losses for loss in epoch)

    def test_an_interrupted_epoch_has_numbers_too(self, images, tmp_path):
        class Stop(Callback):
            def on_batch_end(self, net, **kwargs):
                raise KeyboardInterrupt

        clf = make(callbacks=[Stop()]).fit(*images)
        clf.history.to_file(tmp_path / "history.json")
        kept = History.from_file(tmp_path / "history.json")
        assert kept[0, "batches", 0, "train_loss"] == clf.history[0, "batches", 0, "train_loss"] > 0

    def test_compiled_steps_are_two_graphs(self, images):
        counter = CompileCounter()
        torch._dynamo.reset()
        settings = {"start_epoch": 1, "max_epochs": 3, "batch_size": 9, "precision": "float32"}
        settings["delta"] = 1
        clf = make(tiny_net, compile=True, compile__backend=counter, **settings).fit(*images)
        plans = [clf.epoch_plan(epoch) for epoch in range(3)]
        assert len({len(index) for plan in plans for index, _ in plan.batches()}) > 1
        assert counter.frame_count == 2
        plain = make(tiny_net, **settings).fit(*images)
        assert list(clf.module_.state_dict()) == list(plain.module_.state_dict())
        plain.module_.load_state_dict(clf.module_.state_dict())
        X = images[0]
        np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-5)
        twin = pickle.loads(pickle.dumps(clf))
        np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
        assert "_compiled_" not in twin.__dict__
        assert counter.frame_count == 2  # predictions are not compiled

    def test_a_changed_precision_counts_in_what_follows(self, images):
        clf = make(max_epochs=1).fit(*images)
        clf.set_params(precision="fp16").partial_fit(*images)
        assert clf.scaler_.is_enabled()
        clf.set_params(precision="float32").partial_fit(*images)
        assert not clf.scaler_.is_enabled()

    def test_compiled_code_is_not_kept_for_another_network(self, images):
        clf = make(tiny_net, compile=True, compile__backend="eager", max_epochs=1).fit(*images)
        clf.set_params(module__num_classes=3, compile=False)
        assert clf._network is clf.module_
        pickle.loads(pickle.dumps(clf.fit(*images)))

    def test_compiled_training_gives_the_same_network(self, images):
        settings = {"start_epoch": 1, "max_epochs": 2, "precision": "float32"}
        one = make(tiny_net, compile=True, compile__backend="eager", **settings).fit(*images)
        other = make(tiny_net, **settings).fit(*images)
        X = images[0]
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)

    def test_fp16_scales_gradients_and_clips_true_ones(self, images):
        norms = []

        class Norm(Callback):
            def on_grad_computed(self, net, named_parameters, **kwargs):
                norms.append(max(p.grad.abs().max().item() for _, p in named_parameters))

        clf = make(precision="fp16", callbacks=[Norm()], max_epochs=1).fit(*images)
        assert clf.scaler_.is_enabled()
        assert clf.scaler_.get_scale() > 1000
        assert max(norms) < 100
        pickle.loads(pickle.dumps(make(precision="fp16").fit(*images))).predict(images[0])

    def test_fp16_cannot_have_lbfgs(self, images):
        with pytest.raises(ValueError, match="LBFGS"):
            make(precision="fp16", optimizer=torch.optim.LBFGS).fit(*images)

    def test_predictions_choose_the_size_of_their_batches(self, images):
        sizes = []

        def watch(module, args, output):
            sizes.append(len(args[0]))

        clf = make(batch_size=7).fit(*images)
        clf.module_.register_forward_hook(watch)
        proba = clf.predict_proba(images[0])
        assert sizes == [60]
        clf.set_params(iterator_valid__batch_size=25)
        np.testing.assert_allclose(clf.predict_proba(images[0]), proba, atol=1e-3)
        assert sizes == [60, 25, 25, 10]

    @pytest.mark.parametrize("noise_grad", ["head", "all"])
    def test_routes_share_casts_of_weights(self, images, count_casts, noise_grad):
        settings = {"start_epoch": 0, "max_epochs": 1, "delta": 1, "batch_size": 20}
        clf = make(tiny_net, precision="bf16", noise_grad=noise_grad, **settings)
        with count_casts((16, 3, 3, 3)) as casts:  # of the first convolution
            clf.fit(*images)
        assert all(n_noise for _, n_noise in clf.epoch_plan(0).batches())
        per_step = 1 if _shared_casts_have_gradients() else 2
        assert casts.n == per_step * clf.epoch_plan(0).n_batches == per_step * 3

    def test_sgd_is_fused_unless_told_otherwise(self, images):
        assert make().fit(*images).optimizer_.defaults["fused"]
        for given in ({"foreach": True}, {"fused": False}, {"differentiable": False}):
            params = {f"optimizer__{name}": value for name, value in given.items()}
            assert not make(**params).fit(*images).optimizer_.defaults["fused"]


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


class TestNumericalEdges:
    @pytest.mark.parametrize("composition", ["even", "bernoulli"])
    @pytest.mark.parametrize("n", [2, 3, 4, 5, 9, 17])
    def test_every_batch_has_two_natural_rows(self, n, composition):
        X, y = np.random.RandomState(0).rand(n, 3, 1, 1), np.arange(n) == 0
        some_noise = False
        for batch_size in (2, 3, 4, n - 1, n, 128, -1):
            if batch_size == 1:
                continue
            clf = watched(batch_size=batch_size, composition=composition)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "batch_size=2 leaves no room for noise")
                clf.fit(X, y)
            sizes = [(len(x) - n_noise, n_noise) for x, n_noise in clf.given_]
            assert sum(map(sum, sizes)) == n
            assert min(natural for natural, _ in sizes) >= 2
            some_noise |= any(n_noise == 1 for _, n_noise in sizes)  # of which norms make beta
            assert torch.isfinite(weights(clf)).all()
            assert np.isfinite(clf.predict_proba(X)).all()
        assert some_noise or n < 5

    def test_batches_of_one_row(self, images):
        X = images[0]
        clf = watched(batch_size=1, resampler=None).fit(X[:6], [0, 1] * 3)
        assert [len(x) for x, _ in clf.given_] == [1] * 6
        assert torch.isfinite(weights(clf)).all()
        # A max pool by two, twice, leaves one value per channel of images of 4 x 4.
        for call, rows in [("fit", 6), ("partial_fit", 6), ("partial_fit", 1)]:
            clf = watched(batch_size=1 if rows > 1 else 16, classes=[0, 1], resampler=None)
            with pytest.raises(ValueError, match=r"single row.*\(3, 4, 4\).*batch_size=2 or more"):
                getattr(clf, call)(X[:rows, :, :4, :4], [0, 1] * 3 if rows > 1 else [0])
            assert not clf.initialized_
            assert not hasattr(clf, "module_")
        group_norm = nn.Sequential(
            nn.Flatten(), nn.Linear(48, 4), nn.GroupNorm(2, 4), nn.Linear(4, 2)
        )
        watched(group_norm, batch_size=1, resampler=None).fit(X[:6, :, :4, :4], [0, 1] * 3)

    @pytest.mark.parametrize("noise", ["gaussian", "class_gaussian", "uniform"])
    def test_classes_of_one_row(self, noise):
        rng = np.random.RandomState(0)
        y = np.array([0] * 20 + list(range(1, 9)))
        X = rng.randint(0, 256, (28, 1, 2, 2), dtype=np.uint8)
        clf = watched(batch_size=16, resampler__noise=noise, epoch_length="resampled").fit(X, y)
        assert sum(n_noise for _, n_noise in clf.given_) == 8 * 19
        for x, n_noise in clf.given_:
            natural, drawn = x.split([len(x) - n_noise, n_noise])
            assert torch.isfinite(x).all()
            assert drawn.abs().max() <= natural.abs().max() + 2  # nothing is blown up
        assert clf.predict_proba(X).shape == (28, 9)

    @pytest.mark.parametrize("value", [0, 7, 255])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_images_that_are_all_the_same(self, value, dtype):
        X, y = np.full((12, 3, 4, 4), value, dtype), [0] * 9 + [1] * 3
        clf = watched(batch_size=6).fit(X, y)
        for x, n_noise in clf.given_:
            assert n_noise
            assert x.abs().max() < 1e-6  # centred; the noise has no deviation either
        proba = clf.predict_proba(X)
        assert np.isfinite(proba).all()
        np.testing.assert_array_equal(proba, np.broadcast_to(proba[:1], proba.shape))

    @pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-10, 1e10, 1e30, 1e38])
    def test_ranges_of_any_size_are_one_to_the_network(self, scale):
        rng = np.random.RandomState(0)
        X, y = rng.uniform(-1, 1, (24, 3, 4, 4)), np.repeat([0, 1], [18, 6])
        clf = watched(batch_size=8).fit(X * scale, y)
        x = torch.cat([x for x, _ in clf.given_])
        assert torch.isfinite(x).all()
        assert 0.5 < x.std() < 2
        assert np.isfinite(clf.predict_proba(X * scale)).all()

    def test_the_last_rows_of_a_loader_of_one_s_own_may_be_dropped(self):
        X, y = np.random.RandomState(0).rand(9, 3, 1, 1), [0, 1, 0] * 3
        own = {"iterator_train__drop_last": True, "batch_size": 4, "resampler": None}
        clf = watched(**own).fit(X, y)  # a lone ninth row could not be normalised
        assert [len(x) for x, _ in clf.given_] == [4, 4]
        assert int(clf.module_.features[1].num_batches_tracked) == 2
        assert clf.predict(X).shape == (9,)

    def test_gradients_may_be_accumulated_over_batches(self, images):
        k = 2

        class Accumulates(OPeNClassifier):
            def get_loss(self, *args, **kwargs):
                return super().get_loss(*args, **kwargs) / k

            def train_step(self, batch, **fit_params):
                b = len(self.history[-1, "batches"])  # skorch began this batch's record
                if (b - 1) % k == 0:
                    self.optimizer_.zero_grad()
                step = self.train_step_single(batch, **fit_params)
                if b % k == 0:
                    self.optimizer_.step()
                return step

        class Gradients(Callback):
            def on_batch_end(self, net, training, **kwargs):
                if training:
                    found.append(torch.cat([p.grad.flatten() for p in net.module_.parameters()]))

        plain = {"optimizer__momentum": 0, "optimizer__weight_decay": 0, "precision": "float32"}
        settings = {"max_epochs": 1, "start_epoch": 0, "batch_size": 30, "warmup_epochs": 0,
                    "lr_milestones": (), **plain}  # fmt: skip
        found = []
        still = make(tiny_net, **settings, callbacks=[Gradients()]).set_params(lr=0).fit(*images)
        assert still.epoch_plan(0).noise_share > 0
        assert len(found) == k
        before = weights(still)
        clf = Accumulates(tiny_net, random_state=0, verbose=0, lr=0.05, **settings).fit(*images)
        expected = before - 0.05 * sum(found) / k
        torch.testing.assert_close(weights(clf), expected, rtol=1e-5, atol=1e-7)
        assert (weights(clf) - before).abs().max() > 1e-4

    def test_all_calls_of_an_lbfgs_step_see_the_same_batch(self, images):
        clf = watched(
            tiny_net,
            optimizer=torch.optim.LBFGS,
            optimizer__max_iter=4,
            precision="float32",
            lr=0.1,
            batch_size=30,
            delta=0.5,
        ).fit(*images)
        sums = [(float(x.sum()), n_noise) for x, n_noise in clf.given_]
        steps = [next(group) for _, group in itertools.groupby(sums)]
        assert len(steps) == clf.epoch_plan(0).n_batches == 2
        assert len(sums) > 4
        assert [n for _, n in steps] == [n for _, n in clf.epoch_plan(0).batches()]
        assert all(n > 0 for _, n in steps)
        assert torch.isfinite(weights(clf)).all()
