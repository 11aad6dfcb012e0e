"""The batches of OPeN as a batch sampler of torch, on one rank or on several that share them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from torch.utils.data import Sampler

from sklearn_open._checks import check_one_of, check_whole
from sklearn_open._inputs.door import own_labels
from sklearn_open._inputs.labels import encode_labels
from sklearn_open._random import keyed_seed
from sklearn_open._warnings import warn_user
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.over_sampling._pure_noise import DEFAULT_DELTA, PureNoiseOverSampler, check_delta
from sklearn_open.plan import COMPOSITIONS, EPOCH_LENGTHS, EpochPlan, EpochPlanner, rank_part
from sklearn_open.torch_sampler._ranks import check_group, check_ranks
from sklearn_open.torch_sampler._row import PlannedRow

__all__ = ["PureNoiseBatchSampler"]


class PureNoiseBatchSampler(Sampler[list[PlannedRow]]):
    """The batches of OPeN, for the `batch_sampler` of a `torch.utils.data.DataLoader`.

    With the same `random_state` and settings its epochs are those of `OPeNClassifier`, row by row.
    In a training on several ranks, every rank gets its share of each batch.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or data set
        Labels of the rows of the data set, of any kind; or the data set, whose items are asked.
    batch_size : int
        Largest number of rows in a batch; batches of an epoch differ by one row at most. A batch
        is that of all ranks together, as in one process: a rank gets ``batch_size / num_replicas``
        rows of it (torch's `DistributedSampler` leaves the batch size to each rank).
    delta : float, default=1/3
        Share of the added samples that is pure noise, in [0, 1]. 0 is random over-sampling.
    start_epoch : int, default=0
        First rebalanced epoch; earlier ones visit every row once. The paper defers to 160 of 200.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes get how many rows; see `PureNoiseOverSampler`.
    composition : {"even", "bernoulli", "appended"}, default="even"
        See `OPeNClassifier`.
    epoch_length : {"n_samples", "resampled"}, default="n_samples"
        See `OPeNClassifier`.
    random_state : int, RandomState instance or None, default=0
        Fixes plans and noise. On several ranks it is an int, the same on all of them.
    num_replicas : int or None, default=None
        Number of ranks that share every batch: ``torch.distributed.get_world_size()`` in a plain
        `DistributedDataParallel` training. None is one. It is never taken from a process group that
        happens to exist, because a group may have other uses than to share batches.
    rank : int or None, default=None
        Which of them this process is, from 0: ``torch.distributed.get_rank()``. Goes together with
        `num_replicas`.

    Attributes
    ----------
    epoch : int
        The epoch that the next iteration is for; see `set_epoch`.
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the codes.
    seed_ : int
        Root of all random numbers.

    Raises
    ------
    ValueError
        For settings or labels that no plan can be made of, or batches without a natural row for
        every rank.

    Warns
    -----
    UserWarning
        When an epoch is iterated three times, or by several ranks that do not share it.

    See Also
    --------
    PureNoiseDataset : Reads the rows that this sampler yields.
    sklearn_open.nn.forward_mixed : Calls a network on such a batch.

    Notes
    -----
    The shares of all ranks together are the batch of one process, row by row and with the same
    noise; no row is left out or seen twice, and all ranks have the same number of batches. Shares
    differ by one row at most, so the mean of the ranks' mean losses is not quite the mean loss:
    see "Several processes" in the guide "Coming from a PyTorch loop", which also says what to set
    in Lightning and accelerate, so that they do not split the batches again.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from sklearn_open.torch_sampler import PureNoiseBatchSampler, PureNoiseDataset
    >>> images, labels = torch.rand(12, 3, 8, 8), torch.tensor([0] * 9 + [1] * 3)
    >>> sampler = PureNoiseBatchSampler(labels, batch_size=6)
    >>> dataset = PureNoiseDataset(TensorDataset(images, labels), noise=([0.5] * 3, [0.3] * 3))
    >>> loader = DataLoader(dataset, batch_sampler=sampler)
    >>> for epoch in range(2):
    ...     sampler.set_epoch(epoch)
    ...     for x, y, is_noise in loader:
    ...         print(epoch, tuple(x.shape), int(is_noise.sum()))
    0 (6, 3, 8, 8) 1
    0 (6, 3, 8, 8) 1
    1 (6, 3, 8, 8) 1
    1 (6, 3, 8, 8) 0

    Two ranks share the same batches:

    >>> for rank in range(2):
    ...     share = PureNoiseBatchSampler(labels, batch_size=6, num_replicas=2, rank=rank)
    ...     print([len(rows) for rows in share])
    [3, 3]
    [3, 3]
    """

    def __init__(
        self,
        y: Any,
        *,
        batch_size: int,
        delta: float = DEFAULT_DELTA,
        start_epoch: int = 0,
        sampling_strategy: Any = "auto",
        composition: str = "even",
        epoch_length: str = "n_samples",
        random_state: Any = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        check_delta(delta)
        check_one_of("composition", composition, COMPOSITIONS)
        check_one_of("epoch_length", epoch_length, EPOCH_LENGTHS)
        given = own_labels(y, None)  # of a data set
        self.classes_, codes, labels = encode_labels(y if given is None else given)
        draw = LabelDraw(
            PureNoiseOverSampler(sampling_strategy=sampling_strategy, delta=delta), labels
        )
        draw(np.random.RandomState(0))  # what cannot be drawn fails now, not at start_epoch
        self.num_replicas, self.rank = num_replicas, rank
        self._rank, self._n_ranks = check_ranks(num_replicas, rank, random_state)
        self.seed_ = int(check_random_state(random_state).randint(2**31 - 1))
        self._planner = EpochPlanner(
            codes=codes,
            draw=draw,
            start_epoch=check_whole("start_epoch", start_epoch, 0, " (as in int(0.8 * n_epochs))"),
            batch_size=check_whole("batch_size", batch_size, 1),
            seed=self.seed_,
            delta=delta,
            composition=composition,
            epoch_length=epoch_length,
        )
        if self._n_ranks > 1:
            self._shared_plan(start_epoch)  # what cannot be shared fails now as well
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is for.

        To be called before every epoch of a loop of one's own; Lightning calls it by itself.

        Parameters
        ----------
        epoch : int
            Number of the epoch, 0 the first.

        Raises
        ------
        ValueError
            When the epoch has a batch with fewer natural rows than there are ranks.
        """
        self.epoch = check_whole("epoch", epoch, 0)
        self._plan = self._shared_plan(self.epoch)
        self._n_iterations = 0

    @property
    def sampler(self) -> PureNoiseBatchSampler:
        """The sampler itself: where Lightning looks for `set_epoch`."""
        return self

    @property
    def drop_last(self) -> bool:
        """False: no row is left out. Shared batches do not say, as it is asked to split them."""
        # By `prepare` of accelerate. Lightning refuses samplers that it does not know; it would
        # make a new one of this, had it a `batch_size` as well.
        if self._n_ranks > 1:
            raise ValueError(
                f"PureNoiseBatchSampler was given num_replicas={self._n_ranks}, so its batches are "
                "a rank's share already, and must not be split again. Leave the DataLoader out of "
                "accelerator.prepare(...)."
            )
        return False

    def epoch_plan(self, epoch: int) -> EpochPlan:
        """Return which rows an epoch sees, which of them as noise, in which batch.

        The plan is that of all ranks together.

        Parameters
        ----------
        epoch : int
            Number of the epoch, 0 the first. Any epoch can be asked for.

        Returns
        -------
        EpochPlan
            With arrays ``index``, ``is_noise`` and ``bounds``.
        """
        return self._planner.plan(check_whole("epoch", epoch, 0))

    def _shared_plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, every batch of which has a natural row for every rank."""
        plan = self._planner.plan(epoch)
        fewest = min(len(index) - n_noise for index, n_noise in plan.batches())
        if fewest < self._n_ranks > 1:
            raise ValueError(
                f"epoch {epoch} has a batch with {fewest} natural rows, and each of "
                f"num_replicas={self._n_ranks} ranks needs at least one. batch_size="
                f"{self._planner.batch_size} counts the rows of all ranks together: pass a larger "
                "one, or train on fewer ranks."
            )
        return plan

    def __len__(self) -> int:
        """Return the number of batches of the current epoch, the same on all ranks."""
        return self._plan.n_batches

    def __iter__(self) -> Iterator[list[PlannedRow]]:
        """Return the rank's part of the epoch's batches, natural rows first in each."""
        check_group(self.num_replicas, self.rank)
        self._n_iterations += 1
        if self._n_iterations == 3:  # Lightning makes an iterator more than it uses
            warn_user(
                f"epoch {self.epoch} was iterated three times, with the same rows and the same "
                "noise. Call set_epoch(epoch) before every epoch."
            )
        return self._batches(self._plan, self.epoch)  # as they are now: workers fetch ahead

    def _batches(self, plan: EpochPlan, epoch: int) -> Iterator[list[PlannedRow]]:
        for start, stop in pairwise(plan.bounds):
            middle = stop - np.count_nonzero(plan.is_noise[start:stop])
            natural, noise = rank_part(middle - start, stop - middle, self._rank, self._n_ranks)
            positions = [*range(start, middle)[natural], *range(middle, stop)[noise]]
            yield [self._row(plan, epoch, position) for position in positions]

    def _row(self, plan: EpochPlan, epoch: int, position: int) -> PlannedRow:
        """Return a row; the noise is that of its place in the epoch, whichever rank has it."""
        codes, index, seed = self._planner.codes, int(plan.index[position]), None
        if plan.is_noise[position]:
            seed = keyed_seed(self.seed_, "noise", epoch, position)
        return PlannedRow(index, int(codes[index]), seed, len(codes))
