"""The contestants: sklearn_open, the paper's listing, ordinary skorch, the network alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from _common import DEVICE, Contestant, random_images, significant, synchronize
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, WeightedRandomSampler
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier
from sklearn_open._training.allocator import keep_freed_memory
from sklearn_open._training.hardware import autocast_dtype
from sklearn_open.backbones import SmallCNN, wrn16_2, wrn28_10
from sklearn_open.batching import Batch
from sklearn_open.nn import convert_norm
from sklearn_open.nn._routing import forward_natural_first

BACKBONES = {"wrn16_2": wrn16_2, "wrn28_10": wrn28_10, "resnet18": resnet18, "small": SmallCNN}

# --- sklearn_open ---


def make_open(module: Any, **params: Any) -> OPeNClassifier:
    """Return a classifier that trains with noise from its first epoch and says nothing."""
    settings = {"start_epoch": 0, "lr": 0.01, "random_state": 0, "verbose": 0, **params}
    return OPeNClassifier(module, **settings)


class Recorder(Callback):
    """Keeps what a fit was fed: its data set and its last batch."""

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        self.dataset = dataset_train

    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        self.batch = batch


def train_on(net: NeuralNetClassifier, batches: Iterable[Any]) -> None:
    """Train one step per batch, as `fit` does."""
    net.run_single_epoch(batches, training=True, prefix="train", step_fn=net.train_step)


def steps_of(clf: OPeNClassifier, batch: Batch, n_steps: int) -> Contestant:
    """Return training steps of a fitted classifier on one batch that is ready."""
    return Contestant(
        warm=lambda: train_on(clf, [batch]),
        run=lambda: train_on(clf, [batch] * n_steps),
        amount=n_steps * len(batch[0]),
    )


@dataclass(frozen=True)
class Running:
    """A net of skorch's in the middle of a long fit: it keeps its iterator, and so its workers."""

    net: NeuralNetClassifier
    dataset: Any
    batch: Any
    iterator: Any

    def epoch(self) -> None:
        """Train one more epoch: the body of skorch's fit_loop."""
        about = {"dataset_train": self.dataset, "dataset_valid": None}
        self.net.notify("on_epoch_begin", **about)
        train_on(self.net, self.iterator)
        self.net.notify("on_epoch_end", **about)

    def epochs(self) -> Contestant:
        """Return an epoch to be timed, every time the next one."""
        warm = partial(train_on, self.net, [self.batch])
        return Contestant(warm=warm, run=self.epoch, amount=len(self.dataset))

    def data(self) -> Contestant:
        """Return the making of an epoch's batches, to be timed without training on them."""

        def drain() -> None:
            for _ in self.iterator:
                pass

        return Contestant(warm=drain, run=drain, amount=len(self.dataset))


def begin(net: NeuralNetClassifier, X: Any, y: Any = None) -> Running:
    """Fit a net for one epoch, and keep what it takes to go on."""
    seen = Recorder()
    net.set_params(callbacks=[("recorder", seen)], max_epochs=1)
    net.fit(X, y)
    iterator = net.get_iterator(seen.dataset, training=True)
    return Running(net, seen.dataset, seen.batch, iterator)


