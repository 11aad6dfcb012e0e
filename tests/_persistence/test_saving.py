"""Files without code: `save` and `load`."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import torchvision
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import EpochScoring, Freezer, GradientNormClipping
from skorch.dataset import Dataset, ValidSplit
from torch import nn

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._persistence import facts as saved_facts
from sklearn_open._persistence.file import read_file, write_file
from sklearn_open.backbones import SmallCNN, WideResNet, resnet32
from sklearn_open.exceptions import SavedFileError
from sklearn_open.nn import AuxNorm, DARNorm, RoutedNorm, StandardNorm
from sklearn_open.noise import AdditiveGaussianNoise
from sklearn_open.over_sampling import PureNoiseAppender

ROOT = Path(__file__).parents[2]


def make(module=None, **kwargs):
    settings = {"max_epochs": 2, "start_epoch": 1, "lr": 0.05, "batch_size": 16, "verbose": 0}
    if module is None:
        settings["module__width"] = 4
    return OPeNClassifier(module, **{**settings, "random_state": 0, **kwargs})


def round_trip(clf, tmp_path, *args, **kwargs):
    clf.save(tmp_path / "clf.safetensors")
    return OPeNClassifier.load(tmp_path / "clf.safetensors", *args, **kwargs)


def without_batches(history):
    return [{name: row[name] for name in row if name != "batches"} for row in history]


def assert_same(loaded, clf, X, y):
    assert loaded.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert list(map(type, loaded.classes_)) == list(map(type, clf.classes_))
    np.testing.assert_array_equal(loaded.classes_, clf.classes_)
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))
    assert loaded.score(X, y) == clf.score(X, y)
    assert loaded.image_shape_ == clf.image_shape_
    assert loaded.n_features_in_ == clf.n_features_in_
    assert loaded.seed_ == clf.seed_
    assert without_batches(loaded.history) == without_batches(clf.history)


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


@pytest.fixture(scope="module")
def fitted(images):
    X, y = images
    return make().fit(X, np.array(["cat", "bird", "dog"])[y])


class TestRoundTrip:
    @pytest.mark.parametrize(
        "labels",
        [
            ["cat", "bird", "dog"],
            [30, 5, 700],
            [2.0, 0.0, 1.0],
            [True, False, True],
            np.array(["a", "b", "a long one"], dtype=object),
            np.array(["2021-01-01", "2022-01-01", "2023-01-01"], dtype="datetime64[D]"),
            np.array([1, 2, 3], dtype="uint8"),
            np.array([1, 2, 3], dtype=">i4"),
            np.array(["\ud800", "é\n", "日本"], dtype="U7"),
        ],
        ids=ascii,
    )
    def test_labels(self, images, tmp_path, labels):
        X, y = images
        y = np.asarray(labels)[y]
        clf = make(max_epochs=1).fit(X, y)
        assert_same(round_trip(clf, tmp_path), clf, X, y)

    @pytest.mark.parametrize(
        "params",
        [
            {"augment": "flip_crop", "noise_grad": "all", "lr_milestones": [0.5]},
            {"module": WideResNet, "module__depth": 10, "module__widen_factor": 1},
            {"module": SmallCNN, "module__width": np.int64(2)},
            {"module": torchvision.models.shufflenet_v2_x0_5},
            {"compile": True, "compile__backend": "eager"},
            {"resampler": None, "precision": "bf16"},
            {"precision": "float32", "iterator_valid__batch_size": 7},
            {"criterion__weight": torch.tensor([0.3, 1.1, 2.7]), "optimizer": torch.optim.Adam},
            {"criterion": nn.MultiMarginLoss, "predict_nonlinearity": None, "lr": np.float64(0.01)},
            {"normalize": (np.full(3, 0.1), [0.2, 0.3, 0.4])},
            {"normalize": None, "callbacks": "disable", "use_caching": False},
            {"callbacks__lr_schedule": None, "max_epochs": 0},
            {"classes": np.array([2, 0, 1, 9])},
            {"classes": ["zero", "one", "two"], "random_state": None},
        ],
        ids=lambda params: ",".join(params),
    )
    def test_parameters(self, images, tmp_path, params):
        X, y = images
        clf = make(**params).fit(X, y)
        loaded = round_trip(clf, tmp_path)
        assert_same(loaded, clf, X, clf.classes_[y])
        given, found = clf.get_params(deep=False), loaded.get_params(deep=False)
        assert given.keys() == found.keys()
        for name, value in given.items():
            value = value.item() if isinstance(value, np.generic) else value
            assert repr(found[name]) == repr(value), name

    def test_floats_of_any_range(self, images, tmp_path):
        X, y = images
        clf = make().fit(X / 3 - 11.1, y)
        assert_same(round_trip(clf, tmp_path), clf, X / 3 - 11.1, y)

    def test_gray_images_and_tables_of_images(self, images, tmp_path):
        X, y = images
        clf = make().fit(X[:, 0], y)
        assert_same(round_trip(clf, tmp_path), clf, X[:, 0], y)
        table = X[:, 0].reshape(60, 64)
        clf = make(image_shape=(8, 8)).fit(table, y)
        assert_same(round_trip(clf, tmp_path), clf, table, y)

    def test_tables(self, images, tmp_path):
        X, y = images
        table = pd.DataFrame(X[:, 0, :2].reshape(60, 16) / 7 - 3).add_prefix("column ")
        clf = OPeNClassifier(module__hidden=8, max_epochs=2, verbose=0, random_state=0)
        clf.fit(table, y)
        loaded = round_trip(clf, tmp_path)
        assert_same(loaded, clf, table, y)
        np.testing.assert_array_equal(loaded.feature_names_in_, clf.feature_names_in_)
        with pytest.raises(ValueError, match="feature names"):
            loaded.predict(table.add_suffix("!"))

    def test_another_process(self, fitted, images, tmp_path):
        fitted.save(tmp_path / "clf.safetensors")
        np.save(tmp_path / "X.npy", images[0])
        code = (
            "import numpy as np, torch; from sklearn_open import OPeNClassifier\n"
            "torch.set_num_threads(1)\n"
            "proba = OPeNClassifier.load('clf.safetensors').predict_proba(np.load('X.npy'))\n"
            "np.save('proba.npy', proba)"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=120)
        np.testing.assert_array_equal(
            np.load(tmp_path / "proba.npy"), fitted.predict_proba(images[0])
        )

    def test_saved_again_it_is_the_same(self, fitted, tmp_path):
        loaded = round_trip(fitted, tmp_path)
        loaded.save(tmp_path / "again.safetensors")
        (facts, weights), (facts2, weights2) = (
            read_file(tmp_path / name) for name in ("clf.safetensors", "again.safetensors")
        )
        assert facts == facts2
        assert weights.keys() == weights2.keys()
        assert all(torch.equal(weights[name], weights2[name]) for name in weights)

    def test_weights_have_the_network_s_own_names(self, fitted, tmp_path):
        assert any(isinstance(layer, DARNorm) for layer in fitted.module_.modules())
        fitted.save(tmp_path / "clf")
        weights = safetensors.torch.load_file(tmp_path / "clf")
        assert weights.keys() == SmallCNN(num_classes=3, in_channels=3).state_dict().keys()

    def test_a_subclass_loads_as_itself(self, images, tmp_path):
        class Mine(OPeNClassifier):
            def __init__(self, module=None, mine=3, **kwargs):
                super().__init__(module, **kwargs)
                self.mine = mine

        clf = Mine(mine=(4, "x"), module__width=4, max_epochs=1, verbose=0).fit(*images)
        clf.save(tmp_path / "clf.safetensors")
        loaded = Mine.load(tmp_path / "clf.safetensors")
        assert (type(loaded), loaded.mine) == (Mine, (4, "x"))
        with pytest.raises(SavedFileError, match="'mine'"):
            OPeNClassifier.load(tmp_path / "clf.safetensors")

    def test_tied_weights_and_other_dtypes(self, images, tmp_path):
        net = tiny_net()
        net.register_buffer("brief", torch.ones(2, dtype=torch.bfloat16))
        net.register_buffer("same", net.brief)
        net.register_buffer("nothing", torch.ones(0, 3))
        clf = make(net, max_epochs=1).fit(*images)
        assert_same(round_trip(clf, tmp_path, net), clf, *images)


class TestAfterLoading:
    def test_clone_and_pickle(self, fitted, images, tmp_path):
        loaded = round_trip(fitted, tmp_path)
        fresh = clone(loaded)
        assert not hasattr(fresh, "module_")
        assert fresh.get_params(deep=False) == fitted.get_params(deep=False)
        again = pickle.loads(pickle.dumps(loaded))
        np.testing.assert_array_equal(
            again.predict_proba(images[0]), fitted.predict_proba(images[0])
        )

    def test_training_goes_on(self, images, tmp_path):
        settings = {"optimizer__momentum": 0, "callbacks__lr_schedule": None, "start_epoch": 0}
        clf = make(augment="flip_crop", **settings).fit(*images)  # whose optimizer has no memory
        loaded = round_trip(clf, tmp_path)
        assert loaded.optimizer_ is not clf.optimizer_
        assert not any(isinstance(layer, DARNorm) for layer in loaded.module_.modules())
        clf.partial_fit(*images)
        loaded.partial_fit(*images)
        assert any(isinstance(layer, DARNorm) for layer in loaded.module_.modules())
        losses = [net.history[:, "train_loss"] for net in (clf, loaded)]
        assert losses[0] == losses[1]
        assert len(losses[0]) == 4
        np.testing.assert_array_equal(loaded.predict_proba(images[0]), clf.predict_proba(images[0]))

    def test_one_class_of_more_data(self, fitted, images, tmp_path):
        X, y = images
        loaded = round_trip(fitted, tmp_path)
        loaded.partial_fit(X[y == 1], np.full((y == 1).sum(), "bird"))
        assert loaded.predict_proba(X).shape == (60, 3)

    def test_fit_starts_anew(self, images, tmp_path):
        clf = make().fit(*images)
        loaded = round_trip(clf, tmp_path).fit(*images)
        np.testing.assert_array_equal(loaded.predict_proba(images[0]), clf.predict_proba(images[0]))
        assert len(loaded.history) == 2

    def test_global_random_states_stay(self, images, tmp_path):
        clf = make(random_state=None).fit(*images)
        np.random.seed(3)
        torch.manual_seed(3)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()
        round_trip(clf, tmp_path)
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])
        assert torch.equal(torch.get_rng_state(), before[1])

    def test_wrong_rows_are_refused_as_before(self, fitted, tmp_path):
        with pytest.raises(ValueError, match=r"\(3, 8, 8\) is needed"):
            round_trip(fitted, tmp_path).predict(np.zeros((2, 3, 9, 9), dtype=np.uint8))


class Halved(SmallCNN):
    """A network that the library does not know."""

    def forward(self, x):
        return super().forward(x) / 2


def tempered(logits):
    return torch.softmax(3 * logits, dim=-1)


class MyLoss(nn.CrossEntropyLoss):
    pass


class DoubledDataset(Dataset):
    pass


class TestWhatTheCallerPasses:
    def test_a_network_of_one_s_own(self, images, tmp_path):
        clf = make(Halved, module__width=4).fit(*images)
        with pytest.raises(ValueError, match=r"test_saving\.Halved.*load\(path, module=\.\.\.\)"):
            round_trip(clf, tmp_path)
        assert_same(round_trip(clf, tmp_path, Halved), clf, *images)
        instance = Halved(num_classes=3, in_channels=3, width=4)
        assert_same(round_trip(clf, tmp_path, module=instance), clf, *images)

    def test_what_a_network_draws_when_made_is_drawn_again(self, images, tmp_path):
        class Projected(SmallCNN):
            def __init__(self, num_classes, in_channels):
                super().__init__(num_classes, in_channels, width=4)
                self.register_buffer("projection", torch.randn(3, 3), persistent=False)

            def forward(self, x):
                return super().forward(x) @ self.projection

        clf = make(Projected, max_epochs=1, random_state=None).fit(*images)
        assert_same(round_trip(clf, tmp_path, Projected), clf, *images)

    @pytest.mark.parametrize(
        ("module", "said"),
        [
            (lambda num_classes: tiny_net(num_classes), "<lambda>"),
            (tiny_net(), "an instance of sklearn_open.backbones"),
        ],
    )
    def test_networks_without_a_name(self, images, tmp_path, module, said):
        clf = make(module, max_epochs=1).fit(*images)
        with pytest.raises(ValueError, match=said) as raised:
            round_trip(clf, tmp_path)
        assert not isinstance(raised.value, SavedFileError)
        assert_same(round_trip(clf, tmp_path, module), clf, *images)

    @pytest.mark.parametrize(
        ("params", "needed"),
        [
            ({"criterion": MyLoss}, "criterion"),
            ({"criterion": nn.CrossEntropyLoss(label_smoothing=0.1)}, "criterion"),
            ({"predict_nonlinearity": tempered}, "predict_nonlinearity"),
            ({"dataset": DoubledDataset}, "dataset"),
        ],
    )
    def test_what_predictions_depend_on_is_asked_for(self, images, tmp_path, params, needed):
        clf = make(**params, max_epochs=1).fit(*images)
        with pytest.raises(ValueError, match=rf"{needed} \(.*load\(path, {needed}=\.\.\.\)"):
            round_trip(clf, tmp_path)
        assert_same(round_trip(clf, tmp_path, **params), clf, *images)

    def test_parameters_of_the_network_are_asked_for(self, images, tmp_path):
        class Activated(SmallCNN):
            def __init__(self, num_classes, in_channels, activation):
                super().__init__(num_classes, in_channels, width=4)
                self.activation = activation

            def forward(self, x):
                return self.activation(super().forward(x))

        clf = make(Activated, module__activation=torch.tanh, max_epochs=1).fit(*images)
        with pytest.raises(ValueError, match=r"module__activation \(.*tanh\)"):
            round_trip(clf, tmp_path, Activated)
        loaded = round_trip(clf, tmp_path, Activated, module__activation=torch.tanh)
        assert_same(loaded, clf, *images)
        instance = Activated(3, 3, activation=torch.tanh)
        assert_same(round_trip(clf, tmp_path, instance), clf, *images)

    def test_other_parameters_are_left_at_their_defaults_with_a_warning(self, images, tmp_path):
        params = {
            "callbacks": [GradientNormClipping(1), ("f1", EpochScoring("f1_macro"))],
            "callbacks__f1__name": "f1",
            "augment": lambda x: x,
            "resampler": PureNoiseOverSampler(delta=0.5),
            "resampler__noise": "uniform",
            "train_split": ValidSplit(3),
        }
        clf = make(**params).fit(*images)
        with pytest.warns(UserWarning, match="could not hold these parameters") as warned:
            loaded = round_trip(clf, tmp_path)
        assert len(warned) == 1
        assert Path(warned[0].filename) == Path(__file__)
        names = str(warned[0].message).split("now: ")[1].split(". Pred")[0].split(", ")
        assert names == sorted(params)
        assert_same(loaded, clf, *images)
        loaded.partial_fit(*images)
        given = round_trip(clf, tmp_path, **params)
        assert given.get_params(deep=False)["resampler__noise"] == "uniform"

    def test_machine_s_own_parameters_are_not_kept(self, images, tmp_path):
        clf = make(memory=str(tmp_path / "m"), checkpoint=str(tmp_path / "c"), device="cpu")
        loaded = round_trip(clf.fit(*images), tmp_path)
        params = loaded.get_params(deep=False)
        assert (params["memory"], params["checkpoint"], params["device"]) == (None, None, "auto")
        assert round_trip(clf, tmp_path, device="cpu").get_params()["device"] == "cpu"
        with pytest.raises(RuntimeError, match="device"):
            round_trip(clf, tmp_path, device="no device")

    def test_given_parameters_are_checked(self, fitted, tmp_path):
        loaded = round_trip(fitted, tmp_path, delta=0.7, max_epochs=3)
        assert (loaded.delta, loaded.max_epochs) == (0.7, 3)
        with pytest.raises(ValueError, match="precision='half'") as raised:
            round_trip(fitted, tmp_path, precision="half")
        assert not isinstance(raised.value, SavedFileError)

    @pytest.mark.parametrize(
        ("module", "said"),
        [
            (resnet32(3), r"no stem.weight; the file has no bn.weight; .* no bn.bias; \.\.\."),
            (SmallCNN(3, 3, width=5), r"features.0.weight is torch.float32 of shape \(4, 3, 3, 3"),
            (
                nn.Sequential(nn.Flatten(), nn.Linear(192, 3)),
                "the file has no 1.weight; the file has no 1.bias; the network has no fc.bias",
            ),
        ],
    )
    def test_a_network_that_the_weights_do_not_fit(self, fitted, tmp_path, module, said):
        with pytest.raises(ValueError, match=said) as raised:
            round_trip(fitted, tmp_path, module)
        assert not isinstance(raised.value, SavedFileError)

    def test_weights_of_another_dtype(self, images, tmp_path):
        net = tiny_net()
        net.register_buffer("extra", torch.ones(2))
        clf = make(net, max_epochs=1).fit(*images)
        net.extra = net.extra.double()
        with pytest.raises(ValueError, match=r"extra is torch.float32 .* and torch.float64"):
            round_trip(clf, tmp_path, net)


class TestDownloads:
    def test_pretrained_weights_are_not_asked_for_again(self, images, tmp_path, monkeypatch):
        made_with = []

        def network(num_classes=3, weights=None, transform_input=False):
            made_with.append((weights, transform_input))
            net = tiny_net(num_classes)
            net.transform_input = transform_input or weights is not None
            return net

        network.__module__ = "torchvision.models.fake"
        names = {**saved_facts.known("module"), "torchvision.models.fake": network}
        names |= {**saved_facts.known("criterion"), **saved_facts.known("optimizer")}
        monkeypatch.setattr(saved_facts, "known", lambda component: names)
        clf = make(network, module__weights="DEFAULT", max_epochs=1).fit(*images)
        loaded = round_trip(clf, tmp_path)
        assert made_with == [("DEFAULT", False), (None, True)]
        assert loaded.module_.transform_input

    def test_nor_if_a_file_says_so(self, images, tmp_path):
        clf = make(torchvision.models.shufflenet_v2_x0_5, max_epochs=1).fit(*images)
        clf.save(tmp_path / "clf")
        facts, weights = read_file(tmp_path / "clf")
        facts["params"] |= {"module__weights": "DEFAULT", "module__pretrained": True}
        write_file(tmp_path / "clf", facts, weights)
        loaded = OPeNClassifier.load(tmp_path / "clf")
        assert "module__weights" not in loaded.get_params(deep=False)

    @pytest.mark.parametrize("name", ["torchvision:shufflenet_v2_x0_5", "timm:test_resnet"])
    def test_nor_for_a_network_by_name(self, images, tmp_path, name):
        pytest.importorskip("timm")
        clf = make(name, max_epochs=1, precision="float32").fit(*images)
        clf.save(tmp_path / "clf")
        facts, weights = read_file(tmp_path / "clf")
        facts["params"] |= {
            "module__weights": "DEFAULT",
            "module__pretrained": True,
            "module__checkpoint_path": "a_pickle",
        }
        write_file(tmp_path / "clf", facts, weights)
        loaded = OPeNClassifier.load(tmp_path / "clf")
        assert not {*saved_facts.PRETRAINED} & loaded.get_params(deep=False).keys()

    def test_nor_for_the_package_s_own(self, images, tmp_path):
        torch.save(torchvision.models.resnet152().state_dict(), tmp_path / "weights")
        given = {"module__weights": str(tmp_path / "weights"), "max_epochs": 0}
        clf = make("resnet152_cosine", **given).fit(*images)
        (tmp_path / "weights").unlink()
        loaded = round_trip(clf, tmp_path)
        assert "module__weights" not in loaded.get_params(deep=False)
        assert loaded.predict_proba(images[0]).tobytes() == clf.predict_proba(images[0]).tobytes()


class TestNetworksByName:
    @pytest.mark.parametrize(
        "name", ["resnet32", "shufflenet_v2_x0_5", "torchvision:resnet18", "timm:test_resnet"]
    )
    def test_round_trip(self, images, tmp_path, name):
        if name.startswith("timm:"):
            pytest.importorskip("timm")
        clf = make(name, max_epochs=1, start_epoch=0, precision="float32").fit(*images)
        loaded = round_trip(clf, tmp_path)
        assert loaded.module == name
        assert_same(loaded, clf, *images)

    def test_a_recipe(self, images, tmp_path):
        smaller = {"module": "wrn16_2", "max_epochs": 2, "start_epoch": 1, "batch_size": 16}
        smaller |= {"optimizer__param_groups": [("fc*", {"lr": 0.01})]}
        clf = OPeNClassifier.from_recipe(
            "cifar10_lt_ir100", **smaller, norm="aux", random_state=0, verbose=0
        ).fit(*images)
        assert any(isinstance(layer, AuxNorm) for layer in clf.module_.modules())
        loaded = round_trip(clf, tmp_path)
        assert loaded.get_params(deep=False) == clf.get_params(deep=False)
        assert_same(loaded, clf, *images)

    @pytest.mark.parametrize("name", ["resnet_of_next_year", "elsewhere:resnet18", "os.system"])
    def test_a_name_that_is_not_known_here_is_asked_for(self, images, tmp_path, name):
        clf = make("resnet32", max_epochs=1).fit(*images)
        clf.save(tmp_path / "clf")
        facts, weights = read_file(tmp_path / "clf")
        facts["params"]["module"] = name
        write_file(tmp_path / "clf", facts, weights)
        with pytest.raises(ValueError, match=f"a network made by {name}.*module="):
            OPeNClassifier.load(tmp_path / "clf")
        assert_same(OPeNClassifier.load(tmp_path / "clf", "resnet32"), clf, *images)

    def test_without_timm(self, images, tmp_path, monkeypatch):
        pytest.importorskip("timm")
        clf = make("timm:test_resnet", max_epochs=1, precision="float32").fit(*images)
        clf.save(tmp_path / "clf")
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(ImportError, match="needs timm, which is not installed"):
            OPeNClassifier.load(tmp_path / "clf")


class TestOtherNorms:
    @pytest.mark.parametrize("norm", ["aux", "standard"])
    def test_round_trip_and_training_on(self, images, tmp_path, norm):
        clf = make(norm=norm, start_epoch=0).fit(*images)
        kind = {"aux": AuxNorm, "standard": StandardNorm}[norm]
        loaded = round_trip(clf, tmp_path)
        assert loaded.norm == norm
        assert_same(loaded, clf, *images)
        states = [net.module_.state_dict() for net in (clf, loaded)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        loaded.partial_fit(*images)
        assert any(isinstance(layer, kind) for layer in loaded.module_.modules())
        assert len(loaded.optimizer_.param_groups) == (2 if norm == "aux" else 1)
        second = [key for key in states[0] if key.endswith("auxiliary.weight")]
        assert bool(second) == (norm == "aux")
        for key in second:
            assert not torch.equal(loaded.module_.state_dict()[key], clf.module_.state_dict()[key])

    @pytest.mark.parametrize("params", [{"resampler": None}, {"delta": 0}])
    def test_aux_without_noise(self, images, tmp_path, params):
        clf = make(norm="aux", **params).fit(*images)
        loaded = round_trip(clf, tmp_path)
        assert_same(loaded, clf, *images)
        assert loaded.module_.state_dict().keys() == clf.module_.state_dict().keys()
        loaded.set_params(resampler=PureNoiseOverSampler, delta=0.5, start_epoch=0)
        loaded.partial_fit(*images)
        assert any(isinstance(layer, AuxNorm) for layer in loaded.module_.modules())
        assert len(loaded.optimizer_.param_groups) == 2

    def test_second_layers_of_another_norm_are_left_out(self, images, tmp_path):
        clf = make(norm="aux", start_epoch=0).fit(*images).set_params(norm="dar")
        loaded = round_trip(clf, tmp_path)
        assert loaded.norm == "dar"
        assert_same(loaded, clf, *images)
        assert not any("auxiliary" in key for key in loaded.module_.state_dict())

    def test_another_norm_given_to_load(self, images, tmp_path):
        clf = make(norm="aux", start_epoch=0).fit(*images)
        clf.save(tmp_path / "clf.safetensors")
        loaded = OPeNClassifier.load(tmp_path / "clf.safetensors", norm="dar")
        assert loaded.norm == "dar"
        np.testing.assert_array_equal(loaded.predict_proba(images[0]), clf.predict_proba(images[0]))
        assert not any("auxiliary" in key for key in loaded.module_.state_dict())

    def test_a_norm_that_was_changed_after_training(self, images, tmp_path):
        clf = make(start_epoch=0).fit(*images).set_params(norm="aux")
        assert_same(round_trip(clf, tmp_path), clf, *images)

    @pytest.mark.parametrize("norm", ["aux", "standard"])
    def test_plain_networks(self, images, norm):
        clf = make(norm=norm, start_epoch=0, precision="float32").fit(*images)
        network = clf.to_torch()
        assert not any(isinstance(layer, RoutedNorm) for layer in network.modules())
        rows = torch.from_numpy(images[0]).float()
        torch.testing.assert_close(network(rows), torch.from_numpy(clf.predict_proba(images[0])))

    def test_samplers_and_noises_are_named_where_a_file_cannot_hold_them(self, images, tmp_path):
        for params, said in [
            ({"resampler": PureNoiseAppender()}, "resampler"),
            ({"resampler__noise": AdditiveGaussianNoise()}, "resampler__noise"),
        ]:
            clf = make(start_epoch=0, **params).fit(*images)
            with pytest.warns(UserWarning, match=f"could not hold these .*: {said}"):
                assert_same(round_trip(clf, tmp_path), clf, *images)
        clf = make(start_epoch=0, resampler__noise="additive").fit(*images)
        assert round_trip(clf, tmp_path).resampler__noise == "additive"
        clf = make(start_epoch=0, resampler=PureNoiseAppender).fit(*images)
        assert round_trip(clf, tmp_path).resampler is PureNoiseAppender


class TestRefusedWhenSaving:
    @pytest.mark.parametrize("clf", [make(), make(SmallCNN(3, 3)).initialize()])
    def test_not_fitted(self, tmp_path, clf):
        with pytest.raises(NotFittedError):
            clf.save(tmp_path / "clf")
        assert not list(tmp_path.iterdir())

    def test_labels_that_json_cannot_hold(self, images, tmp_path):
        class Label(str):
            __slots__ = ()

        X, y = images
        names = np.array([Label("a"), Label("b"), Label("c")], dtype=object)[y]
        clf = make(max_epochs=1).fit(X, names)
        with pytest.raises(TypeError, match=r"cannot hold the classes .* exactly"):
            clf.save(tmp_path / "clf")

    def test_states_that_are_no_tensors(self, images, tmp_path):
        class Stateful(SmallCNN):
            def get_extra_state(self):
                return {"a": 1}

            def set_extra_state(self, state):
                pass

        clf = make(Stateful, module__width=4, max_epochs=1).fit(*images)
        with pytest.raises(TypeError, match=r"'_extra_state'.*Pickle the estimator"):
            clf.save(tmp_path / "clf")
        net = tiny_net()
        net.register_buffer("odd", torch.ones(2, dtype=torch.complex64))
        clf = make(net, max_epochs=1).fit(*images)
        with pytest.raises(TypeError, match=r"'odd', a tensor of .* torch.complex64"):
            clf.save(tmp_path / "clf")

    def test_several_networks(self, images, tmp_path):
        class Two(OPeNClassifier):
            def initialize_module(self):
                super().initialize_module()
                self.second_ = nn.Linear(2, 2)
                return self

        clf = Two(module__width=4, max_epochs=1, verbose=0).fit(*images)
        with pytest.raises(TypeError, match=r"has the networks .*second"):
            clf.save(tmp_path / "clf")

    def test_a_file_is_whole_or_as_it_was(self, fitted, tmp_path, monkeypatch):
        path = tmp_path / "clf"
        path.write_bytes(b"before")

        def no_room(*args):
            raise OSError("no room")

        monkeypatch.setattr("os.replace", no_room)
        with pytest.raises(OSError, match="no room"):
            fitted.save(path)
        assert path.read_bytes() == b"before"
        assert list(tmp_path.iterdir()) == [path]


# --- files of earlier versions ---

SAVED_V1 = ROOT / "tests" / "data" / "saved_v1.safetensors"
PROBA_V1 = [
    [0.42590752, 0.29007370, 0.28401880],
    [0.41006714, 0.32201862, 0.26791430],
    [0.42779395, 0.30792654, 0.26427950],
]


def images_v1():
    """Images that differ, and their labels."""
    X = (np.arange(12 * 3 * 6 * 6).reshape(12, 3, 6, 6) * 37 % 251).astype(np.uint8)
    y = np.array(["common", "rare", "third"])[[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]]
    return X, y


def make_v1():
    """Return the estimator that was saved; `save` of version 0.1.0.dev0 made the file.

    To make it anew, with the probabilities: ``make_v1().save(SAVED_V1)``.
    """
    clf = OPeNClassifier(
        module=SmallCNN,
        module__width=2,
        max_epochs=3,
        start_epoch=1,
        batch_size=6,
        augment="flip_crop",
        normalize=((0.4, 0.5, 0.6), [0.2, 0.2, 0.3]),
        precision="float32",
        random_state=0,
        verbose=0,
    )
    return clf.fit(*images_v1())


def test_files_of_format_1_load():
    X, y = images_v1()
    clf = OPeNClassifier.load(SAVED_V1)
    np.testing.assert_allclose(clf.predict_proba(X[::4]), PROBA_V1, atol=1e-5)
    assert clf.classes_.tolist() == ["common", "rare", "third"]
    assert clf.image_shape_ == (3, 6, 6)
    assert clf.get_params()["normalize"] == ((0.4, 0.5, 0.6), [0.2, 0.2, 0.3])
    assert (clf.module, clf.augment, clf.random_state) == (SmallCNN, "flip_crop", 0)
    assert len(clf.history) == 3
    clf.partial_fit(X, y)
    assert SAVED_V1.stat().st_size < 20_000


@pytest.mark.parametrize("frozen", ["features.0*", "features*", "fc*", "*bias"])
def test_what_was_frozen_stays_frozen(images, tmp_path, frozen):
    clf = OPeNClassifier(
        SmallCNN, max_epochs=1, random_state=0, verbose=0, callbacks=[Freezer(frozen)]
    ).fit(*images)
    clf.save(tmp_path / "a.safetensors")
    with pytest.warns(UserWarning, match="callbacks"):
        again = OPeNClassifier.load(tmp_path / "a.safetensors")
    flags = {name: p.requires_grad for name, p in clf.module_.named_parameters()}
    assert set(flags.values()) == {False, True}
    assert {name: p.requires_grad for name, p in again.module_.named_parameters()} == flags
    before = {name: p.clone() for name, p in again.module_.named_parameters()}
    again.partial_fit(*images)
    for name, parameter in again.module_.named_parameters():
        assert torch.equal(parameter, before[name]) != flags[name], name


def test_a_network_frozen_before(images, tmp_path):
    net = SmallCNN(num_classes=3, in_channels=3)
    net.features.requires_grad_(False)
    clf = OPeNClassifier(net, max_epochs=1, random_state=0, verbose=0).fit(*images)
    clf.save(tmp_path / "a.safetensors")
    for module in (SmallCNN(num_classes=3, in_channels=3), SmallCNN):
        again = OPeNClassifier.load(tmp_path / "a.safetensors", module=module)
        assert not any(p.requires_grad for p in again.module_.features.parameters())
        assert all(p.requires_grad for p in again.module_.fc.parameters())
