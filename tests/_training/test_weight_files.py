"""Networks by name, with weights of a local file."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torchvision import models

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN, wrn16_2
from sklearn_open.exceptions import CheckpointError

FRESH = "for 7 classes, and y has 3: '{}' is fresh"


def make(module, weights, **params):
    settings = {"max_epochs": 1, "batch_size": 30, "random_state": 0, "lr": 0, "verbose": 0}
    return OPeNClassifier(module, module__weights=weights, **{**settings, **params})


def write(network, path, wrap=lambda state: state):
    torch.save(wrap(network.state_dict()), path)
    return path


@pytest.fixture
def small(tmp_path):
    """A small network of seven classes, and its file."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = SmallCNN(7, 3, width=4)
    return network, write(network, tmp_path / "seven.pth")


def make_small(weights, **params):
    return make("SmallCNN", weights, module__width=4, **params)


def assert_loaded(clf, network, head="fc"):
    own = clf.module_.state_dict()
    for name, value in network.state_dict().items():
        if not name.startswith(head) and "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(own[name], value, rtol=0, atol=0)


def networks():
    yield "resnet18", models.resnet18(num_classes=7), "fc"
    yield "mobilenet_v3_small", models.mobilenet_v3_small(num_classes=7), r"classifier\.3"
    yield "wrn16_2", wrn16_2(7), "fc"
    try:
        import timm
    except ImportError:
        return
    yield "timm:resnet10t", timm.create_model("resnet10t", num_classes=7), "fc"


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "wrn16_2", "timm:resnet10t"])
def test_one_spelling_for_all_libraries(images, tmp_path, name):
    found = {known: (network, head) for known, network, head in networks()}
    if name not in found:
        pytest.skip("needs timm")
    network, head = found[name]
    path = write(network, tmp_path / "seven.pth")
    X = np.repeat(np.repeat(images[0], 4, axis=2), 4, axis=3)
    with pytest.warns(UserWarning, match=FRESH.format(head)):
        clf = make(name, str(path), max_epochs=0).fit(X, images[1])
    assert_loaded(clf, network, head.replace("\\", ""))
    assert clf.predict_proba(X).shape == (60, 3)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")},
    ],
    ids=["state_dict", "model", "DataParallel", "old"],
)
def test_wrapped_state_dicts(images, small, wrap):
    network, path = small
    write(network, path, wrap)
    with pytest.warns(UserWarning, match=FRESH.format("fc")):
        assert_loaded(make_small(path).fit(*images), network)


def test_safetensors(images, small, tmp_path):
    from safetensors.torch import save_file

    save_file(small[0].state_dict(), tmp_path / "seven.safetensors")
    with pytest.warns(UserWarning, match=FRESH.format("fc")):
        clf = make_small(str(tmp_path / "seven.safetensors")).fit(*images)
    assert_loaded(clf, small[0])


def test_a_head_that_fits_is_kept_another_kind_is_fresh(images, tmp_path, recwarn):
    network = SmallCNN(3, 3, width=4)
    path = write(network, tmp_path / "three.pth")
    assert_loaded(make_small(path).fit(*images), network, head="nothing")
    assert not [w for w in recwarn if "fresh" in str(w.message)]
    with pytest.warns(UserWarning, match="'fc' is fresh"):
        assert_loaded(make_small(path, module__head="cosine").fit(*images), network)
    write(network, path, lambda state: {n: v for n, v in state.items() if "fc" not in n})
    with pytest.warns(UserWarning, match="have no such last layer, and y has 3: 'fc' is fresh"):
        assert_loaded(make_small(path).fit(*images), network)


