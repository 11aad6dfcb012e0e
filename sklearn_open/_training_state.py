"""The state that training has reached, as bytes: what `memory` and `checkpoint` keep in files.

It is a pickle, of the network's and the callbacks' own classes. For files that may come from
strangers there is `OPeNClassifier.save`.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sklearn_open._auxiliary import drop_auxiliary
from sklearn_open.nn import RoutedNorm, revert_norm

__all__ = ["dump_state", "ordinary_norm", "restore_state"]


def dump_state(net: Any) -> bytes:
    """Return network, criterion, optimiser, history, scaler and callbacks.

    Raises
    ------
    ValueError
        If one of them cannot be pickled.
    """
    names = [*net._modules, *net._criteria, *net._optimizers]
    parts = {f"{name}_": getattr(net, f"{name}_") for name in (*names, "history", "scaler")}
    callbacks = [callback for _, callback in net.callbacks_]
    buffer = io.BytesIO()
    try:
        torch.save((parts, callbacks), buffer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "memory= and checkpoint= keep network, criterion, optimizer and callbacks in a file, "
            "and one of them cannot be pickled. Define its class at the top of a module. It said: "
            f"{error}"
        ) from error
    return buffer.getvalue()


def restore_state(net: Any, state: bytes) -> None:
    """Take over what `dump_state` returned of a net with the same parameters."""
    parts, callbacks = torch.load(io.BytesIO(state), map_location=net.device_, weights_only=False)
    for name, part in parts.items():
        setattr(net, name, part)
    for (_, callback), reached in zip(net.callbacks_, callbacks, strict=True):
        callback.__dict__.update(reached.__dict__)  # in place: users hold on to theirs
    net._prepare_network()


@contextmanager
def ordinary_norm(net: Any) -> Iterator[None]:
    """Undo the conversion for a while: fits without noise have ordinary batch norm.

    For nets that have not trained with noise: auxiliary layers are new ones afterwards.
    """
    converted = any(isinstance(layer, RoutedNorm) for layer in net.module_.modules())
    drop_auxiliary(net)
    revert_norm(net.module_)
    try:
        yield
    finally:
        if converted:
            net._convert_norm()
