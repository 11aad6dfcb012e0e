"""The state that training has reached, as bytes: what `memory` and `checkpoint` keep in files.

Callbacks are pickled, so a file can run code when it is read. For files that may come from
strangers there is `OPeNClassifier.save`.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch

from sklearn_open._persistence.attributes import (
    buffers_of,
    kept_attributes,
    other_attributes,
    set_attributes,
    set_buffers,
)
from sklearn_open._protocols import Parts, TrainingNet

__all__ = ["dump_state", "restore_state"]

ON_SCREEN = ("print_log", "progress")  # callbacks that show this run, not an earlier one


def dump_state(net: TrainingNet, parts: Parts | None = None) -> bytes:
    """Return what training has changed: weights, optimiser, scaler, history, callbacks.

    Of networks and criteria these are parameters, whether they are trained, buffers, and attributes
    of layers that can be pickled.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised.
    parts : Parts or None, default=None
        What of it; None for all.

    Raises
    ------
    ValueError
        If a callback, or an optimiser's state, cannot be pickled.
    """
    parts = net.parts_ if parts is None else parts
    networks = {name: _network_state(network) for name, network in parts.networks.items()}
    others = {name: part.state_dict() for name, part in _with_states(parts).items()}
    buffer = io.BytesIO()
    try:
        callbacks = _pickled(net, [item for item in net.callbacks_ if item[0] not in ON_SCREEN])
        torch.save((_structure(parts), networks, others, net.history, callbacks), buffer)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise ValueError(
            "memory= and checkpoint= keep the state of callbacks and optimizer in a file, and one "
            "of them cannot be pickled. Define its class at the top of a module that is imported. "
            f"It said: {error}"
        ) from error
    return buffer.getvalue()


def restore_state(net: TrainingNet, state: bytes, parts: Parts | None = None) -> None:
    """Bring a net with the same parameters to where `dump_state` was called.

    Its objects stay the same ones: callbacks and hooks that hold on to network or optimiser go on
    doing so.
    """
    structure, networks, others, history, callbacks = torch.load(
        io.BytesIO(state), map_location=net.device_, weights_only=False
    )
    parts = net.parts_ if parts is None else parts
    _check_structure(_structure(parts), structure)
    for name, reached in networks.items():
        _set_network_state(parts.networks[name], reached)
    for name, part in _with_states(parts).items():
        part.load_state_dict(others[name])
    net.history = history
    ours = dict(net.callbacks_)
    for name, callback in _unpickled(net, callbacks):
        ours[name].__dict__.update(callback.__dict__)  # in place: users hold on to theirs


# --- networks ---


def _with_states(parts: Parts) -> dict[str, Any]:
    return {**parts.optimizers, "scaler_": parts.scaler}


def _network_state(module: torch.nn.Module) -> dict[str, Any]:
    return {
        "weights": {name: p.detach() for name, p in module.named_parameters()},
        "trained": {name: p.requires_grad for name, p in module.named_parameters()},
        "buffers": buffers_of(module),
        "attributes": kept_attributes(module),
    }


def _structure(parts: Parts) -> dict[str, dict[Any, str]]:
    """Return, by network and optimiser, what training must have left as it was made."""
    found: dict[str, dict[Any, str]] = {}
    for name, network in parts.networks.items():
        layers = {path: _kind(layer) for path, layer in network.named_modules()}
        weights = {f"{path} (weights)": str(p.shape) for path, p in network.named_parameters()}
        others = {".".join(at): what for at, what in other_attributes(network).items()}
        found[name] = {**layers, **weights, **others}
    for name, optimizer in parts.optimizers.items():
        groups = [str(len(group["params"])) for group in optimizer.param_groups]
        found[name] = {"": _kind(optimizer), "param_groups": ", ".join(groups)}
    return found


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _check_structure(own: dict[str, dict[Any, str]], reached: dict[str, dict[Any, str]]) -> None:
    for name in own:
        changed = {str(key) for key, _ in own[name].items() ^ reached.get(name, {}).items()}
        if changed:
            parts = ", ".join(sorted(changed)[:3]).strip(", ")
            raise ValueError(
                f"{name} is not as when its state was kept{f' ({parts})' if parts else ''}: a "
                "callback has added, removed or replaced it, or parts of it, which memory= and "
                "checkpoint= cannot do anew. Make it so from the beginning, or train without "
                "memory= and checkpoint=."
            )


def _set_network_state(module: torch.nn.Module, reached: dict[str, Any]) -> None:
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            parameter.copy_(reached["weights"][key])
            parameter.requires_grad_(reached["trained"][key])
    set_buffers(module, reached["buffers"])
    set_attributes(module, reached["attributes"])


# --- callbacks, which may hold the net and its parts ---


def _named(net: TrainingNet) -> dict[tuple[str, ...], Any]:
    """Return, by name, what callbacks may hold on to, and what is not pickled with them."""
    parts: dict[tuple[str, ...], Any] = {("net",): net, ("history",): net.history}
    for name, module in net.parts_.networks.items():
        parts |= {(name, "layer", path): layer for path, layer in module.named_modules()}
        parts |= {(name, "parameter", path): p for path, p in module.named_parameters()}
    return parts | {(name,): part for name, part in _with_states(net.parts_).items()}


def _pickled(net: TrainingNet, callbacks: list[Any]) -> bytes:
    names = {id(part): name for name, part in _named(net).items()}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return names.get(id(obj))

    buffer = io.BytesIO()
    Pickler(buffer).dump(callbacks)
    return buffer.getvalue()


def _unpickled(net: TrainingNet, content: bytes) -> list[Any]:
    parts = _named(net)

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            return parts[pid]

    callbacks: list[Any] = Unpickler(io.BytesIO(content)).load()
    return callbacks
