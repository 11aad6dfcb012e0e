"""M2m in a training step: one epoch against a loop written from the paper, and its invariants."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open._random import keyed_generator
from sklearn_open._training.translation import BatchTranslation
from sklearn_open.backbones import SmallCNN, SmallMLP
from sklearn_open.losses import LDAMLoss
from sklearn_open.over_sampling import M2mOverSampler

SETTINGS = {"batch_size": 20, "random_state": 0, "verbose": 0, "precision": "float32"}
BETA, TRADE_OFF, THRESHOLD, STEP, N_STEPS = 0.9, 0.5, 0.5, 1.0, 6


class Net(nn.Module):
    """With batch norm and dropout, whose modes show."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


class Teacher(nn.Module):
    def forward(self, pixels):
        return 20 * pixels.flatten(2).mean(2) / 255 * torch.tensor([1.0, 1.1, 1.2])


def sampler(**params):
    return M2mOverSampler(
        Teacher(),
        beta=BETA,
        trade_off=TRADE_OFF,
        threshold=THRESHOLD,
        step_size=STEP,
        n_steps=N_STEPS,
        **params,
    )


def fitted(images, epochs=1, **params):
    params = {"resampler": sampler(), "start_epoch": 0, **SETTINGS, **params}
    return OPeNClassifier(Net, max_epochs=epochs, lr_milestones=(), **params).fit(*images)


def translation_of(clf, images):
    data = clf._take_in(*images, {}, goes_on=True)
    return BatchTranslation.of(clf, clf.get_split_datasets(data)[0])


def epoch_by_hand(network, X, y, plan, mean, std, seed):
    """One epoch of M2m in float64, row by row, as the paper has it; the batches are the plan's."""
    counts = np.bincount(y)
    teacher = Teacher()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    n_translated = 0

    def normal(x):
        return (x - mean) / std

    def P(k0, k):
        return 1 - BETA ** max(int(counts[k0]) - int(counts[k]), 0)

    for b, (rows, _) in enumerate(plan.batches()):
        x, codes = torch.from_numpy(X[rows]).double() / 255, torch.from_numpy(y[rows])
        rng = keyed_generator("cpu", seed, "m2m", 0, b)
        chance = torch.tensor([1 - counts[c] / counts.max() for c in codes], dtype=torch.float64)
        slots = torch.nonzero(torch.rand(len(x), generator=rng) < chance)[:, 0].tolist()
        weights = [[P(c0, codes[i]) for c0 in codes] for i in slots]
        kept = [n for n, row in enumerate(weights) if sum(row) > 0]
        slots = [slots[n] for n in kept]
        weights = torch.tensor([weights[n] for n in kept], dtype=torch.float64)
        seeds = torch.multinomial(weights, 1, generator=rng)[:, 0].tolist()
        passes = torch.rand(len(slots), generator=rng).tolist()
        start = torch.rand((len(slots), 3, 8, 8), generator=rng) - 0.5
        for channel in range(3):
            start[:, channel] *= min(1, 0.5 / float(start[:, channel].norm()))
        network.eval()
        made = {}
        for n, (slot, seed_row) in enumerate(zip(slots, seeds, strict=True)):
            k, k0 = int(codes[slot]), int(codes[seed_row])
            image = (x[seed_row] + start[n].double()).clamp(0, 1)[None]
            for _ in range(N_STEPS):
                image.requires_grad_()
                loss = F.cross_entropy(teacher(image * 255), torch.tensor([k]))
                loss = loss + TRADE_OFF * network(normal(image))[0, k0]
                (gradient,) = torch.autograd.grad(loss, image)
                step = STEP * gradient / (gradient.norm() + 1e-10)
                image = (image.detach() - step).clamp(0, 1)
            sure = teacher(image * 255).softmax(1)[0, k] >= THRESHOLD
            if sure and passes[n] < P(k0, k):
                made[slot] = image[0]
        x = x.clone()
        for slot, image in made.items():
            x[slot] = image
        n_translated += len(made)
        network.train()
        optimizer.zero_grad()
        F.cross_entropy(network(normal(x)), codes).backward()
        optimizer.step()
    return n_translated


