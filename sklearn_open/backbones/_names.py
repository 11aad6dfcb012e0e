"""From a network's name, as `module` may be given, to what makes the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import sklearn_open.backbones as backbones
from sklearn_open._checks import near_names

__all__ = ["find_maker", "network_names"]


def find_maker(name: str) -> Callable[..., Any]:
    """Return the class or function that makes the network of a name.

    Parameters
    ----------
    name : str
        A network of `sklearn_open.backbones`, one of torchvision (with or without
        "torchvision:" before it), or "timm:" and one of timm.

    Raises
    ------
    ValueError
        If there is none of this name; near names are listed.
    ImportError
        For a network of timm where timm is not installed.
    """
    library, colon, rest = name.partition(":")
    if not colon:
        return _of_backbones_or_torchvision(name)
    if library == "torchvision":
        return _of_torchvision(rest, name, [], "of torchvision")
    if library == "timm":
        return _of_timm(rest, name)
    raise ValueError(
        f"module={name!r} names a library that is not known here. Use 'torchvision:<name>', "
        "'timm:<name>', or pass a class or function."
    )


def _of_backbones_or_torchvision(name: str) -> Callable[..., Any]:
    if name in network_names():
        return getattr(backbones, name)
    return _of_torchvision(name, name, network_names(), "of sklearn_open.backbones or torchvision")


def network_names() -> list[str]:
    """Return the names of the networks of `sklearn_open.backbones`."""
    layers = {"CosineClassifier"}  # a part of networks
    return [name for name in backbones.__all__ if name not in layers]


def _of_torchvision(name: str, shown: str, others: list[str], whose: str) -> Callable[..., Any]:
    from torchvision import models

    # Of torchvision's models those for classification: the list without `module` has others, too.
    known = models.list_models(module=models)
    if name not in known:
        raise _unknown(shown, name, [*others, *known], whose)
    return models.get_model_builder(name)


def _of_timm(name: str, shown: str) -> Callable[..., Any]:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"module={shown!r} needs timm, which is not installed. Run pip install timm."
        ) from error
    if not timm.is_model(name):
        raise _unknown(shown, name, timm.list_models(), "of timm", prefix="timm:")
    return partial(timm.create_model, name)


def _unknown(
    shown: str, name: str, known: Iterable[str], whose: str, prefix: str = ""
) -> ValueError:
    return ValueError(
        f"module={shown!r} is no network {whose}.{near_names(name, known, prefix)} Otherwise pass "
        "a class or a function that returns the network."
    )
