"""The facts of a saved estimator: what `save` says of it, and what `load` believes.

A file says what there was, never what to run: networks, losses and optimisers are found by name in
fixed lists of torch's, torchvision's and this library's own. A file may be made by hand, with a
checksum that is right, so every fact is checked.
"""

from __future__ import annotations

import inspect
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import skorch
import torch

import sklearn_open.backbones as backbones
import sklearn_open.over_sampling as over_sampling
from sklearn_open._inputs.pixels import PixelScale
from sklearn_open._parameters.signature import defaults
from sklearn_open._parameters.table import is_of_a_part, names_where
from sklearn_open._persistence.plain import decode, decode_array, encode, encode_array
from sklearn_open._persistence.readers import checked_reader, reader_facts
from sklearn_open._protocols import FittedNet
from sklearn_open._version import __version__
from sklearn_open.backbones._names import find_maker, network_names
from sklearn_open.losses._names import LOSSES

__all__ = ["OF_THE_MACHINE", "PRETRAINED", "SavedFacts", "facts_of", "fetches_weights"]

# Parameters that a file neither keeps nor sets. Devices and places belong to a machine, and what
# lies in these places is unpickled.
OF_THE_MACHINE = names_where(kept="not")
# Parameters that have names. A file names nothing but what `known` lists.
COMPONENTS = names_where(kept="name")
# Parameters that read weights from elsewhere, the internet or a file; the file has the weights.
PRETRAINED = names_where(kept="fetched")
# Parameters that may be "auto": a training that goes on keeps what that stood for.
SETTLED = names_where(settled=True)
# What pretrained weights of torchvision decide about the rest of the network.
DECIDED_BY_WEIGHTS = ("transform_input", "aux_logits", "image_size")
KEYS = {
    *("versions", "classes", "image_shape", "n_features_in", "feature_names_in", "scale"),
    *("normalize", "seed", "params", "names", "not_stored", "history"),
}
# Said where there is something to say.
OPTIONAL = {"frozen", "class_names", "class_count", "settled", "image_reader"}


# --- names ---