def ready_batch(n_rows: int, n_noise: int, n_classes: int = 10) -> Batch:
    """Return random rows on the device, the last `n_noise` of them noise."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, 3, 32, 32, generator=generator).to(DEVICE)
    y = torch.randint(n_classes, (n_rows,), generator=generator).to(DEVICE)
    return Batch(x, y, n_noise)


def fitted(module: Any, **params: Any) -> OPeNClassifier:
    """Return a classifier that is ready for its first step, to be trained on batches of one's own.

    Its norm layers are converted if it trains with noise.
    """
    clf = make_open(module, max_epochs=0, **params)
    clf.fit(random_images(20), np.arange(20) % 10)
    clf.history.new_epoch()  # which the steps are recorded in
    return clf


# --- what the device could do, and what the network needs ---


def matrix_peak(
    size: int, products: int = 10, dtype: torch.dtype = torch.bfloat16
) -> dict[str, Any]:
    """Return the rate of large matrix products, the best of five timings."""
    a, b = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    seconds = best_seconds(lambda: torch.mm(a, b, out=out), products)
    return {"size": size, "tflops": significant(2 * size**3 / seconds / 1e12)}


def convolution_peak(n_rows: int, dtype: torch.dtype) -> float:
    """Return Tflop/s of a 3x3 convolution of 128 channels, the best of five timings.

    On a CPU, other code than that of matrix products: the faster one is the peak.
    """
    x = torch.randn(n_rows, 128, 16, 16, device=DEVICE).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3, device=DEVICE).to(dtype)
    with torch.no_grad():
        seconds = best_seconds(lambda: F.conv2d(x, weight, padding=1), 10)
    return significant(2 * n_rows * 16**2 * 128**2 * 9 / seconds / 1e12)


def best_seconds(run: Callable[[], Any], times: int) -> float:
    """Return the seconds of one run, the best of five timings of several."""
    seconds = []
    for _ in range(6):  # the first one warms up
        synchronize()
        start = time.perf_counter()
        for _ in range(times):
            run()
        synchronize()
        seconds.append((time.perf_counter() - start) / times)
    return min(seconds[1:])


def flops(module: Any, n_noise: int, n_rows: int = 8) -> dict[str, Any]:
    """Count the operations of a step's forward and backward pass, per image.

    Parameters
    ----------
    module : callable
        Makes the network.
    n_noise : int
        How many of the rows are noise, but for "plain".
    n_rows : int, default=8
        How many rows to count with.
    """
    clf = fitted(module, resampler=None)
    x, y = ready_batch(n_rows, 0)
    found = {}
    for name, noise_grad in (("plain", None), ("open head", "head"), ("open all", "all")):
        if noise_grad is not None:
            convert_norm(clf.module_, noise_grad=noise_grad)
        clf.module_.train()
        with FlopCounterMode(display=False) as counter:
            logits = forward_natural_first(clf.module_, x, n_noise if noise_grad else 0)
            F.cross_entropy(logits, y).backward()
        found[name] = significant(counter.get_total_flops() / n_rows / 1e9)
    return {
        "gflop_per_image": found,
        "parameters": sum(p.numel() for p in clf.module_.parameters()),
    }


# --- the network alone ---


def bare_network(
    module: nn.Module, sizes: Sequence[tuple[int, int]], precision: str, noise_grad: str = "head"
) -> Contestant:
    """Return forward and backward passes on rows that are ready: no optimiser, no data.

    Memory is kept between passes as in `fit`.

    Parameters
    ----------
    module : torch.nn.Module
        The network; a copy is used.
    sizes : sequence of (int, int)
        Rows of every batch, and how many of them are noise.
    precision, noise_grad : str
        As for `OPeNClassifier`.
    """
    module = copy.deepcopy(module).to(DEVICE).train()
    if DEVICE.type == "cuda":
        module = module.to(memory_format=torch.channels_last)
    if any(n_noise for _, n_noise in sizes):
        convert_norm(module, noise_grad=noise_grad)
    x, y = ready_batch(max(rows for rows, _ in sizes), 0)
    x = x.contiguous(memory_format=torch.channels_last)
    dtype = autocast_dtype(precision, DEVICE, tuple(x.shape[1:]))

    def passes(sizes: Sequence[tuple[int, int]]) -> None:
        with keep_freed_memory():
            for n_rows, n_noise in sizes:
                module.zero_grad()
                with torch.autocast(DEVICE.type, dtype=dtype, enabled=dtype is not None):
                    logits = forward_natural_first(module, x[:n_rows], n_noise)
                F.cross_entropy(logits.float(), y[:n_rows]).backward()

    amount = sum(n_rows for n_rows, _ in sizes)
    return Contestant(warm=lambda: passes(sizes[:1]), run=lambda: passes(sizes), amount=amount)


# --- the paper's Listing 1 ---


def dar_bn(bn_layer: nn.Module, x: torch.Tensor, noise_mask: torch.Tensor) -> torch.Tensor:
    """Normalise rows of both kinds, told apart by a mask: the paper's Listing 1 as printed."""
    out_natural = bn_layer(x[torch.logical_not(noise_mask)])
    with torch.no_grad():
        adaptive_params = {
            "weight": bn_layer.weight,
            "bias": bn_layer.bias,
            "eps": bn_layer.eps,
        }
        out_noise = batch_norm_with_adaptive_parameters(x[noise_mask], adaptive_params)

    out = torch.empty_like(torch.cat([out_natural, out_noise], dim=0))
    # Under autocast these lines fail: natural rows are bf16, `out` is float32.
    out[torch.logical_not(noise_mask)] = out_natural
    out[noise_mask] = out_noise
    return out