@pytest.mark.filterwarnings("ignore:the pretrained weights")
def test_the_fresh_head_follows_the_random_state(images, small):
    one, same, other = (
        make_small(small[1], random_state=seed).fit(*images).module_.fc.weight for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_files_that_do_not_fit_are_refused_before_training(images, small):
    network, path = small
    with pytest.raises(ValueError, match=r"of another shape \('features\.0\.weight', .*very netw"):
        make("SmallCNN", path, module__width=8).fit(*images)
    write(network, path, lambda state: {**state, "fc2.weight": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"there are 1 unknown \('fc2\.weight'\)\. Pass"):
        make_small(path).fit(*images)
    write(network, path, lambda state: {n: v for n, v in state.items() if n != "features.0.weight"})
    clf = make_small(path)
    with pytest.raises(ValueError, match=r"there are 1 missing \('features\.0\.weight'\)\. Pass"):
        clf.fit(*images)
    assert not hasattr(clf, "module_")


@pytest.mark.parametrize("weights", ["gone.pth", "folder/gone.safetensors"])
def test_a_file_that_is_missing(images, weights):
    with pytest.raises(ValueError, match=rf"weights='{weights}': there is no such file \(looked"):
        make_small(weights).fit(*images)


def test_grey_images(images, small):
    X = images[0][:, 0]
    with pytest.raises(ValueError, match=r'1 channel, and the weights are for 3.*mode="RGB"\.$'):
        make_small(small[1]).fit(X, images[1])


def test_grey_images_and_timm(images, tmp_path):
    timm = pytest.importorskip("timm")
    path = write(timm.create_model("resnet10t", num_classes=7), tmp_path / "seven.pth")
    with pytest.raises(ValueError, match=r"do not fit.*1 channel,.*timm itself adapts"):
        make("timm:resnet10t", path).fit(images[0][:, 0], images[1])
    with pytest.raises(ValueError, match="module__weights and module__checkpoint_path"):
        make("timm:resnet10t", path, module__checkpoint_path=path).fit(*images)


def test_a_file_runs_no_code(images, small):
    torch.save(small[0], small[1])
    with pytest.raises(ValueError, match="cannot be read as a state dict"):
        make_small(small[1]).fit(*images)


def test_what_others_make_of_a_file_is_theirs(images, small):
    seen = []

    def factory(weights, num_classes=3):
        seen.append(weights)
        return SmallCNN(num_classes, 3, width=4)

    make(factory, small[1]).fit(*images)
    assert seen == [small[1]]


@pytest.mark.filterwarnings("ignore:the pretrained weights")
@pytest.mark.parametrize("module", ["SmallCNN", None])
def test_saved_files_need_no_weights(images, small, tmp_path, module):
    clf = make(module, small[1], module__width=4).fit(*images)
    assert clone(clf).get_params()["module__weights"] == small[1]
    again = pickle.loads(pickle.dumps(clf))
    clf.save(tmp_path / "clf.safetensors")
    small[1].unlink()
    loaded = OPeNClassifier.load(tmp_path / "clf.safetensors")
    for other in (again, loaded):
        np.testing.assert_array_equal(other.predict_proba(images[0]), clf.predict_proba(images[0]))
    assert "module__weights" not in loaded.get_params()


@pytest.mark.filterwarnings("ignore:the pretrained weights")
def test_memory_knows_a_file_by_its_content(images, small, tmp_path, counted):
    path = small[1]
    params = {"memory": tmp_path / "memory", "max_epochs": 2, "start_epoch": 1, "lr": 0.01}
    params["module__width"] = 4

    def epochs_of(weights):
        before = counted.epochs_run
        counted("SmallCNN", module__weights=weights, random_state=0, verbose=0, **params).fit(
            *images
        )
        return counted.epochs_run - before

    assert epochs_of(path) == 2
    assert epochs_of(str(shutil.copy(path, tmp_path / "copy.pth"))) == 1
    write(SmallCNN(7, 3, width=4), path)
    assert epochs_of(path) == 2


@pytest.mark.filterwarnings("ignore:the pretrained weights")
def test_checkpoints_go_on(images, small, tmp_path):
    params = {"lr": 0.01, "max_epochs": 2}
    whole = make_small(small[1], **params).fit(*images)
    folder = tmp_path / "checkpoint"
    make_small(small[1], **params, checkpoint=folder).fit(*images)
    again = make_small(small[1], **params, checkpoint=folder).fit(*images)
    np.testing.assert_array_equal(again.predict_proba(images[0]), whole.predict_proba(images[0]))
    write(SmallCNN(7, 3, width=4), small[1])
    with pytest.raises(CheckpointError):
        make_small(None, **params, checkpoint=folder).fit(*images)


@pytest.mark.filterwarnings("ignore:the pretrained weights")
def test_a_search_over_files(images, small):
    search = GridSearchCV(make_small(small[1]), {"module__weights": [str(small[1]), None]}, cv=2)
    assert len(search.fit(*images).cv_results_["params"]) == 2
