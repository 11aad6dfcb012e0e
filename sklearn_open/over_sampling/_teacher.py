"""What M2m's teacher may be, and the network from images in [0, 1] to logits that it becomes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_open._constants import constant
from sklearn_open._inputs.pixels import PixelScale
from sklearn_open._warnings import warn_user
from sklearn_open.backbones import CosineClassifier
from sklearn_open.nn._outputs import main_output

__all__ = ["N_LOOKED_AT", "check_logits", "check_teacher", "teacher_network"]

N_LOOKED_AT = 256  # rows that show whether a teacher knows what it is given
KINDS = (
    "Pass a network (torch.nn.Module) from pixels, in the units of X, to logits; a fitted "
    "OPeNClassifier; or what its to_torch() returns."
)


def check_teacher(teacher: Any, threshold: float) -> None:
    """Refuse what cannot be a teacher.

    Parameters
    ----------
    teacher : object
        As given to `M2mOverSampler`, not None.
    threshold : float
        The probability that it has to be able to give.

    Raises
    ------
    TypeError
        For something that is no network and holds none.
    ValueError
        For an estimator that was not fitted, and for logits that can never be as sure.
    """
    held = _held(teacher)
    if isinstance(held, nn.Module):
        highest = _highest_probability(held)
        if highest < threshold:
            raise ValueError(
                f"the teacher has a cosine classifier, whose probabilities are at most "
                f"{highest:.3g}, and threshold={threshold}: no image would ever be accepted. Use "
                "a teacher with a linear head, trained by cross-entropy, or a cosine head of a "
                "larger scale."
            )


def _held(teacher: Any) -> Any:
    """Return the network that a teacher is or holds, in the form that is called."""
    if isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    if isinstance(teacher, nn.Module):
        return teacher
    if not hasattr(teacher, "to_torch"):
        raise TypeError(f"teacher={teacher!r} is no teacher. {KINDS}")
    if not hasattr(teacher, "module_") and not hasattr(teacher, "estimator_"):
        raise ValueError(
            f"the teacher, {type(teacher).__name__}, is not fitted. Fit it first. scikit-learn's "
            "clone, which searches call, undoes a fit where an estimator is a parameter: pass "
            "teacher.to_torch(), or FrozenEstimator(teacher)."
        )
    return teacher.to_torch()


def _highest_probability(network: nn.Module) -> float:
    """Return the largest softmax that a network's cosine head can give; 1 for other heads."""
    heads = [layer for layer in network.modules() if isinstance(layer, CosineClassifier)]
    if len(heads) != 1:
        return 1.0
    scale, n_classes = heads[0].scale.item(), heads[0].weight.shape[0]
    return 1 / (1 + (n_classes - 1) * float(np.exp(-2 * scale)))


def teacher_network(
    teacher: Any, classes: np.ndarray, scale: PixelScale, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a copy of a teacher as a function from images in [0, 1] to logits, in eval mode.

    Parameters
    ----------
    teacher : object
        See `check_teacher`.
    classes : ndarray of shape (n_classes,)
        Labels, in the order that the logits are wanted in.
    scale : PixelScale
        What 0 and 1 are in the units of X, which the teacher takes.
    device : torch.device
        Where it is to be.

    Raises
    ------
    ValueError
        For an estimator of other classes.
    """
    held = _held(teacher)
    known = getattr(held, "classes_", None)  # which networks of `to_torch` say
    order = None if known is None else _order(np.asarray(known), classes)
    network = copy.deepcopy(held).to(device).eval().requires_grad_(False)
    call = getattr(network, "to_logits", network)  # what `to_torch` returns gives probabilities
    low, width = constant(scale.low, device), constant(scale.width, device)

    def logits(images: torch.Tensor) -> torch.Tensor:
        found = main_output(call(images * width + low)).float()
        return found if order is None else found[:, order]

    return logits


def _order(known: np.ndarray, classes: np.ndarray) -> torch.Tensor:
    places = {label: place for place, label in enumerate(known.tolist())}
    missing = [label for label in classes.tolist() if label not in places]
    if missing:
        raise ValueError(
            f"the teacher does not know the classes {missing[:3]}: it was fitted on "
            f"{known.tolist()[:10]}. Fit it on the same classes."
        )
    return torch.tensor([places[label] for label in classes.tolist()])


def check_logits(
    teacher: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    codes: torch.Tensor,
    n_classes: int,
) -> None:
    """Call a teacher on training images, as what it takes can be seen from nothing else.

    Parameters
    ----------
    teacher : callable
        From images in [0, 1] to logits.
    images : torch.Tensor of shape (n, n_channels, ...)
        Training images.
    codes : torch.Tensor of shape (n,)
        Their classes.
    n_classes : int
        How many logits there are to be.

    Raises
    ------
    ValueError
        Where it cannot take the images, or returns something else than logits of these classes.

    Warns
    -----
    UserWarning
        Where it takes all of them for one class, as networks do with pixels in other units, or
        knows less of them than chance, as one does whose classes are in another order.
    """
    try:
        with torch.no_grad():
            logits = teacher(images)
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        raise ValueError(
            f"the teacher could not process images of shape {tuple(images.shape[1:])}. {KINDS} It "
            f"said: {error}"
        ) from error
    if logits.shape != (len(images), n_classes):
        raise ValueError(
            f"the teacher returns a tensor of shape {tuple(logits.shape)} for {len(images)} "
            f"images; needed are logits of {n_classes} classes."
        )
    sums = logits.sum(dim=1)
    if (logits >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError(
            "the teacher returns probabilities, and logits are needed: pass the network without "
            "its softmax, or what to_torch() returns as it is."
        )
    if len(images) > 1 and len(logits.argmax(1).unique()) == 1 < len(codes.unique()):
        warn_user(
            f"the teacher takes all of {len(images)} training images for one class: either it has "
            "learnt nothing, or it wants pixels in other units than X has (it gets them as they "
            "are in X). Hardly an image will be accepted."
        )
    elif _recall(logits.argmax(dim=1), codes) < 0.5 / n_classes:
        warn_user(
            f"the teacher is right about training images less often than chance would be: are its "
            f"{n_classes} logits in the order of the classes, which is that of sorted labels "
            "unless classes= says otherwise?"
        )


def _recall(predicted: torch.Tensor, codes: torch.Tensor) -> float:
    """Return the mean, over classes that there are, of the share of rows that are recognised."""
    right = (predicted == codes).double()
    return float(np.mean([right[codes == code].mean().item() for code in codes.unique()]))