@cache
def known(component: str) -> dict[str, Any]:
    """Return the only things that a name in a file can stand for.

    Parameters
    ----------
    component : {"module", "criterion", "optimizer", "resampler"}
        The parameter that is looked for, or one of its own, as "criterion__late".
    """
    component = component.partition("__")[0]
    if component == "module":
        from torchvision import models  # here, as `import sklearn_open` should not pay for it

        ours = {f"sklearn_open.backbones.{n}": getattr(backbones, n) for n in network_names()}
        names = models.list_models(module=models)
        return ours | {f"torchvision.models.{n}": models.get_model_builder(n) for n in names}
    if component == "resampler":
        samplers = {name: getattr(over_sampling, name) for name in over_sampling.__all__}
        return {
            f"sklearn_open.over_sampling.{name}": value
            for name, value in samplers.items()
            if isinstance(value, type)
        }
    home: Any
    home, base = {
        "criterion": (torch.nn, torch.nn.modules.loss._Loss),
        "optimizer": (torch.optim, torch.optim.Optimizer),
    }[component]
    found: dict[str, Any] = {
        f"{home.__name__}.{name}": value
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    if component == "criterion":
        ours = {getattr(loss, "__name__", ""): loss for loss in LOSSES.values()}
        found |= {f"sklearn_open.losses.{name}": ours[name] for name in ours.keys() - vars(home)}
    return found


def _name_of(component: str, value: Any) -> str | None:
    if component not in COMPONENTS:
        return None
    return next((name for name, one in known(component).items() if one is value), None)


def _described(value: Any) -> str:
    """Return what a value that has no place in a file is called, for those who must pass it."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return name if kind is value else f"an instance of {name}"


def fetches_weights(module: Any) -> bool:
    """Whether `PRETRAINED` are to a network's maker what they are to torchvision's and timm's.

    Parameters
    ----------
    module : class, callable, str or None
        The maker, or its name.

    Raises
    ------
    ValueError, ImportError
        For a name that there is not.
    """
    if isinstance(module, str):
        module = find_maker(module)
    if module is None:  # one of this library's
        return True
    home = getattr(getattr(module, "func", module), "__module__", None) or ""
    return home.split(".")[0] in ("sklearn_open", "torchvision", "timm")


# --- what is said ---


def facts_of(net: FittedNet) -> dict[str, Any]:
    """Return all but the weights of a fitted estimator, as JSON can hold it.

    Raises
    ------
    TypeError
        For labels that it cannot hold exactly.
    """
    names, params, not_stored = _parameters_of(net)
    names_in, transform = getattr(net, "feature_names_in_", None), net.transform_
    optional = {
        "frozen": [n for n, p in net.module_.named_parameters() if not p.requires_grad],
        "class_names": _names_of(net),
        "class_count": [int(n) for n in getattr(net, "class_count_", ())],
        "settled": {n: int(getattr(net, f"{n}_")) for n in SETTLED if hasattr(net, f"{n}_")},
        "image_reader": reader_facts(net),
    }
    return {
        "versions": _versions(),
        "classes": _classes_of(net),
        "image_shape": [int(side) for side in net.image_shape_],
        "n_features_in": int(net.n_features_in_),
        "feature_names_in": None if names_in is None else encode_array(names_in),
        "scale": [_float64(transform.scale.low), _float64(transform.scale.high)],
        "normalize": [_float64(transform.mean), _float64(transform.std)],
        "seed": int(net.seed_),
        "params": params,
        "names": names,
        "not_stored": not_stored,
        "history": [_plain_numbers(epoch) for epoch in net.history],
        **{name: value for name, value in optional.items() if value},
    }


def _versions() -> dict[str, str]:
    versions = {module.__name__: str(module.__version__) for module in (torch, skorch, np)}
    versions["sklearn_open"] = __version__
    return {**versions, "torchvision": version("torchvision"), "python": platform.python_version()}


def _classes_of(net: FittedNet) -> dict[str, Any]:
    try:
        return encode_array(net.classes_inferred_)
    except TypeError as error:
        raise TypeError(
            f"a file cannot hold the classes {net.classes_inferred_!r} exactly: {error} Fit on "
            "labels that are bool, int, float, str or datetime64, or pickle the estimator."
        ) from error


def _names_of(net: FittedNet) -> dict[str, Any] | None:
    """Return the names of classes that labels are codes of, if they have any."""
    named = not np.array_equal(net.class_names_, net.classes_inferred_)
    return encode_array(net.class_names_) if named else None


def _float64(numbers: Any) -> dict[str, Any]:
    return encode_array(np.asarray(numbers, dtype=np.float64))


def _plain_numbers(epoch: dict[str, Any]) -> dict[str, Any]:
    """Return what the history says of an epoch as a whole."""
    row = {}
    for name, value in epoch.items():
        value = value.item() if isinstance(value, np.generic) else value
        if value is None or type(value) in (bool, int, float, str):
            row[str(name)] = encode(value)
    return row


def _parameters_of(net: FittedNet) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
    """Return the parameters that have names, those that are plain, and what the others are."""
    names, params, not_stored = {}, {}, {}
    usual = defaults(type(net))
    for param, value in _parameters_to_save(net).items():
        if (name := _name_of(param, value)) is not None:
            names[param] = name
            continue
        try:
            params[param] = encode(value)
        except TypeError:
            if value is not usual.get(param, inspect.Parameter.empty):
                not_stored[param] = _described(value)
    return names, params, not_stored


def _parameters_to_save(net: FittedNet) -> dict[str, Any]:
    params = {n: v for n, v in net.get_params(deep=False).items() if n not in OF_THE_MACHINE}
    if not fetches_weights(net.module):
        return params
    if any(params.get(name) for name in PRETRAINED):
        decided = [name for name in DECIDED_BY_WEIGHTS if hasattr(net.module_, name)]
        params |= {f"module__{name}": getattr(net.module_, name) for name in decided}
    return {name: value for name, value in params.items() if name not in PRETRAINED}


# --- what is believed ---


@dataclass(frozen=True)
class SavedFacts:
    """Facts that were checked.

    Attributes
    ----------
    classes : numpy.ndarray of shape (n_classes,)
    image_shape : tuple of int
    feature_names : numpy.ndarray of shape (n_features,) or None
    scale : PixelScale
    mean, std : numpy.ndarray of shape (n_channels,)
    seed : int
    params : dict
        Parameters that were plain, or have a name here.
    missing : dict
        Those that the file could not hold, with what they were.
    history : list of dict
        Epochs.
    frozen : list of str
        Weights that are not trained.
    class_names : numpy.ndarray of shape (n_classes,)
        What the classes are called, where labels are codes; else the classes.
    class_count : numpy.ndarray of shape (n_classes,) or None
        Training rows of each class; None in files of before they were kept.
    settled : dict of str to int
        What it was trained by, where a parameter may be "auto".
    image_reader : ImageReader or None
        How image files are read, where that was set.
    """

    classes: np.ndarray
    image_shape: tuple[int, ...]
    feature_names: np.ndarray | None
    scale: PixelScale
    mean: np.ndarray
    std: np.ndarray
    seed: int
    params: dict[str, Any]
    missing: dict[str, str]
    history: list[dict[str, Any]]
    frozen: list[str]
    class_names: np.ndarray
    class_count: np.ndarray | None
    settled: dict[str, int]
    image_reader: Any

    @classmethod
    def checked(cls, estimator: type, facts: dict[str, Any]) -> SavedFacts:
        """Return the facts that `facts_of` gave.

        Parameters
        ----------
        estimator : type
            Class whose parameters they are.
        facts : dict
            As they were read.

        Raises
        ------
        ValueError
            When they are not of the types and shapes that `facts_of` gives.
        """
        _need(facts.keys() - OPTIONAL == KEYS, f"its facts are not {', '.join(sorted(KEYS))}")
        image_shape = _checked_shape(facts["image_shape"], facts["n_features_in"])
        mean, std = _checked_normalize(facts["normalize"], image_shape)
        params, missing = _checked_params(estimator, facts)
        classes = _checked_classes(facts["classes"])
        return cls(
            classes=classes,
            image_shape=image_shape,
            feature_names=_checked_names(facts["feature_names_in"], facts["n_features_in"]),
            scale=_checked_scale(facts["scale"], image_shape),
            mean=mean,
            std=std,
            seed=_checked_seed(facts["seed"]),
            params=params,
            missing=missing,
            history=_checked_history(facts["history"]),
            frozen=_checked_frozen(facts.get("frozen", [])),
            class_names=_checked_class_names(facts.get("class_names"), classes),
            class_count=_checked_class_count(facts.get("class_count"), classes),
            settled=_checked_settled(facts.get("settled", {})),
            image_reader=checked_reader(facts.get("image_reader"), image_shape),
        )


def _need(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _checked_shape(shape: Any, n_features: Any) -> tuple[int, ...]:
    _need(isinstance(shape, list) and len(shape) in (1, 3), "image_shape is not that of a row")
    _need(all(type(side) is int and side >= 1 for side in shape), "image_shape is not a shape")
    product = int(np.prod(shape, dtype=object))
    _need(type(n_features) is int and n_features == product, "n_features_in is not that of a row")
    return tuple(shape)


def _pair(encoded: Any) -> tuple[np.ndarray, np.ndarray]:
    _need(isinstance(encoded, list) and len(encoded) == 2, "scale or normalize is not a pair")
    first, second = (decode_array(part) for part in encoded)
    _need(first.dtype == second.dtype == np.float64, "scale or normalize is not float64")
    _need(first.shape == second.shape, "scale or normalize is not a pair")
    _need(np.isfinite([first, second]).all(), "scale or normalize is not finite")
    return first, second


def _checked_scale(encoded: Any, image_shape: tuple[int, ...]) -> PixelScale:
    low, high = _pair(encoded)
    of_a_table = len(image_shape) == 1 and low.shape == image_shape
    _need((low.shape == () or of_a_table) and (low <= high).all(), "scale is not a range")
    return PixelScale(low[()], high[()])


def _checked_normalize(encoded: Any, image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    mean, std = _pair(encoded)
    per_channel = mean.shape == image_shape[:1]
    _need(per_channel and (std > 0).all(), "normalize is not a mean and deviation per channel")
    return mean, std


def _checked_seed(seed: Any) -> int:
    _need(type(seed) is int and 0 <= seed < 2**32, "seed is not a seed")
    return seed


def _checked_classes(encoded: Any) -> np.ndarray:
    classes = decode_array(encoded)
    _need(classes.ndim == 1 and len(classes) >= 2, "classes are not two or more")
    return classes


def _checked_names(encoded: Any, n_features: int) -> np.ndarray | None:
    if encoded is None:
        return None
    names = decode_array(encoded)
    _need(names.shape == (n_features,), "feature_names_in are not one for each feature")
    _need(all(isinstance(name, str) for name in names), "feature_names_in are not names")
    return names


def _checked_frozen(encoded: Any) -> list[str]:
    names: list[Any] = encoded if isinstance(encoded, list) else [None]
    _need(all(isinstance(name, str) for name in names), "frozen is not a list of names")
    return names


def _checked_class_names(encoded: Any, classes: np.ndarray) -> np.ndarray:
    if encoded is None:
        return classes
    names = decode_array(encoded)
    _need(names.shape == classes.shape, "class_names are not one for each class")
    return names


def _checked_class_count(count: Any, classes: np.ndarray) -> np.ndarray | None:
    if count is None:
        return None
    numbers: list[Any] = count if isinstance(count, list) else [None]
    good = len(numbers) == len(classes) and all(type(n) is int and n >= 0 for n in numbers)
    _need(good, "class_count is not a number of rows for each class")
    return np.array(numbers, dtype=np.int64)


def _checked_settled(numbers: Any) -> dict[str, int]:
    found: dict[Any, Any] = numbers if isinstance(numbers, dict) else {None: None}
    good = all(name in SETTLED and type(n) is int and n >= 0 for name, n in found.items())
    _need(good, f"settled is not a number for each of {', '.join(SETTLED)}")
    return found


def _checked_history(encoded: Any) -> list[dict[str, Any]]:
    epochs: list[Any] = encoded if isinstance(encoded, list) else [None]
    _need(all(isinstance(epoch, dict) for epoch in epochs), "history is not a list of epochs")
    return [{name: decode(value) for name, value in epoch.items()} for epoch in epochs]


def _checked_params(
    estimator: type, facts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters that are there, and what those were that are not."""
    params, names, not_stored = facts["params"], facts["names"], facts["not_stored"]
    for part in (params, names, not_stored):
        _need(isinstance(part, dict), "its parameters have no names")
        for name in part:
            _need(_is_parameter(estimator, name), f"{name!r} is no parameter of a file")
    texts = [*names.values(), *not_stored.values()]
    _need(all(isinstance(text, str) for text in texts), "its parameters are not described")
    found = {name: decode(value) for name, value in params.items()}
    missing = dict(not_stored)
    if isinstance(found.get("module"), str) and not _is_network(found["module"]):
        missing["module"] = found.pop("module")
    for component, name in names.items():
        _need(component in COMPONENTS, f"{component!r} is no parameter that a file names")
        if name in known(component):
            found[component] = known(component)[name]
        else:  # of another version
            missing[component] = name
    return found, missing


def _is_network(name: str) -> bool:
    """Whether there is a network of this name, as far as can be told without timm."""
    try:
        find_maker(name)
    except ValueError:
        return False
    except ImportError:  # said where the network is made
        pass
    return True


def _is_parameter(estimator: type, name: str) -> bool:
    if name in OF_THE_MACHINE or name.startswith("_"):
        return False
    if is_of_a_part(name):  # which has to begin with a component
        return True
    return name in defaults(estimator) and not name.endswith("_")
