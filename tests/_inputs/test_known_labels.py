"""Labels beside the items are taken where they are those of the items, and only there."""

import numpy as np
import pytest
import torch
from PIL import Image
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision import datasets as vision

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.items import find_labels
from sklearn_open._inputs.known_labels import known_labels
from sklearn_open.datasets import ListedImages


def make(**params):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(**{**settings, **params}, verbose=0)


def flip(label):
    return 2 - int(label)


def image_folder(images, folder, cls=vision.ImageFolder, **kwargs):
    X, y = images
    for i, (pixels, label) in enumerate(zip(X, y, strict=True)):
        file = folder / f"class {label}" / f"{i:02}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(file)
    return cls(folder, **kwargs)


def cifar(images, cls=vision.CIFAR10, target_transform=None):
    X, y = images
    made = object.__new__(cls)  # its constructor wants the archive
    made.data, made.targets = X.transpose(0, 2, 3, 1), y.tolist()
    made.transform = made.transforms = None
    made.target_transform = target_transform
    return made


def mnist(images):
    X, y = images
    made = object.__new__(vision.MNIST)
    made.data, made.targets = torch.from_numpy(X[:, 0]), torch.from_numpy(y)
    made.transform = made.transforms = made.target_transform = None
    return made


class Binary(Dataset):
    """What it holds is not what its items say."""

    def __init__(self, X, y):
        self.X, self.targets, self.labels = X, y, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], int(self.targets[i] > 0)


class OneLater(TensorDataset):
    def __getitem__(self, i):
        x, label = super().__getitem__(i)
        return x, label + 1


class Relabelled(Subset):
    def __getitem__(self, i):
        x, label = super().__getitem__(i)
        return x, flip(label)

    def __getitems__(self, indices):
        return [self[i] for i in indices]


class RelabelledImages(ListedImages):
    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return image, flip(label)


class Shifted(SkorchDataset):
    def transform(self, X, y):
        return X, flip(y)


def tensors(images, cls=TensorDataset):
    return cls(*(torch.from_numpy(part) for part in images))


def hugging_face(images, transform=None):
    datasets = pytest.importorskip("datasets")
    X, y = images
    made = datasets.Dataset.from_dict({"image": list(X), "label": y.tolist()})
    return made.with_transform(transform) if transform else made.with_format("numpy")


def flipped_rows(rows):
    return {**rows, "label": [flip(label) for label in rows["label"]]}


ITEMS_ONLY = {
    "ImageFolder, target_transform": lambda im, f: image_folder(im, f, target_transform=flip),
    "CIFAR10, target_transform": lambda im, f: cifar(im, target_transform=flip),
    "items of its own": lambda im, f: Binary(*im),
    "subclass of TensorDataset": lambda im, f: tensors(im, OneLater),
    "subclass of Subset": lambda im, f: Relabelled(tensors(im), range(60)),
    "subset of such": lambda im, f: Subset(Binary(*im), range(59, -1, -1)),
    "concatenation with such": lambda im, f: ConcatDataset([tensors(im), tensors(im, OneLater)]),
    "skorch, transform": lambda im, f: Shifted(*im),
    "Hugging Face, transform": lambda im, f: hugging_face(im, flipped_rows),
    "subclass of ListedImages": lambda im, f: RelabelledImages(
        image_folder(im, f).root,
        [p[len(str(f)) + 1 :] for p, _ in image_folder(im, f).samples],
        np.sort(im[1]),
    ),
}
KNOWN = {
    "ImageFolder": lambda im, f: image_folder(im, f),
    "CIFAR10": lambda im, f: cifar(im),
    "MNIST": lambda im, f: mnist(im),
    "TensorDataset": lambda im, f: tensors(im),
    "subset": lambda im, f: Subset(tensors(im), range(59, -1, -2)),
    "concatenation": lambda im, f: ConcatDataset([tensors(im), cifar(im)]),
    "skorch": lambda im, f: SkorchDataset(*im),
    "Hugging Face": lambda im, f: hugging_face(im),
}


