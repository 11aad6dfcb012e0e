"""Weights of a local file, put into a network by name, whatever library the network is of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from sklearn_open._checks import listed
from sklearn_open._training.heads import make_with_fresh_head, plain_call, tell_of_fresh_head
from sklearn_open.backbones._class_layers import class_layers
from sklearn_open.backbones._weight_files import is_weight_file, read_weight_file

__all__ = ["make_network", "make_with_file"]


def make_network(maker: Callable[..., Any], params: dict[str, Any]) -> Any:
    """Call what makes a network; ``weights=<file>`` and ``weights=None`` are read here.

    Parameters
    ----------
    maker : callable
        Makes the network. Makers of torchvision and timm read no files by that name, nor do this
        library's, but for one that has a parameter `weights`; what others do with it is theirs.
    params : dict
        What it is called with.
    """
    if "weights" in params and _reads_none(maker):
        whole, merged = plain_call(maker, params)
        if is_weight_file(merged["weights"]):
            return make_with_file(whole, merged)
        if merged["weights"] is None:
            maker, params = whole, {n: v for n, v in merged.items() if n != "weights"}
    return make_with_fresh_head(maker, params)


def _reads_none(maker: Callable[..., Any]) -> bool:
    function = getattr(maker, "func", maker)
    home = getattr(function, "__module__", None) or ""
    if home.startswith("sklearn_open.backbones."):
        return "weights" not in inspect.signature(function).parameters
    return home.startswith(("torchvision.models", "timm."))


def make_with_file(maker: Callable[..., Any], params: dict[str, Any]) -> nn.Module:
    """Make a network and load a file into it, but for a last layer that the file does not fit.

    Parameters
    ----------
    maker : callable
        Makes the network.
    params : dict
        What it is called with; ``weights`` is the file.

    Raises
    ------
    ValueError
        When there is no such file, or it holds something else, or another network's weights.

    Warns
    -----
    UserWarning
        With the names of layers whose weights are fresh.
    """
    file = params["weights"]
    clashing = [n for n in ("pretrained", "checkpoint_path") if params.get(n)]
    if clashing:
        raise ValueError(
            f"weights={str(file)!r} and {clashing[0]}={params[clashing[0]]!r} both say where the "
            f"weights come from. Pass one of module__weights and module__{clashing[0]}."
        )
    given = read_weight_file(file)
    params = {name: value for name, value in params.items() if name != "weights"}
    made = maker(**params)
    own = made.state_dict()
    heads = class_layers(maker, params)
    fresh = [head for head in heads if not _fits(own, given, head)]
    kept = _without(given, fresh)
    _check_fits(_without(own, fresh), kept, made, str(file))
    made.load_state_dict(kept, strict=False)
    if fresh:
        widths = [given[name] for name in given if name in own and _is_of(name, fresh)]
        n_known = len(widths[0]) if widths else None
        n_classes = params.get("num_classes", params.get("n_classes"))
        tell_of_fresh_head(made, fresh, n_known, n_classes)
    return made


def _is_of(name: str, layers: Iterable[str]) -> bool:
    return any(name == layer or name.startswith(f"{layer}.") for layer in layers)


def _without(state: dict[str, torch.Tensor], layers: list[str]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if not _is_of(name, layers)}


def _fits(own: dict[str, torch.Tensor], given: dict[str, torch.Tensor], layer: str) -> bool:
    """Whether a layer's tensors are all there, with these shapes, and no others."""
    shapes, others = (
        {name: tensor.shape for name, tensor in state.items() if _is_of(name, [layer])}
        for state in (own, given)
    )
    return shapes == others


def _check_fits(
    own: dict[str, torch.Tensor], given: dict[str, torch.Tensor], made: nn.Module, file: str
) -> None:
    # Files from before torch counted batches lack the counters; batch norms of a fixed momentum do
    # not read them.
    missing = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in own]
    other = [n for n in own if n in given and own[n].shape != given[n].shape]
    if not missing and not unknown and not other:
        return
    found = [
        f"{len(names)} {what} ({listed(names[:3])}{', ...' if len(names) > 3 else ''})"
        for names, what in ((missing, "missing"), (unknown, "unknown"), (other, "of another shape"))
        if names
    ]
    raise ValueError(
        f"weights={file!r} do not fit {type(made).__name__}: of its tensors there are "
        f"{', '.join(found)}. {_advice(own, given, missing + unknown, other, made)}"
    )


def _advice(
    own: dict[str, torch.Tensor],
    given: dict[str, torch.Tensor],
    names: list[str],
    shapes: list[str],
    made: nn.Module,
) -> str:
    first = shapes[0] if shapes else ""
    is_stem = len(shapes) == 1 and not names and own[first].ndim == 4
    if is_stem and own[first].shape[1] != given[first].shape[1]:
        channels, wanted = own[first].shape[1], given[first].shape[1]
        advice = (
            f"The images have {channels} channel{'s' * (channels != 1)}, and the weights are for "
            f"{wanted}. Pass images of {wanted}: for grey ones numpy.repeat(X[:, None], {wanted}, "
            'axis=1), or read files with mode="RGB".'
        )
        if type(made).__module__.startswith("timm."):
            advice += (
                " timm itself adapts a first layer: module__pretrained=True, "
                "module__pretrained_cfg_overlay=dict(file=<path>)."
            )
        return advice
    advice = "Pass the state dict of this very network, with the parameters that it was made with"
    if type(made).__module__.startswith("timm."):
        return f"{advice}, or module__checkpoint_path=<path>, where timm translates other names."
    return f"{advice} (module__<name>), or the name of the network that the file is of."
