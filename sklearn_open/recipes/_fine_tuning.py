"""The parameters of a fine-tuning: weights of a file, rates of head and backbone, frozen layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Any

from skorch.callbacks import Freezer

from sklearn_open._checks import is_number, listed
from sklearn_open._training.building import facts_taken
from sklearn_open.backbones import SmallCNN
from sklearn_open.backbones._class_layers import class_layers, tensor_shapes
from sklearn_open.backbones._names import find_maker

__all__ = ["fine_tuning_parameters", "head_patterns"]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # no parameters
ANY_SHAPE = (3, 32, 32)  # names of layers do not depend on it
NOT_FOR_NAMES = ("weights", "pretrained", "checkpoint_path")  # nor on these, which read files


def head_patterns(module: str | Callable[..., Any] | None, **params: Any) -> list[str]:
    """Return patterns that fit the names of the parameters of a network's last layer.

    For ``optimizer__param_groups``, whatever the layer is called ("fc", "classifier.1", "head.fc").

    Parameters
    ----------
    module : str, class, function or None
        What makes the network, as `OPeNClassifier` takes it. None is the small CNN.
    **params : dict
        What it is called with, besides numbers of classes and channels.

    Returns
    -------
    list of str
        One pattern for each layer whose shape depends on the number of classes.

    Raises
    ------
    ValueError
        For a name that is not known, and for a network that is not told the number of classes.

    Examples
    --------
    >>> from sklearn_open.recipes import head_patterns
    >>> head_patterns("resnet18"), head_patterns("mobilenet_v3_small")
    (['fc.*'], ['classifier.3.*'])
    """
    maker, known = _maker_of(module, params)
    layers = class_layers(maker, known)
    if not layers:
        raise ValueError(
            f"no layer of module={module!r} depends on a number of classes that it is told. Pass a "
            "class or function with a parameter num_classes, or write "
            "optimizer__param_groups=[(pattern, settings)] by hand."
        )
    tensors = tensor_shapes(maker, known)
    return [layer if layer in tensors else f"{layer}.*" for layer in layers]


def fine_tuning_parameters(
    module: str | Callable[..., Any] | None,
    weights: Any = None,
    *,
    lr: float,
    backbone_lr: float | None = None,
    freeze: str | Iterable[str] = (),
    **others: Any,
) -> dict[str, Any]:
    """Return parameters of `OPeNClassifier` that fine-tune a pretrained network.

    Parameters
    ----------
    module : str, class, function or None
        What makes the network. None is the small CNN.
    weights : path, str, enum or None, default=None
        Where its weights come from: a file, or what `module` takes as ``weights``.
    lr : float
        Learning rate of the last layer; of all layers without `backbone_lr`.
    backbone_lr : float or None, default=None
        That of all other layers.
    freeze : str or iterable of str, default=()
        Layers that are not trained: names ("layer1"), or patterns of names of parameters
        ("layer[12].*").
    **others : dict
        Other parameters, which are returned as well. ``module__...`` are those of the network.

    Returns
    -------
    dict
        For ``OPeNClassifier(**parameters)``.

    Raises
    ------
    ValueError
        For rates that are none, layers that the network does not have, and where nothing is left to
        train.

    Examples
    --------
    >>> from sklearn_open.recipes import fine_tuning_parameters
    >>> params = fine_tuning_parameters("resnet18", "resnet18.pth", lr=0.05, backbone_lr=0.001)
    >>> params["lr"], params["optimizer__param_groups"]
    (0.001, [('fc.*', {'lr': 0.05})])
    """
    _check_rates(lr, backbone_lr, others)
    of_module = {
        name.removeprefix("module__"): value
        for name, value in others.items()
        if name.startswith("module__")
    }
    found: dict[str, Any] = {"module": module, "lr": lr}
    if weights is not None:
        found["module__weights"] = weights
    if backbone_lr is not None:
        heads = head_patterns(module, **of_module)
        found["lr"] = backbone_lr
        found["optimizer__param_groups"] = [(pattern, {"lr": lr}) for pattern in heads]
    frozen = [freeze] if isinstance(freeze, str) else list(freeze)
    if frozen:
        patterns = _frozen_patterns(frozen, *_maker_of(module, of_module))
        callbacks = list(others.pop("callbacks", None) or [])
        found["callbacks"] = [*callbacks, ("freeze", Freezer(patterns))]
    return {**others, **found}


def _maker_of(
    module: str | Callable[..., Any] | None, params: dict[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return what makes a network, and what it is called with for the names of its layers."""
    maker = SmallCNN if module is None else module
    maker = find_maker(maker) if isinstance(maker, str) else maker
    params = {name: value for name, value in params.items() if name not in NOT_FOR_NAMES}
    return maker, {**facts_taken(maker, ANY_SHAPE, 2), **params}


def _check_rates(lr: float, backbone_lr: float | None, others: dict[str, Any]) -> None:
    if not is_number(lr) or not lr > 0:
        raise ValueError(f"lr={lr!r}: pass a learning rate above 0.")
    if backbone_lr is None:
        return
    if not is_number(backbone_lr) or not backbone_lr >= 0:
        raise ValueError(
            f"backbone_lr={backbone_lr!r}: pass a learning rate of 0 or more, or None."
        )
    if "optimizer__param_groups" in others:
        raise ValueError(
            "backbone_lr and optimizer__param_groups both say which layers have which rates. Pass "
            "one of them."
        )


def _frozen_patterns(
    frozen: list[str], maker: Callable[..., Any], params: dict[str, Any]
) -> list[str]:
    """Return patterns of parameters for names of layers or patterns; refuse what fits nothing."""
    names = [n for n in tensor_shapes(maker, params) if not n.endswith(STATISTICS)]
    patterns = []
    for wanted in frozen:
        fitting = [p for p in (wanted, f"{wanted}.*") if any(fnmatch(n, p) for n in names)]
        if not fitting:
            layers = listed(dict.fromkeys(name.split(".")[0] for name in names))
            raise ValueError(
                f"freeze={wanted!r} fits no parameter of the network. It has {layers}; pass names "
                "of layers, or patterns of whole names of parameters."
            )
        patterns.append(fitting[0])
    if all(any(fnmatch(name, pattern) for pattern in patterns) for name in names):
        raise ValueError(f"freeze={frozen!r} leaves nothing to train. Leave the last layer out.")
    return patterns
