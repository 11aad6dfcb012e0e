"""The second of two stages: a head is trained on what the backbone of a fitted classifier sees."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from torch import nn

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.pixels import PixelScale
from sklearn_open._parameters.settings import has_own_loader
from sklearn_open._random import keyed_seed, seeded_user_code
from sklearn_open._training.training_set import shape_of_images, take_in
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.decoupling._heads import (
    ScaledHead,
    check_is_linear,
    check_is_plain,
    find_head,
    fresh_head,
    put_head,
)
from sklearn_open.decoupling._stages import BackboneOutput, HeadOnBackbone, HeadOnFeatures
from sklearn_open.nn import revert_norm
from sklearn_open.nn._outputs import main_output
from sklearn_open.over_sampling._epochs import draws_by_label

__all__ = [
    "SecondStage",
    "check_before_training",
    "checked_head",
    "train_second_stage",
    "with_network",
]


@dataclass(frozen=True)
class SecondStage:
    """What a second stage has made.

    Attributes
    ----------
    estimator : OPeNClassifier
        The one that was trained: with its history and plans. Its network is that of the stage.
    network : torch.nn.Module
        The whole, as one plain network.
    head : str
        Which of its layers the head is.
    scale : ndarray of shape (n_classes,) or None
        What logits were multiplied by, if that was learnt.
    on_features : bool
        Whether features were computed once, and not in every step.
    """

    estimator: Any
    network: nn.Module
    head: str
    scale: np.ndarray | None
    on_features: bool


def with_network(net: Any, network: nn.Module) -> Any:
    """Return a fitted estimator that shares all with another one but its network.

    (A copy by Python's `copy` goes through a pickle, which some networks do not survive.)
    """
    twin: Any = object.__new__(type(net))
    twin.__dict__.update(net.__dict__)
    twin.__dict__["module_"] = network
    return twin


def checked_head(net: Any, network: nn.Module, *, fresh: bool, scaled: bool, tau: Any) -> str:
    """Return which layer of an estimator's network is the head, if that can be done with it.

    Parameters
    ----------
    net : OPeNClassifier
        With `image_shape_`.
    network : torch.nn.Module
        Its network, trained or not.
    fresh, scaled : bool
        Whether it is to begin anew, and to be scaled.
    tau : float or None
        See `normalized_head`.

    Raises
    ------
    ValueError
        For networks without a head, and for heads of a kind that this cannot be done with.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    name = find_head(network, torch.zeros(2, *net.image_shape_, device=device))
    layer = network.get_submodule(name)
    if scaled:
        check_is_linear(layer, "weight_scaling=True scales logits of weights")
    if tau is not None:
        check_is_linear(layer, "tau divides weights by their lengths")
    if fresh or scaled or tau is not None:
        check_is_plain(layer)
    return name


def check_before_training(estimator: Any, X: Any, y: Any, **wanted: Any) -> None:
    """Look at the head of a network that was not trained yet, so that no training is for nothing.

    Parameters
    ----------
    estimator : OPeNClassifier
        The first stage, not fitted; left as it is.
    X, y
        As for `fit`.
    **wanted : dict
        See `checked_head`.

    Raises
    ------
    ValueError
        As `checked_head` does.
    """
    probe = clone(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `fit` gives them
        take_in(probe, X, y, goes_on=False)
        probe.initialize_from_seed(0)
    checked_head(probe, revert_norm(probe.module_), **wanted)


def train_second_stage(
    first: Any,
    final: Any,
    X: Any,
    y: Any,
    *,
    head: str,
    weight_scaling: bool,
    shift_norm: bool,
    classes: Any,
    checkpoint: Path | None,
    fit_params: dict[str, Any],
) -> SecondStage:
    """Train the head of a fitted classifier by the settings of another one.

    Parameters
    ----------
    first : OPeNClassifier
        Fitted; left as it is.
    final : OPeNClassifier
        How the head is trained. A copy is.
    X, y
        As for `fit`.
    head : {"kept", "fresh"}
    weight_scaling, shift_norm : bool
        As for `DecoupledClassifier`.
    classes : array-like or None
        All labels there are; None takes those of `y`.
    checkpoint : path or None
        Folder of the second stage.
    fit_params : dict
        For its `train_split`.

    Raises
    ------
    ValueError, TypeError
        For settings and data that cannot be trained with; nothing was trained then.
    """
    network = revert_norm(copy.deepcopy(first.module_))
    is_fresh = head == "fresh"
    name = checked_head(first, network, fresh=is_fresh, scaled=weight_scaling, tau=None)
    layer = network.get_submodule(name)
    if head == "kept" and y is not None:
        _check_labels(first, y)
    second, data = _taken_in(first, final, X, y, classes, checkpoint)
    seed = _seed(first, second)
    if is_fresh:
        with seeded_user_code(second.device_, keyed_seed(seed, "head")):
            layer = fresh_head(layer, len(second.classes_inferred_))
    trained = ScaledHead(layer) if weight_scaling else layer
    on_features = _features_stand_for_rows(second, data, shift_norm)
    features = _features_of(first, network, name, data) if on_features else None
    if features is None:
        stage: nn.Module = HeadOnBackbone(network, name, trained, shift_norm=shift_norm)
        second.transform_ = replace(first.transform_, seed=seed)
    else:
        stage = HeadOnFeatures(trained)
        second.transform_ = _as_they_are(features.shape[1], seed)
        second.image_shape_, second.n_features_in_ = features.shape[1:], features.shape[1]
        data = ImageDataset(features, data.codes, data.y)
    second.set_params(module=stage)
    second.initialize_from_seed(seed)
    second.partial_fit(data, **fit_params)
    return _made(second, network, name, features is not None)


def _taken_in(
    first: Any, final: Any, X: Any, y: Any, classes: Any, checkpoint: Path | None
) -> tuple[Any, ImageDataset]:
    """Return the second stage's estimator, and the rows as it has taken them in."""
    second = clone(final)
    second.set_params(image_shape=shape_of_images(first), warm_start=False)
    if second.classes is None:
        second.set_params(classes=classes)
    if checkpoint is not None and second.checkpoint is None:
        second.set_params(checkpoint=checkpoint)
    second.set_params(memory=None)  # there are no epochs that others share
    data = take_in(second, X, y, goes_on=False)
    if tuple(data.X.shape[1:]) != tuple(first.image_shape_):
        raise ValueError(
            f"X has rows of shape {tuple(data.X.shape[1:])}, and the first stage was fitted on "
            f"rows of shape {tuple(first.image_shape_)} (channels first). Pass the same kind."
        )
    names: Any = getattr(first, "feature_names_in_", None)
    found: Any = getattr(second, "feature_names_in_", None)
    if names is not None and found is not None and not np.array_equal(names, found):
        raise ValueError(
            f"X has the columns {found[:5].tolist()}, and the first stage was fitted on "
            f"{names[:5].tolist()}. Pass the same columns in the same order."
        )
    first.transform_.scale.warn_of_other_units(data.X)
    return second, data


def _check_labels(first: Any, y: Any) -> None:
    unknown = np.setdiff1d(np.asarray(y), first.classes_)
    if len(unknown):
        raise ValueError(
            f"y has the labels {unknown[:3].tolist()}, and the head of the first stage is for "
            f"{first.classes_[:10].tolist()}. Use head='fresh', or the same classes."
        )


def _seed(first: Any, second: Any) -> int:
    if second.random_state is None:
        return keyed_seed(first.seed_, "second stage")
    return int(check_random_state(second.random_state).randint(2**31 - 1))


# --- features ---


def _features_stand_for_rows(second: Any, data: ImageDataset, shift_norm: bool) -> bool:
    """Whether training on features gives what training on rows does, whatever the epoch."""
    sampler = second.resampler_
    looks_at_pixels = getattr(sampler, "makes_noise", False) or getattr(
        sampler, "translates", False
    )
    params = second.get_params(deep=False)
    plain = ("augment", "mixup", "train_split", "callbacks")  # callbacks may look at anything
    return (
        not shift_norm
        and not isinstance(data.X, LazyImages)  # whose transforms may draw anew in every epoch
        and (sampler is None or draws_by_label(sampler))
        and not looks_at_pixels
        and not any(params[name] for name in plain)
        and not has_own_loader(second, "iterator_train")
    )


def _features_of(
    first: Any, network: nn.Module, name: str, data: ImageDataset
) -> np.ndarray | None:
    """Return what the head is fed; None where that is not one vector for each row."""
    reader = with_network(first, BackboneOutput(copy.deepcopy(network), name).eval())
    reader.__dict__["logit_adjustment"] = 0.0
    found = reader.forward(ImageDataset(data.X, data.codes, data.y), training=False)
    features = found if isinstance(found, torch.Tensor) else main_output(found)
    return features.cpu().numpy() if features.ndim == 2 else None


def _as_they_are(n_features: int, seed: int) -> BatchTransform:
    scale = PixelScale(np.float64(0), np.float64(1))
    return BatchTransform(scale, np.zeros(n_features), np.ones(n_features), None, None, seed)


# --- the result ---


def _made(second: Any, network: nn.Module, name: str, on_features: bool) -> SecondStage:
    stage = second.module_
    whole = network if on_features else revert_norm(copy.deepcopy(stage.network))
    head, scale = copy.deepcopy(stage.head), None
    if isinstance(head, ScaledHead):
        scale, head = head.scale.detach().cpu().numpy(), head.folded()
    put_head(whole, name, head.to(second.device_))
    whole.requires_grad_(True)
    return SecondStage(second, whole, name, scale, on_features)