def test_an_epoch_by_hand(images):
    X, y = images
    clf = OPeNClassifier(Net, resampler=sampler(), start_epoch=0, max_epochs=0, **SETTINGS)
    network = clf.fit(X, y).module_.double()
    clf = fitted(images)
    mean, std = (
        torch.from_numpy(v).reshape(-1, 1, 1) for v in (clf.transform_.mean, clf.transform_.std)
    )
    n = epoch_by_hand(network, X, y, clf.epoch_plan(0), mean, std, clf.seed_)
    assert clf.history[-1]["n_translated"] == n > 5
    for (name, own), expected in zip(
        clf.module_.state_dict().items(), network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(own.double(), expected.double(), rtol=1e-3, atol=2e-5, msg=name)


class Watching(OPeNClassifier):
    """Keeps what each step was fed, and what the statistics were before it."""

    def train_step_single(self, batch, **fit_params):
        before = self.module_.norm.num_batches_tracked.item()
        step = super().train_step_single(batch, **fit_params)
        self.__dict__.setdefault("seen", []).append((batch[0], batch[1], before))
        return step


def test_images_are_of_the_target_and_statistics_move_once_a_step(images):
    X, y = images
    params = {"resampler": sampler(), "start_epoch": 0, **SETTINGS, "normalize": None}
    clf = Watching(Net, max_epochs=2, **params).fit(X, y)
    originals = {row.tobytes() for row in (X / np.float32(255)).astype(np.float32)}
    n_new = 0
    for step, (x, codes, tracked) in enumerate(clf.seen):
        assert tracked == step  # by the mixed batches, and by nothing else
        rows = x.contiguous().numpy()
        new = np.array([row.tobytes() not in originals for row in rows])
        n_new += new.sum()
        with torch.no_grad():
            sure = Teacher()(x[new] * 255).softmax(1)
        target = codes[new]
        assert (sure.gather(1, target[:, None]) >= THRESHOLD).all()
        assert not (target == 0).any()  # the largest class has no slots
    assert n_new == sum(clf.history[:, "n_translated"]) > 10


def test_modes_of_layers_are_put_back(images):
    clf = OPeNClassifier(Net, resampler=sampler(), start_epoch=0, max_epochs=0, **SETTINGS)
    clf.fit(*images)
    clf.module_.train()
    clf.module_.norm.eval()
    clf.history.new_epoch()
    translation = translation_of(clf, images)
    x = torch.rand(20, 3, 8, 8)
    codes = torch.tensor([0] * 10 + [2] * 10)
    before = clf.module_.norm.running_mean.clone()
    changed = translation(x, codes, epoch=0, batch=0)
    assert clf.module_.training
    assert not clf.module_.norm.training
    assert torch.equal(before, clf.module_.norm.running_mean)
    assert torch.equal(changed[:10], x[:10])
    assert all(p.grad is None for p in clf.module_.parameters())


def test_plain_epochs_are_left_alone(images):
    clf = fitted(images, epochs=3, start_epoch=2)
    assert ["n_translated" in epoch for epoch in clf.history] == [False, False, True]


def test_it_goes_with_ldam_whose_cosines_it_takes(images):
    params = {"module__head": "cosine", "criterion": LDAMLoss, "resampler": sampler()}
    clf = OPeNClassifier(SmallCNN, start_epoch=1, max_epochs=2, **params, **SETTINGS).fit(*images)
    assert np.isfinite(clf.history[:, "train_loss"]).all()
    clf.history.new_epoch()
    translation = translation_of(clf, images)
    x = torch.rand(4, 3, 8, 8)
    clf.module_.eval()
    cosines = translation._logits(x)
    assert cosines.abs().max() <= 1
    whole = clf.module_(clf.transform_.normalized(x))
    torch.testing.assert_close(cosines * 30, whole)


@pytest.mark.parametrize(
    "params", [{"mixup": 0.5}, {"augment": "flip_crop"}, {"precision": "bf16"}]
)
def test_it_goes_with_all_else(images, params):
    clf = fitted(images, epochs=2, **params)
    assert np.isfinite(clf.history[:, "train_loss"]).all()


def test_tables_and_held_out_rows(images):
    from skorch.dataset import ValidSplit

    X, y = images
    flat = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), Teacher())
    for split in (None, ValidSplit(3, stratified=True)):
        clf = OPeNClassifier(
            SmallMLP,
            resampler=M2mOverSampler(flat, beta=0.5, threshold=0.4, step_size=0.5),
            start_epoch=0,
            max_epochs=2,
            train_split=split,
            **SETTINGS,
        ).fit(X.reshape(60, -1).astype(np.float32), y)
        assert sum(clf.history[:, "n_translated"]) > 0


def test_a_teacher_of_other_pixels_is_told_of(images):
    class Blind(Teacher):
        def forward(self, pixels):
            return super().forward(pixels * 0) + torch.tensor([9.0, 0, 0])

    clf = OPeNClassifier(Net, resampler=M2mOverSampler(Blind()), max_epochs=1, **SETTINGS)
    with pytest.warns(UserWarning, match="pixels in other units"):
        clf.fit(*images)
