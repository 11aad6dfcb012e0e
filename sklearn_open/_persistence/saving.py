"""From a fitted estimator to a file without code, and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.history import History
from torch import nn

from sklearn_open._parameters.settings import check_settings
from sklearn_open._parameters.table import component
from sklearn_open._parameters.table import parameter as row_of
from sklearn_open._persistence.atomic import full_path
from sklearn_open._persistence.facts import (
    OF_THE_MACHINE,
    PRETRAINED,
    SavedFacts,
    facts_of,
    fetches_weights,
)
from sklearn_open._persistence.file import read_file, write_file
from sklearn_open._protocols import FittedNet
from sklearn_open._warnings import warn_user
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.exceptions import SavedFileError
from sklearn_open.nn import revert_norm
from sklearn_open.nn._aux_bn import auxiliary_keys
from sklearn_open.nn._aux_groups import drop_auxiliary

__all__ = ["load_net", "save_net"]


def save_net(net: FittedNet, path: Any) -> None:
    """Write a fitted estimator to a file; see `OPeNClassifier.save`."""
    net.check_is_fitted(["module_", "transform_"])
    modules = [name for name in net.parts_.modules if name not in net.only_in_training_]
    if modules != ["module_"]:
        raise TypeError(
            f"this {type(net).__name__} has the networks {modules}, and a file keeps only "
            "`module_`. Pickle the estimator instead."
        )
    learnt = [name for loss in net.parts_.criteria.values() for name, _ in loss.named_parameters()]
    if learnt:
        warn_user(
            f"the loss has learnt weights ({', '.join(learnt[:3])}), which a file does not keep: "
            "predictions do without, and training that goes on begins them anew. Pickle the "
            "estimator to keep them."
        )
    # Second norm layers go with norm="aux"; training on under another norm drops them.
    left_out = set() if net.norm == "aux" else auxiliary_keys(net.module_)
    weights = net.module_.state_dict()
    kept = {name: tensor for name, tensor in weights.items() if name not in left_out}
    write_file(full_path(path), facts_of(net), kept)


def load_net(cls: type, path: Any, module: Any, given: dict[str, Any]) -> Any:
    """Return the estimator that a file holds; see `OPeNClassifier.load`."""
    path = full_path(path)
    facts, weights = read_file(path)
    with _blamed_on_the_file(path):
        saved = SavedFacts.checked(cls, facts)
        check_settings(cls(**saved.params))
    given = given if module is None else {"module": module, **given}
    net = cls(**_parameters(saved, path, given))
    check_settings(net)
    _check_device(net)
    if not given.keys() <= set(OF_THE_MACHINE):  # it may be them that something does not fit
        return _revived(net, saved, weights)
    with _blamed_on_the_file(path):
        net = _revived(net, saved, weights)
        _check_it_predicts(net)
    return net


@contextmanager
def _blamed_on_the_file(path: Path) -> Iterator[None]:
    """Say that it is because of the file, whatever is raised."""
    try:
        yield
    except Exception as error:
        raise SavedFileError(
            f"{path} does not describe an estimator that can be made here: "
            f"{str(error).rstrip('.')}. Save the estimator again, or load it with the versions of "
            "the libraries that wrote it."
        ) from error


# --- parameters ---


def _parameters(saved: SavedFacts, path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the file, and over them those given; refuse if some are missing."""
    instances = {name for name, value in given.items() if isinstance(value, nn.Module)}
    missing = {
        name: what
        for name, what in saved.missing.items()
        if name not in given and component(name) not in instances
    }
    _check_nothing_needed(missing, path)
    # Parameters of what is at its default now were not for it, nor those of what is made already.
    left = {n for n in saved.params if "__" in n and component(n) in missing and n not in given}
    made = {n for n in saved.params if "__" in n and component(n) in instances}
    if missing:
        warn_user(
            f"{path} could not hold these parameters, which are at their defaults now: "
            f"{', '.join(sorted({*missing, *left}))}. Predictions do not depend on them; pass them "
            "to load if you go on training."
        )
    kept = {name: value for name, value in saved.params.items() if name not in left | made}
    if getattr(given.get("resampler"), "delta", None) is not None:
        kept.pop("delta", None)  # whoever brings a sampler brings its delta
    params = kept | given
    if fetches_weights(params.get("module")):
        for name in set(PRETRAINED) - given.keys():
            params.pop(name, None)
    return params


