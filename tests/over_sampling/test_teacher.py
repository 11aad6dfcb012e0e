"""What a teacher of M2m may be."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.pixels import PixelScale
from sklearn_open.backbones import CosineClassifier, SmallCNN
from sklearn_open.over_sampling._teacher import check_logits, check_teacher, teacher_network
from sklearn_open.recipes import make_classifier

CPU = torch.device("cpu")
BYTES = PixelScale(np.float64(0), np.float64(255))
CLASSES = np.array([0, 1, 2])


@pytest.fixture(scope="module")
def erm(images):
    settings = {"max_epochs": 2, "random_state": 0, "verbose": 0, "batch_size": 16}
    return OPeNClassifier(resampler=None, **settings).fit(*images)


def logits_of(teacher, X, classes=CLASSES, scale=BYTES):
    return teacher_network(teacher, classes, scale, CPU)(torch.from_numpy(X).float() / 255)


def test_estimators_and_their_networks_give_the_logits_of_the_network(erm, images):
    X, _ = images
    expected = erm.forward(X)
    for teacher in (erm, FrozenEstimator(erm), erm.to_torch()):
        torch.testing.assert_close(logits_of(teacher, X), expected, rtol=1e-4, atol=1e-5)
    adjusted = erm.to_torch()
    assert torch.equal(logits_of(adjusted, X), logits_of(erm, X))


def test_columns_follow_the_labels(images):
    X, y = images
    names = np.array(["many", "some", "few"])
    settings = {"max_epochs": 2, "random_state": 0, "verbose": 0}
    teacher = OPeNClassifier(resampler=None, classes=names, **settings).fit(X, names[y])
    wanted = np.array(["few", "many", "some"])
    found = logits_of(teacher, X, wanted)
    torch.testing.assert_close(found, logits_of(teacher, X, names)[:, [2, 0, 1]])
    with pytest.raises(ValueError, match=r"does not know the classes \['none'\]"):
        teacher_network(teacher, np.array(["few", "none", "some"]), BYTES, CPU)


def test_a_network_gets_pixels_in_the_units_of_the_data():
    seen = []

    class Looks(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1)[:, :3]

    teacher_network(Looks(), CLASSES, BYTES, CPU)(torch.tensor([[0.0, 0.5, 1.0, 0.0]]))
    assert seen[0].tolist() == [[0, 127.5, 255, 0]]
    scale = PixelScale(np.float64(-1), np.float64(1))
    teacher_network(Looks(), CLASSES, scale, CPU)(torch.tensor([[0.0, 0.5, 1.0, 0.0]]))
    assert seen[1].tolist() == [[-1, 0, 1, -1]]


def test_it_is_a_copy_in_eval_mode():
    network = SmallCNN(in_channels=1, num_classes=3).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    call = teacher_network(network, CLASSES, BYTES, CPU)
    x = torch.rand(4, 1, 8, 8, requires_grad=True)
    call(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
    assert network.training


def test_what_is_refused(images):
    with pytest.raises(TypeError, match=r"is no teacher. Pass a network"):
        check_teacher("erm", 0.9)
    with pytest.raises(ValueError, match=r"is not fitted.*FrozenEstimator"):
        check_teacher(OPeNClassifier(), 0.9)


@pytest.mark.parametrize(("n_classes", "highest"), [(10, 0.450853), (100, 0.0694532)])
def test_a_cosine_head_without_a_scale_can_never_be_sure(n_classes, highest):
    head = CosineClassifier(4, n_classes, 1.0)
    check_teacher(head, highest - 1e-6)
    with pytest.raises(ValueError, match="are at most"):
        check_teacher(head, highest + 1e-6)
    check_teacher(CosineClassifier(4, n_classes, 30.0), 0.99)


class TestCheckLogits:
    images = torch.rand(6, 4)
    codes = torch.tensor([0, 1, 2, 0, 1, 2])

    def check(self, teacher):
        check_logits(teacher, self.images, self.codes, 3)

    def test_another_number_of_classes(self):
        with pytest.raises(ValueError, match=r"shape \(6, 4\).*logits of 3 classes"):
            self.check(lambda x: x)

    def test_another_shape_of_images(self):
        with pytest.raises(ValueError, match=r"could not process images of shape \(4,\)"):
            self.check(nn.Linear(5, 3))

    def test_probabilities(self):
        with pytest.raises(ValueError, match="returns probabilities"):
            self.check(lambda x: x[:, :3].softmax(1))

    def test_one_class_for_all(self):
        with pytest.warns(UserWarning, match="takes all of 6 training images for one class"):
            self.check(lambda x: x[:, :3] + torch.tensor([9.0, 0, 0]))
        self.check(lambda x: torch.eye(3)[self.codes] * 9 - 1)

    def test_classes_in_another_order(self):
        permuted = torch.eye(3)[[1, 2, 0]]
        with pytest.warns(UserWarning, match="less often than chance"):
            self.check(lambda x: permuted[self.codes] * 9 - 1)


def test_what_to_torch_returns_knows_the_order_of_its_classes(images):
    X, y = images
    settings = {"max_epochs": 4, "random_state": 0, "verbose": 0}
    teacher = OPeNClassifier(resampler=None, classes=[2, 0, 1], **settings).fit(X, y)
    assert torch.equal(logits_of(teacher.to_torch(), X), logits_of(teacher, X))
    torch.testing.assert_close(logits_of(teacher, X), teacher.forward(X)[:, [1, 2, 0]])


def test_a_classifier_of_two_stages(images):
    clf = make_classifier(None, "crt", max_epochs=2, random_state=0, verbose=0)
    with pytest.raises(ValueError, match="is not fitted"):
        check_teacher(clf, 0.9)
    clf.fit(*images)
    check_teacher(clf, 0.9)
    expected = clf.estimator_.forward(images[0])
    torch.testing.assert_close(logits_of(clf, images[0]), expected, rtol=1e-4, atol=1e-5)
    found = logits_of(clf, images[0], np.array([2, 0, 1]))
    torch.testing.assert_close(found, expected[:, [2, 0, 1]], rtol=1e-4, atol=1e-5)