def of_items(dataset):
    items = [dataset[i] for i in range(len(dataset))]
    labels = [item["label"] if isinstance(item, dict) else item[1] for item in items]
    return np.array([int(label) for label in labels])


@pytest.mark.parametrize("kind", KNOWN)
def test_known_labels_are_those_of_the_items(images, tmp_path, kind):
    dataset = KNOWN[kind](images, tmp_path)
    np.testing.assert_array_equal(known_labels(dataset), of_items(dataset))


@pytest.mark.parametrize("kind", ITEMS_ONLY)
def test_what_an_item_says_is_the_truth(images, tmp_path, kind):
    dataset = ITEMS_ONLY[kind](images, tmp_path)
    assert known_labels(dataset) is None
    expected = of_items(dataset)
    np.testing.assert_array_equal(find_labels(dataset, None), expected)
    clf = make().fit(dataset)
    np.testing.assert_array_equal(clf.planner_.codes, np.unique(expected, return_inverse=True)[1])
    assert clf.score(dataset) == np.mean(clf.predict(dataset) == expected)
    given = make().fit(dataset, expected)
    np.testing.assert_array_equal(clf.predict_proba(dataset), given.predict_proba(dataset))


def test_samples_rule_a_folder_not_its_targets(images, tmp_path):
    folder = image_folder(images, tmp_path)
    folder.targets = [0] * 60
    np.testing.assert_array_equal(known_labels(folder), np.sort(images[1]))


def test_labels_are_read_together_with_pixels(images):
    class Counted(Binary):
        reads = 0

        def __getitem__(self, i):
            self.reads += 1
            return super().__getitem__(i)

    dataset, split = Counted(*images), Counted(*images)
    make(max_epochs=0).fit(dataset)
    assert dataset.reads <= 60 + 3  # the first item tells the shape
    make(max_epochs=0, train_split=ValidSplit(3)).fit(split)  # statistics of the rows trained on
    assert split.reads <= 60 + 40 + 4


def test_slices_of_labels(images):
    known, unknown = SliceDataset(tensors(images), idx=1), SliceDataset(Binary(*images), idx=1)
    rows = np.arange(5, 15)
    np.testing.assert_array_equal(find_labels(None, known[rows]), images[1][rows])
    np.testing.assert_array_equal(find_labels(None, unknown[rows]), images[1][rows] > 0)

    class Flipped(SliceDataset):
        def transform(self, data):
            return flip(data)

    flipped = Flipped(tensors(images), idx=1)[rows]
    np.testing.assert_array_equal(find_labels(None, flipped), [flip(y) for y in images[1][rows]])


class Items(Dataset):
    """Items of any form."""

    def __init__(self, images, form):
        self.images, self.form = images, form

    def __len__(self):
        return len(self.images[0])

    def __getitem__(self, i):
        return self.form(self.images[0][i], self.images[1][i])


FORMS = {
    "triple": lambda x, y: (x, y, "where it is from"),
    "list of four": lambda x, y: [x, torch.tensor(y), 3, None],
    "mapping": lambda x, y: {"img": x, "target": y, "path": "a.png"},
    "mapping of tensors": lambda x, y: {
        "pixel_values": torch.as_tensor(x),
        "labels": torch.tensor(y),
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_items_of_any_form(images, form):
    dataset = Items(images, FORMS[form])
    expected = make().fit(*images).predict_proba(images[0])
    clf = make().fit(dataset)
    np.testing.assert_array_equal(clf.predict_proba(dataset), expected)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda x, y: x, "y"),
        (lambda x, y: {"image": x, "mask": y}, "none of which is known to be the label"),
        (lambda x, y: (x, np.zeros(2)), "Multilabel"),
    ],
)
def test_items_without_a_label(images, form, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(Items(images, form))
