"""What is minimised: the criterion of an epoch, with weights of classes and mixed labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from sklearn_open._constants import constant
from sklearn_open._parameters.settings import has_own_loader
from sklearn_open._protocols import TrainingNet
from sklearn_open.backbones import CosineClassifier
from sklearn_open.batching._dataset import TrainSet
from sklearn_open.batching._mixing import Mix
from sklearn_open.losses._base import ClassCountLoss, EpochFacts, begin_epoch, is_told_of_epochs
from sklearn_open.losses._class_weight import class_weights
from sklearn_open.losses._ldam import LDAMLoss
from sklearn_open.losses._weighted import check_takes_weights, weighted_loss

__all__ = ["Objective", "check_criterion", "cosine_heads", "objective_of"]


class WeightedNet(TrainingNet, Protocol):
    """What is touched of an estimator here."""

    class_weight: Any
    classes_inferred_: np.ndarray


@dataclass(frozen=True)
class Objective:
    """How the criterion is called in one epoch.

    Attributes
    ----------
    weights : ndarray of shape (n_classes,) or None
        Of the classes; None weights nothing.
    reduction : {"weighted_mean", "mean"}
        See `weighted_loss`.
    of_rows : torch.Tensor of shape (n,) or None
        Weights of the rows of one batch, instead.
    """

    weights: np.ndarray | None = None
    reduction: str = "weighted_mean"
    of_rows: torch.Tensor | None = None

    def loss(
        self,
        criterion: Any,
        call: Callable[[Any], torch.Tensor],
        codes: Any,
        mix: Mix | None = None,
    ) -> torch.Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        criterion : torch.nn.Module
            What `call` calls.
        call : callable
            Returns its loss of the batch's logits, for some codes.
        codes : torch.Tensor of shape (n,)
            Classes of the rows.
        mix : Mix or None, default=None
            The loss is mixed, not the labels, so any criterion will do.
        """
        loss = self._of(criterion, call, codes)
        if mix is None:
            return loss
        return mix.share * loss + (1 - mix.share) * self._of(criterion, call, mix.codes)

    def _of(self, criterion: Any, call: Callable[[Any], torch.Tensor], codes: Any) -> torch.Tensor:
        if self.of_rows is not None:
            return weighted_loss(criterion, lambda: call(codes), self.of_rows, self.reduction)
        if self.weights is None:
            return call(codes)
        weights = constant(self.weights, codes.device)[codes]
        return weighted_loss(criterion, lambda: call(codes), weights, self.reduction)


def objective_of(net: WeightedNet, train: TrainSet, epoch: int) -> Objective:
    """Tell the criterion what an epoch is like, and return how it is called.

    Parameters
    ----------
    net : OPeNClassifier
        In training.
    train : TrainSet
        Rows to train on.
    epoch : int
        Number of the epoch.
    """
    n_classes, counts = len(net.classes_inferred_), train.class_counts
    counts = np.pad(counts, (0, n_classes - len(counts)))
    is_rebalanced = epoch >= train.planner.start_epoch
    asking = [loss for loss in net.parts_.criteria.values() if is_told_of_epochs(loss)]
    if asking:
        drawn = None
        if not has_own_loader(net, "iterator_train"):
            drawn = train.drawn_counts(epoch)
            drawn = np.pad(drawn, (0, n_classes - len(drawn)))
        for loss in asking:
            begin_epoch(loss, EpochFacts(epoch, is_rebalanced, counts, drawn))
        _tell_of_head(net)
    if not is_rebalanced:
        return Objective()
    params = net.get_params_for("class_weight")
    reduction = params.pop("reduction", "weighted_mean")
    weights = class_weights(net.class_weight, counts, net.classes_inferred_, **params)
    return Objective(weights, reduction)


def _tell_of_head(net: WeightedNet) -> None:
    heads = cosine_heads(net.module_)
    for loss in _losses(net, LDAMLoss):
        if len(heads) == 1:
            loss.take_cosine_scale(heads[0].scale.item())


def check_criterion(net: WeightedNet) -> None:
    """Refuse a criterion that does not fit the classes, the weights or the network.

    Raises
    ------
    ValueError
        For counts of another number of classes, class weights that the criterion cannot take, and
        `LDAMLoss` without a cosine head of a fixed scale.
    """
    n_classes = len(net.classes_inferred_)
    for loss in _losses(net, ClassCountLoss):
        for name in ("class_counts", "weight"):
            values = getattr(loss, name) if name == "weight" or loss.counts_are_given else None
            if values is not None and len(values) != n_classes:
                raise ValueError(
                    f"criterion__{name} has {len(values)} numbers, and there are {n_classes} "
                    "classes. Pass one for each, in the order of classes_, or leave it out."
                )
    if net.class_weight is not None:
        for criterion in net.parts_.criteria.values():
            check_takes_weights(criterion)
    for loss in _losses(net, LDAMLoss):
        if loss.logit_scale is None:
            _check_cosine_head(net.module_)


def _check_cosine_head(module: nn.Module) -> None:
    heads = cosine_heads(module)
    name = type(module).__name__
    if len(heads) != 1:
        raise ValueError(
            f"LDAMLoss sets margins between cosines, and {name} has {len(heads) or 'no'} "
            "CosineClassifier. Use module__head='cosine' with a network of sklearn_open.backbones; "
            "or, if your network multiplies cosines by some number, pass it as "
            "criterion__logit_scale (1 for plain cosines)."
        )
    if isinstance(heads[0].scale, nn.Parameter):
        raise ValueError(
            f"LDAMLoss multiplies cosines by its own scale, and that of the cosine head of {name} "
            "is learnt. Fix it: module__scale='ldam' (30), or another number."
        )


def cosine_heads(module: nn.Module) -> list[CosineClassifier]:
    """Return the cosine classifiers of a network."""
    return [layer for layer in module.modules() if isinstance(layer, CosineClassifier)]


def _losses(net: WeightedNet, kind: type) -> list[Any]:
    """Return the losses of a kind, those inside of others included."""
    criteria = net.parts_.criteria.values()
    return [part for loss in criteria for part in loss.modules() if isinstance(part, kind)]
