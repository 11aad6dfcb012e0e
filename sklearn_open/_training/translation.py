"""M2m in a training step: which rows of a batch are replaced by translated images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sklearn_open._random import keyed_generator
from sklearn_open._training.hardware import autocast, autocast_dtype
from sklearn_open._training.objective import cosine_heads
from sklearn_open._training.teacher import plain_teacher
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.nn._modes import in_eval_mode
from sklearn_open.nn._outputs import main_output
from sklearn_open.over_sampling._teacher import N_LOOKED_AT, check_logits, teacher_network
from sklearn_open.over_sampling._translation import (
    Network,
    TranslationSettings,
    slot_probabilities,
    translate_rows,
)

__all__ = ["BatchTranslation"]


@dataclass(frozen=True)
class BatchTranslation:
    """Puts translated images in the place of rows of small classes; see `M2mOverSampler`.

    Parameters
    ----------
    net : OPeNClassifier
        The network in training, f.
    teacher : callable
        From images in [0, 1] to logits: g.
    settings : TranslationSettings
    """

    net: Any
    teacher: Network
    settings: TranslationSettings

    @classmethod
    def of(
        cls,
        net: Any,
        data: ImageDataset,
        raise_if_interrupted: Callable[[], None] = lambda: None,
    ) -> BatchTranslation | None:
        """Return that of an estimator's resampler, if it translates; train a teacher if need be.

        Parameters
        ----------
        net : OPeNClassifier
            Initialised, with `transform_` and `resampler_`.
        data : ImageDataset
            Rows to train on.
        raise_if_interrupted : callable
            Ends waiting for another process that trains the same teacher.
        """
        sampler = net.resampler_
        if not getattr(sampler, "translates", False) or len(np.unique(data.codes)) < 2:
            return None
        n_classes, given = len(net.classes_inferred_), sampler.teacher
        teacher = given
        if given is None:
            teacher = plain_teacher(net, data, sampler.threshold, raise_if_interrupted)
        network = teacher_network(teacher, net.classes_inferred_, net.transform_.scale, net.device_)
        if given is not None:
            _check_on_rows(net, network, data)
        counts = np.bincount(data.codes, minlength=n_classes)
        return cls(net, network, sampler.settings(counts))

    def __call__(
        self, x: torch.Tensor, codes: torch.Tensor, epoch: int, batch: int
    ) -> torch.Tensor:
        """Return the rows of a balanced batch, some of them replaced.

        Parameters
        ----------
        x : torch.Tensor of shape (n, n_channels, ...)
            In [0, 1].
        codes : torch.Tensor of shape (n,)
            Their classes.
        epoch, batch : int
            What the random numbers are keyed by.
        """
        net, device = self.net, x.device
        generator = keyed_generator(device, net.seed_, "m2m", epoch, batch, *net.ranks_.share.key)
        chances = torch.as_tensor(slot_probabilities(self.settings.class_counts), device=device)
        drawn = torch.rand(len(x), generator=generator, device=device) < chances[codes]
        slots = torch.nonzero(drawn)[:, 0]
        dtype = autocast_dtype(net.precision, device, tuple(x.shape[1:]))
        with in_eval_mode(net.module_), autocast(device, dtype, share_casts=False):
            made = translate_rows(
                lambda rows: x[rows],
                codes,
                codes[slots],
                self.teacher,
                self._logits,
                self.settings,
                generator,
            )
        if net.history:  # a display shows batches of a network that was not trained
            before = net.history[-1].get("n_translated", 0)
            here = len(made.slots)
            net.history.record("n_translated", before + sum(net.ranks_.gather(here)))
        x = x.clone()
        x[slots[made.slots]] = made.images
        return x

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return those of the network in training, whose normalisation is part of it."""
        net = self.net
        x = net.transform_.normalized(images)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        logits = main_output(net.module_(x)).float()
        heads = cosine_heads(net.module_)
        if len(heads) == 1 and not isinstance(heads[0].scale, torch.nn.Parameter):
            logits = logits / heads[0].scale  # the code of M2m + LDAM takes cosines
        return logits


def _check_on_rows(net: Any, network: Network, data: ImageDataset) -> None:
    some = np.random.RandomState(0).permutation(len(data))[:N_LOOKED_AT]
    rows = np.sort(some)
    pixels = torch.as_tensor(np.asarray(data.X[rows])).to(net.device_)
    codes = torch.from_numpy(data.codes[rows]).to(net.device_)
    images = net.transform_.scale.to_unit(pixels)
    check_logits(network, images, codes, len(net.classes_inferred_))
