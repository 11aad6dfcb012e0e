"""What every data set keeps, found among the public names of `datasets`."""

import hashlib
import inspect
import pickle

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch
from torchvision import datasets as torchvision_datasets

from sklearn_open import datasets
from sklearn_open.datasets import ListedImages, _celeba5

LOADERS = [name for name in datasets.__all__ if name.startswith(("load_", "fetch_"))]
N_TRAIN = [6, 4, 3, 2, 2]  # images of the classes


def labels_of(counts):
    return [label for label, count in enumerate(counts) for _ in range(count)]


def cifar(name, folder, monkeypatch, write_list, write_images):
    """Write an archive in CIFAR's format that torchvision takes for the real one."""
    cls = getattr(torchvision_datasets, "CIFAR100" if "100" in name else "CIFAR10")
    key = "fine_labels" if "100" in name else "labels"
    home = folder / "sklearn_open" / cls.base_folder
    home.mkdir(parents=True)

    def write(file, content):
        (home / file).write_bytes(pickle.dumps(content))
        return hashlib.md5((home / file).read_bytes()).hexdigest()

    def batch(n):
        return {"data": np.zeros((5 * n, 3072), np.uint8), key: labels_of([n] * 5)}

    meta = {**cls.meta, "filename": "tiny_meta"}
    meta["md5"] = write("tiny_meta", {meta["key"]: [f"class {i}" for i in range(5)]})
    for part, n in {"train": 6, "test": 2}.items():
        file = f"tiny_{part}"
        monkeypatch.setattr(cls, f"{part}_list", [[file, write(file, batch(n))]])
    monkeypatch.setattr(cls, "meta", meta)
    return {"data_home": folder, "download_if_missing": False, "imbalance_ratio": 3}


def lists(name, folder, monkeypatch, write_list, write_images):
    """Write lists of images, and the images."""
    base, titles, pattern = {
        "load_imagenet_lt": ("imagenet_lt", "ImageNet_LT_{}.txt", "{}/n0000{}/{}.JPEG"),
        "load_places_lt": ("places_lt", "Places_LT_{}.txt", "{}/class-{}/{}.jpg"),
        "load_celeba5": ("celeba5", "CelebA5_{}.txt", "image64/{0[0]}{1}{2:05}.jpg"),
    }[name]
    home = folder / "sklearn_open" / base
    sizes = {"train": N_TRAIN, "val": [1] * 5, "test": [2] * 5}
    monkeypatch.setattr(_celeba5, "_RELEASED", {s: tuple(n) for s, n in sizes.items()})
    for subset, counts in sizes.items():
        where = "train" if subset == "train" else "val"
        entries = [
            (pattern.format(where, label, i + 100 * (subset == "test")), label)
            for i, label in enumerate(labels_of(counts))
        ]
        write_list(home / titles.format(subset), entries)
        write_images(home, entries)
    return {"data_home": folder, "image_size": 8}


def image_folder(name, folder, monkeypatch, write_list, write_images):
    """Write a folder for each class."""
    for subset in ("train", "test"):
        for i, label in enumerate(labels_of(N_TRAIN)):
            file = folder / subset / f"class {label}" / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8)).save(file)
    return {"path": folder}


WORLDS = {
    "fetch_cifar10_lt": cifar,
    "fetch_cifar100_lt": cifar,
    "load_celeba5": lists,
    "load_image_folder": image_folder,
    "load_imagenet_lt": lists,
    "load_places_lt": lists,
}


def check_signature(load):
    """Choices are keywords, `subset` and `return_X_y` among them."""
    parameters = inspect.signature(load).parameters
    assert {"subset", "return_X_y"} <= parameters.keys()
    for parameter in parameters.values():
        assert parameter.name == "path" or parameter.kind is parameter.KEYWORD_ONLY


def check_bunch(load, settings):
    train = load(subset="train", **settings)
    assert isinstance(train, Bunch)
    assert len(train.data) == len(train.target) > 0
    assert train.target.dtype == np.int64
    assert set(train.target) == set(range(len(train.target_names)))
    assert str(len(train.data)) in train.DESCR
    if isinstance(train.data, ListedImages):
        assert [train.data[i][1] for i in range(3)] == train.target[:3].tolist()
    else:
        assert train.data.dtype == np.uint8
        assert train.data.shape[1:] in [(8, 8, 3), (32, 32, 3)]
    X, y = load(subset="train", return_X_y=True, **settings)
    np.testing.assert_array_equal(y, train.target)
    assert len(X) == len(train.data)
    assert load(subset="test", **settings).target_names == train.target_names


def test_every_data_set_is_tested():
    assert set(LOADERS) == WORLDS.keys()


@pytest.mark.parametrize("name", LOADERS)
def test_contract(name, tmp_path, monkeypatch, write_list, write_images):
    load = getattr(datasets, name)
    check_signature(load)
    check_bunch(load, WORLDS[name](name, tmp_path, monkeypatch, write_list, write_images))


def load_stripes(*, subset="train", return_X_y=False):
    """Load a throw-away data set: stripes across and along."""
    n = {"train": 6, "test": 2}[subset]
    across = np.zeros((n, 8, 8, 3), np.uint8)
    across[:, ::2] = 255
    images = np.concatenate([across, across.transpose(0, 2, 1, 3)])
    target = np.repeat(np.arange(2), n)
    if return_X_y:
        return images, target
    names = ["across", "along"]
    descr = f"Stripes: {2 * n} images."
    return Bunch(data=images, target=target, target_names=names, DESCR=descr)


def test_a_new_one_needs_a_function():
    check_signature(load_stripes)
    check_bunch(load_stripes, {})
