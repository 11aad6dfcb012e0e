import traceback
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import models

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import CosineClassifier, resnet152_cosine, resnext50_cosine


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("build", "weights", "n_classes"),
    [
        (resnext50_cosine, models.ResNeXt50_32X4D_Weights.IMAGENET1K_V1, 1000),
        (resnet152_cosine, models.ResNet152_Weights.IMAGENET1K_V1, 365),
    ],
)
def test_sizes_are_those_that_torchvision_documents(build, weights, n_classes):
    linear_layer = 2048 * 1000 + 1000
    backbone = weights.meta["num_params"] - linear_layer
    with torch.device("meta"):
        assert count(build()) == backbone + 2048 * n_classes + 1  # the learnable scale
        assert count(build(num_classes=7, scale="oltr")) == backbone + 2048 * 7
        assert count(build(in_channels=1)) == count(build()) - 2 * 64 * 7 * 7


@pytest.mark.parametrize("channels", [1, 3])
def test_resnext_returns_scaled_cosines(channels):
    torch.manual_seed(0)
    network = resnext50_cosine(num_classes=4, in_channels=channels, scale="ldam").eval()
    with torch.no_grad():
        logits = network(torch.rand(2, channels, 32, 32))
    assert logits.shape == (2, 4)
    assert logits.abs().max() <= 30


@pytest.mark.parametrize("build", [resnext50_cosine, resnet152_cosine])
def test_one_step_trains_every_parameter(build):
    torch.manual_seed(0)
    network = build(num_classes=3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    torch.nn.functional.cross_entropy(
        network(torch.rand(4, 3, 64, 64)), torch.tensor([0, 1, 2, 0])
    ).backward()
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(changed)


# --- weights; a smaller network stands in for ResNet-152 where weights are read ---


@pytest.fixture
def small(monkeypatch):
    """torchvision's ResNet-18 under the name of its ResNet-152, and trained weights of it."""
    monkeypatch.setattr(models, "resnet152", models.resnet18)
    torch.manual_seed(3)
    state = models.resnet18().state_dict()
    # As the files of IMAGENET1K_V1 are: older than torch's counters of batches.
    return {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}


def assert_loaded(network, state):
    own = network.state_dict()
    assert isinstance(network.fc, CosineClassifier)
    for name in own.keys() - {"fc.weight", "fc.scale", "fc._extra_state"}:
        expected = torch.tensor(0) if name.endswith("num_batches_tracked") else state[name]
        assert torch.equal(own[name], expected), name


@pytest.mark.parametrize("of_a_script", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_from_a_file(small, tmp_path, of_a_script, prefix):
    path = tmp_path / "weights.pth"
    state = {prefix + name: tensor for name, tensor in small.items()}
    torch.save({of_a_script: state, "epoch": 3} if of_a_script else state, path)
    assert_loaded(resnet152_cosine(5, weights=path), small)
    assert_loaded(resnet152_cosine(5, weights=str(path)), small)


def test_a_file_may_have_counters_of_batches(small, tmp_path):
    path = tmp_path / "weights.pth"
    counters = {name: torch.tensor(7) for name in models.resnet18().state_dict()}
    counters = {name: t for name, t in counters.items() if name.endswith("num_batches_tracked")}
    torch.save({**small, **counters}, path)
    own = resnet152_cosine(5, weights=path).state_dict()
    assert {name: own[name] for name in counters} == counters


def test_a_file_may_lack_the_classifier(small, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({name: t for name, t in small.items() if not name.startswith("fc.")}, path)
    assert_loaded(resnet152_cosine(5, weights=path), small)


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", models.ResNet152_Weights.IMAGENET1K_V1])
def test_weights_of_torchvision_by_name_or_enum(small, tmp_path, monkeypatch, weights):
    # Where torchvision looks before it downloads.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    file = models.ResNet152_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    torch.save(small, tmp_path / "hub" / "checkpoints" / file)
    assert_loaded(resnet152_cosine(5, weights=weights), small)


def test_weights_of_another_network_are_refused(small, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(models.resnet34().state_dict(), path)
    with pytest.raises(ValueError, match=r"not those of this ResNet: 80 tensors are missing, unk"):
        resnet152_cosine(5, weights=path)
    torch.save({**small, "conv1.weight": torch.zeros(64, 1, 7, 7)}, path)
    with pytest.raises(ValueError, match=r"1 tensors are missing.*such as 'conv1\.weight'"):
        resnet152_cosine(5, weights=path)


def test_what_a_file_has_besides_tensors_is_left(small, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "model": "resnet", **small}, path)
    assert_loaded(resnet152_cosine(5, weights=path), small)


@pytest.mark.parametrize("content", [b"hello", b"", b"PK\x03\x04", "network", "function"])
def test_files_that_hold_no_state_dict_are_refused(small, tmp_path, content):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"network": models.resnet18(), "function": print}[content], path)
    match = r"weights\.pth' cannot be read as a state dict .*state_dict\(\).*module__weights=<path>"
    with pytest.raises(ValueError, match=match) as refused:
        resnet152_cosine(5, weights=path)
    assert "weights_only" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("held", [torch.zeros(3), [1], {}, {"epoch": 3}, {1: torch.zeros(3)}])
def test_files_that_hold_something_else_are_refused(small, tmp_path, held):
    path = tmp_path / "weights.pth"
    torch.save(held, path)
    with pytest.raises(ValueError, match=r"weights\.pth' holds a .*module__weights=<path>"):
        resnet152_cosine(5, weights=path)


def no_network(*args, **kwargs):
    raise URLError("Temporary failure in name resolution")


def test_weights_that_cannot_be_downloaded(small, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    url = models.ResNet152_Weights.IMAGENET1K_V1.url
    match = rf"name resolution.* Download {url} and put it into '{tmp_path}.*module__weights=<path>"
    with pytest.raises(OSError, match=match):
        resnet152_cosine(5, weights="IMAGENET1K_V1")
    (tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]).write_bytes(b"cut off")
    with pytest.raises(OSError, match=r"damaged where torch keeps them\. Download") as refused:
        resnet152_cosine(5, weights="IMAGENET1K_V1")
    assert "weights_only" not in "".join(traceback.format_exception(refused.value))


def test_unknown_weights_are_refused(small):
    with pytest.raises(ValueError, match=r"neither a file nor.* 'IMAGENET1K_V1', 'IMAGENET1K_V2'"):
        resnet152_cosine(5, weights="imagenet")
    with pytest.raises(ValueError, match=r"3 channels, and in_channels is 1"):
        resnet152_cosine(5, in_channels=1, weights="IMAGENET1K_V1")


def test_with_the_classifier():
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, (16, 3, 32, 32), dtype=np.uint8), ["a"] * 12 + ["b"] * 4
    clf = OPeNClassifier(
        resnext50_cosine,
        precision="float32",  # torch on a CPU has NaN gradients of small grouped layers in bf16
        max_epochs=1,
        lr=0.01,
        start_epoch=0,
        random_state=0,
        verbose=0,
    ).fit(X, y)
    assert clf.epoch_plan(0).is_noise.any()
    assert clf.module_.fc.weight.shape == (2, 2048)
    assert clf.predict(X[:5]).shape == (5,)
