"""MetaSampledClassifier: classes are drawn at rates that are learnt, as in BALMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from sklearn_open._checks import check_whole, is_number
from sklearn_open._parameters.settings import has_own_loader
from sklearn_open._random import keyed_generator, keyed_random_state, keyed_seed
from sklearn_open._training.hardware import autocast, autocast_dtype
from sklearn_open._training.momentum import begin_momentum
from sklearn_open._training.objective import Objective
from sklearn_open.batching._batches import Batch, EpochBatches
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling._meta_sampler import MetaDraw, MetaSampler, draw_balanced
from sklearn_open.decoupling._meta_step import check_is_differentiable, gradient_through_step
from sklearn_open.losses._weighted import check_takes_weights
from sklearn_open.nn._outputs import main_output
from sklearn_open.plan import EpochPlan

__all__ = ["MetaSampledClassifier"]


class MetaBatch(Batch):
    """A batch that the meta sampler has drawn, with one to judge it by."""

    draw: MetaDraw
    x_meta: torch.Tensor
    codes_meta: torch.Tensor


class MetaSampledClassifier(OPeNClassifier):
    r"""Draws rows at rates of classes that are learnt, by what they do to a balanced batch.

    The meta sampler of BALMS [1]_. Every class has a rate :math:`\psi_c`; a batch is drawn by the
    rates, with replacement. Before each step the rates take a step of Adam: down the gradient of
    the plain cross-entropy, on a batch with as many rows of each class, of the network as the step
    to come would leave it. That step is the optimiser's own, with momentum and weight decay.
    The balanced batches are of the training rows, so nothing leaks.

    Made for the second stage of a `DecoupledClassifier`, where it costs little; a network can be
    trained as a whole, too, at the price of second derivatives. Epochs before `start_epoch` are
    plain.

    Parameters
    ----------
    module : class, callable, str, torch.nn.Module or None, default=None
        As for `OPeNClassifier`; none as a `final_estimator`.
    meta_power : float, default=0.0
        How the rates begin: 0 draws rows by instance, 1 nearly balances classes.
    meta_lr : float, default=0.01
        Learning rate of Adam, for the rates.
    meta_batch_size : int or None, default=None
        Rows of a balanced batch; None is `batch_size`.
    resampler : None
        The rates are the sampling: anything else is refused, and so are `mixup` and
        `class_weight`.
    criterion : class or str, default="balanced_softmax"
        The loss of the steps. The paper's keeps the counts of the training rows, although the
        rates change what is drawn.
    **kwargs : dict
        What else `OPeNClassifier` takes.

    Attributes
    ----------
    meta_sampler_ : torch.nn.Module
        Holds the rates. Checkpoints keep it, and its optimiser; a file of `save` does not: training
        that goes on from one begins the rates anew.
    class_rates_ : ndarray of shape (n_classes,)
        The rates, in (0, 1).
    class_shares_ : ndarray of shape (n_classes,)
        With which probability a draw is of each class. After every epoch they are in the history as
        ``class_rates``, and with ``verbose=1`` they are printed when training ends.

    See Also
    --------
    DecoupledClassifier : Two stages.
    OPeNClassifier : All other parameters and attributes.

    References
    ----------
    .. [1] J. Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=10)
    >>> clf = DecoupledClassifier(
    ...     OPeNClassifier(resampler=None, max_epochs=5, random_state=0, verbose=0),
    ...     MetaSampledClassifier(start_epoch=0, max_epochs=5, verbose=0),
    ...     head="fresh",
    ...     shift_norm=True,
    ... ).fit(X, y)
    >>> clf.final_estimator_.class_shares_.shape
    (10,)
    """

    only_in_training_: ClassVar[tuple[str, ...]] = ("meta_sampler_",)

    def __init__(
        self,
        module: Any = None,
        *,
        meta_power: float = 0.0,
        meta_lr: float = 0.01,
        meta_batch_size: int | None = None,
        resampler: Any = None,
        criterion: Any = "balanced_softmax",
        **kwargs: Any,
    ) -> None:
        super().__init__(module, resampler=resampler, criterion=criterion, **kwargs)
        self.meta_power = meta_power
        self.meta_lr = meta_lr
        self.meta_batch_size = meta_batch_size

    def check_own_settings(self) -> None:
        """Raise ValueError for a setting that a meta sampler cannot be trained with."""
        for name, least in (("meta_power", 0.0), ("meta_lr", float(np.nextafter(0, 1)))):
            value = getattr(self, name)
            if not is_number(value) or not least <= float(value) < np.inf:
                what = "above 0" if least else "of 0 or more"
                raise ValueError(f"{name}={value!r}: pass a number {what}.")
        if self.meta_batch_size is not None:
            check_whole("meta_batch_size", self.meta_batch_size, 1, ", or None")
        for name in ("resampler", "mixup", "class_weight"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: a MetaSampledClassifier learns which classes "
                    f"to draw, from rows as they are. Pass {name}=None."
                )
        if has_own_loader(self, "iterator_train"):
            raise ValueError(
                "iterator_train, with its settings, rules which rows a batch has, and so does a "
                "MetaSampledClassifier. Leave iterator_train out."
            )
        if self.distributed:
            raise ValueError(
                "distributed=True: a MetaSampledClassifier differentiates its own steps, which "
                "gradients that are averaged over ranks do not allow. Train it in one process; the "
                "first stage of a DecoupledClassifier may be distributed."
            )
        if self.precision == "fp16":
            raise ValueError(
                "precision='fp16' scales gradients, which a meta step does not. Use 'auto'."
            )
        if self.get_params(deep=False).get("criterion__prior") == "drawn":
            raise ValueError(
                "criterion__prior='drawn' follows what epochs draw, and here that is learnt step "
                "by step. Use criterion__prior='train', as the paper does."
            )

    # --- two modules, two optimisers ---

    def initialize_module(self) -> MetaSampledClassifier:
        """Make the network, and the meta sampler."""
        super().initialize_module()
        classes = getattr(self, "classes_inferred_", ())
        self.meta_sampler_ = MetaSampler(len(classes), self.meta_power)
        return self

    def get_all_learnable_params(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield what the network's optimiser trains: not the rates."""
        own = {id(p) for p in self.meta_sampler_.parameters()}
        for name, parameter in super().get_all_learnable_params():
            if id(parameter) not in own:
                yield name, parameter

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> MetaSampledClassifier:
        """Make the network's optimiser, and that of the rates."""
        super().initialize_optimizer(*args, **kwargs)
        check_is_differentiable(self.optimizer_)
        self.meta_optimizer_ = torch.optim.Adam(self.meta_sampler_.parameters(), lr=self.meta_lr)
        return self

    # --- rows ---

    def get_split_datasets(
        self, X: Any, y: Any = None, **fit_params: Any
    ) -> tuple[TrainSet, ImageDataset | None]:
        """Return the rows to train on, whose counts the rates begin from, and those held out."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if not self.meta_sampler_.begun:
            counts = train.class_counts
            self.meta_sampler_.begin(np.pad(counts, (0, len(self.classes_) - len(counts))))
        return train, valid

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return what yields the batches of a data set."""
        batches = super().get_iterator(dataset, training)
        if not isinstance(batches, EpochBatches):
            return batches
        n_rows = min(batches.dataset.planner.batch_size, len(dataset))
        return MetaBatches(batches, self.meta_sampler_, n_rows, self.meta_batch_size or n_rows)

    def epoch_plan(self, epoch: int) -> EpochPlan:
        """Return which rows a plain epoch sees; see `OPeNClassifier.epoch_plan`."""
        plan = super().epoch_plan(epoch)
        if epoch >= self.planner_.start_epoch:
            raise ValueError(
                f"the rows of epoch {epoch} are drawn while it is trained, by rates that change "
                f"with every step: only epochs before {self.planner_.start_epoch} have a plan."
            )
        return plan

    # --- the step ---

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        """Run an epoch, and note where the rates are after it."""
        super().run_single_epoch(iterator, training, *args, **kwargs)
        if training and len(self.history) > self.planner_.start_epoch:
            self.history.record("class_rates", self.class_shares_.tolist())

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Let the rates take their step, then run forward and backward as usual."""
        if isinstance(batch, MetaBatch):
            self._set_training(True)
            self._step_rates(batch)
        return super().train_step_single(batch, **fit_params)

    def _step_rates(self, batch: MetaBatch) -> None:
        x, codes = batch
        begin_momentum(self.optimizer_)
        weights = self.meta_sampler_.straight_through(batch.draw)
        dtype = autocast_dtype(self.precision, self.device_, tuple(x.shape[1:]))

        def outer(network: Any) -> torch.Tensor:
            return F.cross_entropy(main_output(network(batch.x_meta)).float(), batch.codes_meta)

        before = self._objective_
        try:
            self._objective_ = Objective(reduction="mean", of_rows=weights)
            inner = self.get_loss(self.infer(x), codes, X=x, training=True)
        finally:
            self._objective_ = before
        theta = self.meta_sampler_.theta
        with autocast(self.device_, dtype, share_casts=False):
            theta.grad = gradient_through_step(self.module_, self.optimizer_, inner, outer, theta)
        self.meta_optimizer_.step()

    def _step_optimizer(self, step_fn: Any) -> None:
        begin_momentum(self.optimizer_)
        self.optimizer_.step(step_fn)  # the rates have taken their step

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Make the parts fit the settings, which may have changed since they were made."""
        super().on_train_begin(net, *args, **kwargs)
        check_takes_weights(self.criterion_, "MetaSampledClassifier")
        for group in self.meta_optimizer_.param_groups:
            group["lr"] = self.meta_lr

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Say what was learnt."""
        super().on_train_end(net, *args, **kwargs)
        if self.verbose and len(self.history) > self.planner_.start_epoch:
            shares = " ".join(f"{share:.3f}" for share in self.class_shares_)
            print(f"Learnt shares of classes in what is drawn: {shares}")

    @property
    def class_rates_(self) -> np.ndarray:
        """The rates, in (0, 1)."""
        self.check_is_fitted(["meta_sampler_"])
        return self.meta_sampler_.rates.detach().cpu().numpy()

    @property
    def class_shares_(self) -> np.ndarray:
        """With which probability a draw is of each class."""
        self.check_is_fitted(["meta_sampler_", "planner_"])
        counts = np.bincount(self.planner_.codes, minlength=len(self.classes_))
        return self.meta_sampler_.shares(counts)


class MetaBatches:
    """Batches of an epoch: drawn one by one, as the rates change with every step.

    Parameters
    ----------
    plain : EpochBatches
        Batches of plain epochs, of the same rows.
    sampler : MetaSampler
        Draws the others.
    n_rows, n_meta : int
        Rows of a batch, and of a balanced one.
    """

    def __init__(self, plain: EpochBatches, sampler: MetaSampler, n_rows: int, n_meta: int) -> None:
        self.plain = plain
        self.sampler = sampler
        self.n_rows = n_rows
        self.n_meta = n_meta

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.plain.epoch()
        if epoch < self.plain.dataset.planner.start_epoch:
            yield from self.plain
            return
        codes = torch.from_numpy(self.plain.dataset.codes).to(self.plain.device)
        for b in range(max(1, len(codes) // self.n_rows)):
            yield self._batch(codes, epoch, b)

    def _batch(self, codes: torch.Tensor, epoch: int, b: int) -> MetaBatch:
        plain, transform = self.plain, self.plain.transform
        seed = transform.seed
        generator = keyed_generator(codes.device, seed, "meta", epoch, b)
        draw = self.sampler.draw(codes, self.n_rows, generator)
        random_state = keyed_random_state(seed, "meta", epoch, b)
        judges = draw_balanced(plain.dataset.codes, self.n_meta, random_state)
        rows = [draw.rows.cpu().numpy(), judges]
        with closing(plain.pixels(rows, keyed_seed(seed, "items", epoch, b))) as pixels:
            x, x_meta = (
                transform.train(part, codes[:0], epoch, 2 * b + place)  # each draws its own crops
                for place, part in enumerate(pixels)
            )
        batch = MetaBatch(x, draw.codes)
        batch.draw, batch.x_meta = draw, x_meta
        batch.codes_meta = codes[torch.from_numpy(judges).to(codes.device)]
        return batch