def batch_norm_with_adaptive_parameters(
    x_noise: torch.Tensor, adaptive_parameters: dict[str, Any]
) -> torch.Tensor:
    """Second part of Listing 1 (where the last line lacks the brackets it needs)."""
    mean = x_noise.mean([0, 2, 3])
    var = x_noise.var([0, 2, 3], unbiased=False)
    out = x_noise - mean[None, :, None, None]
    out = out / torch.sqrt(var[None, :, None, None] + adaptive_parameters["eps"])
    out = (
        out * adaptive_parameters["weight"][None, :, None, None]
        + adaptive_parameters["bias"][None, :, None, None]
    )
    return out


class MaskedBatchNorm(nn.Module):
    """A batch norm layer that holds the mask of the batch that is in work."""

    def __init__(self, bn_layer: nn.Module, noise_mask: torch.Tensor) -> None:
        super().__init__()
        self.bn_layer = bn_layer
        self.noise_mask = noise_mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise a batch of both kinds of rows."""
        return dar_bn(self.bn_layer, x, self.noise_mask)


def use_listing(module: nn.Module, noise_mask: torch.Tensor) -> None:
    """Put the paper's listing in the place of every batch norm layer of a network."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(parent, MaskedBatchNorm):
                setattr(parent, name, MaskedBatchNorm(child, noise_mask))


# --- ordinary skorch ---


class Images(Dataset):
    """Images that are transformed one by one, as torchvision's users do it."""

    def __init__(self, X: np.ndarray, y: np.ndarray, transform: Any) -> None:
        self.X, self.y, self.transform = X, y, transform

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(torch.from_numpy(self.X[i])), int(self.y[i])


class Cutout(nn.Module):
    """Black out a window of one image, centred anywhere in it."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return a copy with the window."""
        height, width = image.shape[-2:]
        row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
        image = image.clone()
        image[..., max(row - 8, 0) : row + 8, max(column - 8, 0) : column + 8] = 0
        return image


def torchvision_recipe(augment: str, X: np.ndarray) -> v2.Compose:
    """Return the transforms of one image that `augment` names, on uint8 tensors.

    (On PIL images they take as long for "simclr" and longer for "flip_crop".)
    """
    steps: list[nn.Module] = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
    if augment == "simclr":
        steps += [
            Cutout(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(3, (0.1, 2.0))], p=0.5),
        ]
    mean, std = X.mean((0, 2, 3)) / 255, X.std((0, 2, 3)) / 255
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean.tolist(), std.tolist())]
    return v2.Compose(steps)


def ordinary_skorch(
    module: nn.Module, X: np.ndarray, y: np.ndarray, augment: str, workers: int = 2
) -> Contestant:
    """Return an epoch of skorch's own classifier with over-sampling by a weighted sampler."""
    weights = 1 / np.bincount(y)[y]
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__weight_decay=2e-4,
        lr=0.01,
        batch_size=128,
        train_split=None,
        classes=np.unique(y),
        iterator_train__sampler=WeightedRandomSampler(torch.from_numpy(weights), len(y)),
        iterator_train__num_workers=workers,
        iterator_train__persistent_workers=workers > 0,
        iterator_train__pin_memory=DEVICE.type == "cuda",
        device=str(DEVICE),
        verbose=0,
    )
    return begin(net, Images(X, y, torchvision_recipe(augment, X))).epochs()


def skorch_net(module: nn.Module) -> NeuralNetClassifier:
    """Return skorch's classifier with a network that is trained."""
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, classes=np.arange(10), device=str(DEVICE)
    ).initialize()


def skorch_predictions(module: nn.Module, X_ready: np.ndarray, part: int) -> Contestant:
    """Return skorch's probabilities of rows that are normalised, to be timed.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    X_ready : numpy.ndarray of shape (n, 3, 32, 32), dtype float32
        What it is fed.
    part : int
        How many rows to warm up on.
    """
    net = skorch_net(module)
    return Contestant(
        warm=lambda: net.predict_proba(X_ready[:part]),
        run=lambda: net.predict_proba(X_ready),
        amount=len(X_ready),
    )
