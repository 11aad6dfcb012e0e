"""What the items of a data set hold."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from skorch.dataset import Dataset as SkorchDataset
from skorch.helper import SliceDataset
from torch.utils.data import (
    ConcatDataset,
    Dataset,
    Subset,
    TensorDataset,
)

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.items import find_labels
from sklearn_open._inputs.known_labels import known_labels


def make(**kwargs):
    settings = {"max_epochs": 2, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(**{**settings, "random_state": 0, "verbose": 0, **kwargs})


class Pairs(Dataset):
    """Items without any list of labels; counts what is read."""

    def __init__(self, X, y, transform=None):
        self.X, self.marks, self.transform, self.reads = X, y, transform, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.reads += 1
        x = self.X[i]
        return (x if self.transform is None else self.transform(x)), self.marks[i]


class Listed(Pairs):
    @property
    def targets(self):
        return list(self.marks)


def pil(X):
    return [Image.fromarray(np.ascontiguousarray(row)) for row in np.moveaxis(X, 1, 3)]


def image_folder(X, y, folder):
    for i, (image, label) in enumerate(zip(pil(X), y, strict=True)):
        (folder / str(label)).mkdir(exist_ok=True, parents=True)
        image.save(folder / str(label) / f"{i:03}.png")
    return torchvision.datasets.ImageFolder(folder)


def hugging_face(X, y):
    datasets = pytest.importorskip("datasets", reason="needs Hugging Face datasets")
    return datasets.Dataset.from_dict({"image": pil(X), "label": y.tolist()}).with_format("torch")


DATASETS = {
    "pairs": lambda X, y, f: Pairs(X, y),
    "listed": lambda X, y, f: Listed(X, y),
    "PIL pairs": lambda X, y, f: Pairs(pil(X), y),
    "tensors": lambda X, y, f: TensorDataset(torch.from_numpy(X), torch.from_numpy(y)),
    "skorch": lambda X, y, f: SkorchDataset(X, y),
    "concatenated": lambda X, y, f: ConcatDataset([Listed(X[:20], y[:20]), Pairs(X[20:], y[20:])]),
    "subset": lambda X, y, f: Subset(Listed(X[::-1].copy(), y[::-1]), range(59, -1, -1)),
    "Hugging Face": lambda X, y, f: hugging_face(X, y),
    "slices": lambda X, y, f: SliceDataset(Pairs(X, y)),
}


@pytest.mark.parametrize("kind", [kind for kind in DATASETS if kind != "slices"])
def test_data_sets_bring_their_labels(images, tmp_path, kind):
    X, y = images
    given = DATASETS[kind](X, y, tmp_path)
    expected = make().fit(X, y).predict_proba(X)
    for args in ((given,), (given, None)):
        np.testing.assert_array_equal(make().fit(*args).predict_proba(given), expected)


def test_image_folders(images, tmp_path):
    X, y = images
    folder = image_folder(X, y, tmp_path)
    order = np.argsort(y, kind="stable")
    expected = make().fit(X[order], y[order]).predict_proba(X[order])
    np.testing.assert_array_equal(make().fit(folder).predict_proba(folder), expected)


def test_labels_of_unknown_data_sets_are_read(images):
    X, y = images
    listed = Listed(X, y)
    assert known_labels(listed) is None  # nobody knows what its items are
    np.testing.assert_array_equal(find_labels(listed, None), y)
    assert listed.reads == 60


def test_keys_of_items(images):
    X, y = images

    class Items(Pairs):
        def __getitem__(self, i):
            return {"pixels": self.X[i], "label": self.marks[i]}

    with pytest.raises(ValueError, match=r"keys \['pixels', 'label'\].*Rename one to 'image'"):
        make().fit(Items(X, y), y)


def test_data_sets_of_no_items_or_fewer_than_they_say(images):
    X, y = images

    class Longer(Pairs):
        def __len__(self):
            return 61

    with pytest.raises(ValueError, match="0 sample"):
        make().fit(Pairs(X[:0], y[:0]))
    with pytest.raises(ValueError, match="item 60 of X could not be read: IndexError"):
        make().fit(Longer(X, [*y, 0]))


def test_a_data_set_of_rows_becomes_images_as_a_table_does(images):
    X, y = images
    flat = X.reshape(60, -1)
    clf = make(image_shape=(3, 8, 8)).fit(Pairs(flat, y))
    expected = make(image_shape=(3, 8, 8)).fit(flat, y)
    np.testing.assert_array_equal(clf.predict_proba(Pairs(flat, y)), expected.predict_proba(flat))
