"""Batches of an epoch, on the device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch

from sklearn_open._random import keyed_seed
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.batching._mixing import Mix
from sklearn_open.batching._share import WHOLE, Share
from sklearn_open.batching._sources import open_source
from sklearn_open.batching._transform import BatchTransform

__all__ = ["Batch", "EpochBatches", "EvalBatches", "LoaderBatches"]


class Batch(tuple):
    """An ``(X, y)`` pair, as skorch expects, that knows how many of its last rows are noise, and
    how the others were mixed, if they were.

    On several ranks X has the rows of one of them, and all else is of the whole batch.
    """

    n_noise: int
    mix: Mix | None
    share: Share

    def __new__(
        cls,
        X: torch.Tensor,
        y: torch.Tensor,
        n_noise: int = 0,
        mix: Mix | None = None,
        share: Share = WHOLE,
    ) -> Batch:
        """Make the pair."""
        batch = super().__new__(cls, (X, y))
        batch.n_noise = n_noise
        batch.mix = mix
        batch.share = share
        return batch


class EpochBatches:
    """Training batches; every iteration is one epoch with a plan of its own.

    Parameters
    ----------
    dataset : TrainSet
        Rows and planner.
    transform : BatchTransform
        Makes what the network is fed.
    device : torch.device
        Where batches are made.
    epoch : callable
        Returns the number of the epoch that an iteration is for.
    num_workers : int, default=0
        Processes that read a data set, as long as this object lives; arrays need none.
    share : Share, default=WHOLE
        Which rows of every batch are gathered here.
    """

    def __init__(
        self,
        dataset: TrainSet,
        transform: BatchTransform,
        device: torch.device,
        epoch: Callable[[], int],
        num_workers: int = 0,
        share: Share = WHOLE,
    ) -> None:
        self.share = share
        self.dataset = dataset
        self.transform = transform
        self.device = device
        self.epoch = epoch
        self._source = open_source(dataset.X, device, num_workers)

    def pixels(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        """Yield the pixels of batches, for plans that are made elsewhere; see `PixelSource`."""
        return self._source.batches(rows, seed)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch()
        plan = self.dataset.plan(epoch)
        rows, n_noise = zip(*plan.batches(), strict=True)
        n_natural = [len(index) - n for index, n in zip(rows, n_noise, strict=True)]
        gathered = [self._gathered(index, n) for index, n in zip(rows, n_natural, strict=True)]
        # Sent once, as a GPU's queue runs empty while a batch's own codes are waited for.
        all_codes = torch.from_numpy(self.dataset.codes[plan.index]).to(self.device)
        batch_codes = all_codes.split([len(index) for index in rows])
        seed = keyed_seed(self.transform.seed, "items", epoch, *self.share.key)
        with closing(self.pixels(gathered, seed)) as batches:
            for b, (pixels, codes) in enumerate(zip(batches, batch_codes, strict=True)):
                n = n_natural[b]
                own, _ = self.share.rows(n, 0)
                n_own = own.stop - own.start
                replaced = pixels[n_own:] if self._replaces_images else None
                mix = self.transform.draw_mix(codes, n, epoch, b, self.share)
                translate = self._translate(codes[own], epoch, b)
                made = (codes[n:], epoch, b, replaced, mix, translate, self.share)
                x = self.transform.train(pixels[:n_own], *made)
                yield Batch(x, codes, n_noise[b], mix, self.share)

    @property
    def _replaces_images(self) -> bool:
        """Whether noise rows need the images that they replace."""
        return self.transform.noise is not None and self.transform.noise.from_images

    def _gathered(self, index: np.ndarray, n_natural: int) -> np.ndarray:
        """Return those rows of a batch whose pixels are needed here."""
        natural, noise = self.share.rows(n_natural, len(index) - n_natural)
        if not self._replaces_images:
            return index[natural]
        return np.concatenate([index[natural], index[n_natural:][noise]])

    def _translate(
        self, codes: torch.Tensor, epoch: int, batch: int
    ) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return what translates a batch, which is made when it is asked for: the network is then
        as the step before has left it.
        """
        translation = self.dataset.translation
        if translation is None or self.dataset.planner.is_plain(epoch):
            return None
        return partial(translation, codes=codes, epoch=epoch, batch=batch)


class LoaderBatches:
    """Batches of a data loader of the user's own, which rules what is seen when.

    Parameters
    ----------
    loader : iterable
        Yields pairs of pixels and codes.
    transform : BatchTransform
        Makes what the network is fed.
    device : torch.device
        Where batches are made.
    epoch : callable or None
        Returns the number of the epoch that an iteration is for; None when predicting.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        transform: BatchTransform,
        device: torch.device,
        epoch: Callable[[], int] | None,
    ) -> None:
        self.loader = loader
        self.transform = transform
        self.device = device
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        for b, batch in enumerate(self.loader):
            pixels, codes = (
                torch.as_tensor(part).to(self.device, non_blocking=True) for part in batch
            )
            if self.epoch is None:
                yield Batch(self.transform.evaluate(pixels), codes)
                continue
            epoch = self.epoch()
            mix = self.transform.draw_mix(codes, len(codes), epoch, b)
            yield Batch(self.transform.train(pixels, codes[:0], epoch, b, mix=mix), codes, mix=mix)


class EvalBatches:
    """Batches in the order of the rows, normalised only.

    Parameters
    ----------
    dataset : ImageDataset
        Rows, with or without labels.
    transform : BatchTransform
        The transform that training used.
    device : torch.device
        Where batches are made.
    batch_size : int
        Largest number of rows in a batch.
    num_workers : int, default=0
        Processes that read a data set; arrays need none.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        transform: BatchTransform,
        device: torch.device,
        batch_size: int,
        num_workers: int = 0,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.device = device
        self.batch_size = batch_size
        self._source = open_source(dataset.X, device, num_workers)

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.dataset), self.batch_size)
        rows = [np.arange(i, min(i + self.batch_size, len(self.dataset))) for i in starts]
        batch_codes = torch.from_numpy(self.dataset.codes).to(self.device).split(self.batch_size)
        with closing(self._source.batches(rows, seed=0)) as batches:
            for pixels, codes in zip(batches, batch_codes, strict=True):
                yield Batch(self.transform.evaluate(pixels), codes)