def _check_nothing_needed(missing: dict[str, str], path: Path) -> None:
    if "module" in missing:
        raise ValueError(
            f"{path} holds the weights of a network made by {missing['module']}, and files do not "
            "hold code. Pass what makes the network, as it was passed to the estimator that was "
            "saved: load(path, module=...)."
        )
    needed = [name for name in sorted(missing) if row_of(name).predicts]
    if needed:
        was = ", ".join(f"{name} ({missing[name]})" for name in needed)
        raise ValueError(
            f"{path} could not hold parameters that predictions depend on: {was}. Pass them as "
            f"they were: load(path, {', '.join(f'{name}=...' for name in needed)})."
        )


def _check_device(net: FittedNet) -> None:
    if net.device is not None:
        torch.empty(0, device=net.device)  # or what torch says of it


# --- the estimator ---


def _revived(net: FittedNet, saved: SavedFacts, weights: dict[str, torch.Tensor]) -> FittedNet:
    """Make an estimator as it was after `fit`."""
    net.classes_inferred_, net.class_names_ = saved.classes, saved.class_names
    net.image_shape_ = saved.image_shape
    net.n_features_in_ = int(np.prod(saved.image_shape))
    if saved.class_count is not None:
        net.class_count_ = saved.class_count
    for name, number in saved.settled.items():
        setattr(net, f"{name}_", number)
    if saved.image_reader is not None:
        net.image_reader_ = saved.image_reader
    if saved.feature_names is not None:
        net.feature_names_in_ = saved.feature_names
    # Augmentation and noise are those of a training, which makes them from the parameters.
    net.transform_ = BatchTransform(saved.scale, saved.mean, saved.std, None, None, saved.seed)
    net.initialize_from_seed(saved.seed)
    if not auxiliary_keys(net.module_) <= weights.keys():  # of a training without noise
        drop_auxiliary(net.module_, list(net.parts_.optimizers.values()))
        revert_norm(net.module_)
    if net.norm != "aux":  # a parameter given to `load`; predictions need no second layers
        own = net.module_.state_dict()
        weights = {n: w for n, w in weights.items() if n in own or ".auxiliary." not in f".{n}"}
    _check_weights_fit(net.module_, weights)
    net.module_.load_state_dict(weights)
    for name, parameter in net.module_.named_parameters():
        parameter.requires_grad_(name not in saved.frozen)
    net.history_ = History([{**epoch, "batches": []} for epoch in saved.history])
    return net


def _check_weights_fit(module: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    needed = module.state_dict()
    wrong = [f"the file has no {name}" for name in needed if name not in weights]
    # Files give their tensors in any order.
    wrong += [f"the network has no {name}" for name in sorted(weights) if name not in needed]
    for name, tensor in needed.items():
        there, here = (_kind(one) for one in (weights.get(name, tensor), tensor))
        if there != here:
            wrong.append(f"{name} is {there} in the file and {here} in the network")
    if wrong:
        raise ValueError(
            f"the weights in the file are not those of the network {type(module).__name__}: "
            f"{'; '.join(wrong[:3])}{'; ...' if len(wrong) > 3 else ''}. Pass the module, and its "
            "parameters (module__...), that were saved."
        )


def _kind(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def _check_it_predicts(net: FittedNet) -> None:
    """Predict on a blank row, as parameters of predictions are looked at nowhere before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no column names
        blank = np.zeros((1, *net.image_shape_), dtype=np.uint8)
        NeuralNetClassifier.predict_proba(net, blank)  # skorch's, which lets NaN pass
