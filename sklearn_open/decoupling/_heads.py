"""The head of a network: found in it, begun anew, scaled, and one linear layer again at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from sklearn_open._checks import is_number
from sklearn_open.backbones import CosineClassifier
from sklearn_open.nn._modes import in_eval_mode
from sklearn_open.nn._outputs import main_output

__all__ = [
    "ScaledHead",
    "check_is_linear",
    "check_is_plain",
    "check_tau",
    "find_head",
    "fresh_head",
    "normalized_head",
    "put_head",
]


def find_head(network: nn.Module, rows: torch.Tensor) -> str:
    """Return the name of the layer whose output are the network's logits.

    Parameters
    ----------
    network : torch.nn.Module
        Whatever lies before that layer is the backbone.
    rows : torch.Tensor
        A few rows as it takes them.

    Raises
    ------
    ValueError
        When the last thing that it does is not a linear layer or a cosine classifier.
    """
    outputs: dict[str, list[torch.Tensor]] = {}
    hooks = []
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Linear, CosineClassifier)) and name:

            def keep(_: Any, __: Any, output: torch.Tensor, name: str = name) -> None:
                outputs.setdefault(name, []).append(output)

            hooks.append(layer.register_forward_hook(keep))
    try:
        with in_eval_mode(network), torch.no_grad():
            logits = main_output(network(rows))
    finally:
        for hook in hooks:
            hook.remove()
    found = [name for name, calls in outputs.items() if calls[-1] is logits]
    if found and len(outputs[found[-1]]) > 1:
        raise ValueError(
            f"{type(network).__name__} calls its last layer, {found[-1]!r}, more than once, so it "
            "is a part of the backbone, too, and cannot be trained on its own. Give the network a "
            "last layer that it calls once."
        )
    if not found:
        raise ValueError(
            f"the logits of {type(network).__name__} are not the output of a linear layer (or of a "
            "CosineClassifier) that is a part of it, so there is no head to train on its own. Give "
            "the network such a last layer; nothing may follow it, not even a reshape."
        )
    return found[-1]


def put_head(network: nn.Module, name: str, head: nn.Module) -> None:
    """Put a layer in the place of another one of a network, under all of its names."""
    old = network.get_submodule(name)
    names = [at for at, layer in network.named_modules(remove_duplicate=False) if layer is old]
    for place in names:
        parent, _, own = place.rpartition(".")
        setattr(network.get_submodule(parent), own, head)


def fresh_head(head: Any, n_classes: int) -> nn.Module:
    """Return a layer of the same kind as a head, with weights as they begin.

    Parameters
    ----------
    head : torch.nn.Linear or CosineClassifier
    n_classes : int
        How many logits it is to give; the old one may be for others.
    """
    like = {"device": head.weight.device, "dtype": head.weight.dtype}
    if isinstance(head, nn.Linear):
        return nn.Linear(head.in_features, n_classes, bias=head.bias is not None, **like)
    learnt = isinstance(head.scale, nn.Parameter)
    scale = "learnable" if learnt else head.scale.item()
    made = CosineClassifier(head.weight.shape[1], n_classes, scale)
    made.squash = head.squash
    return made.to(**like)


class ScaledHead(nn.Module):
    r"""A linear layer, and a learnt factor for each of its logits: learnable weight scaling.

    Logit c is :math:`v_c (w_c^T x + b_c)` [1]_ [2]_.

    Parameters
    ----------
    linear : torch.nn.Linear
        Taken as it is, not copied.

    References
    ----------
    .. [1] B. Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition",
       ICLR 2020, section 4.4.
    .. [2] Z. Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.scale = nn.Parameter(torch.ones_like(linear.weight[:, 0]))

    @property
    def weight(self) -> torch.Tensor:
        """Those of the layer: networks may ask their head for its dtype."""
        return self.linear.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """Those of the layer."""
        return self.linear.bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes)."""
        return self.scale * self.linear(features)

    def folded(self) -> nn.Linear:
        """Return the linear layer that does the same."""
        weight, bias, scale = self.linear.weight, self.linear.bias, self.scale
        made = nn.Linear(
            weight.shape[1], len(weight), bias is not None, weight.device, weight.dtype
        )
        with torch.no_grad():
            made.weight.copy_(weight * scale[:, None])
            if bias is not None:
                made.bias.copy_(bias * scale)
        return made


def check_tau(tau: Any) -> None:
    """Raise ValueError unless `tau` is a power that weights can be divided by."""
    if not is_number(tau) or not abs(float(tau)) < 1e3:
        raise ValueError(f"tau={tau!r}: pass a number, as a rule from 0 to 1, or None.")


def normalized_head(head: Any, tau: Any) -> nn.Linear:
    r"""Return a linear layer whose weights are divided by their length to the power `tau`.

    Tau-normalisation: :math:`w_c / \|w_c\|^\tau`, without offsets, as in its authors' code.

    Parameters
    ----------
    head : torch.nn.Linear
    tau : float
        0 changes no weight, 1 makes all of them of length 1.
    """
    made = nn.Linear(head.in_features, head.out_features, head.bias is not None)
    with torch.no_grad():
        lengths = head.weight.norm(dim=1, keepdim=True).clamp_min(torch.finfo().tiny)
        made.weight.copy_(head.weight / lengths**tau)
        if head.bias is not None:
            made.bias.zero_()
    return made.to(head.weight.device)


def check_is_linear(head: nn.Module, what: str) -> None:
    """Refuse cosine heads for what is about the lengths of weights.

    Raises
    ------
    ValueError
        For a cosine head.
    """
    if isinstance(head, CosineClassifier):
        raise ValueError(
            f"{what}, and the head of this network is a CosineClassifier, whose logits do not "
            "depend on them. Use a network with a linear head (module__head='linear')."
        )


def check_is_plain(head: nn.Module) -> None:
    """Refuse heads whose weights are computed from others, where a plain one would replace them.

    Raises
    ------
    ValueError
        For a head with parametrizations (weight norm, spectral norm).
    """
    if is_parametrized(head):
        raise ValueError(
            "the head of this network is parametrized (weight norm, spectral norm, ...), and a "
            "plain layer would take its place. Use head='kept' without weight_scaling and tau, or "
            "remove the parametrization."
        )
