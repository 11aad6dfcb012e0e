"""Distribution-Aware Routing Batch Normalization (DAR-BN).

Section 3.2 of Zada, Benou and Irani, "Pure Noise to the Rescue of Insufficient Data", ICML 2022.
Natural rows and noise rows reach the layer in calls of their own (see `noise_route`), so the
layer never sees a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_open.nn._routed import RoutedNorm, is_single_value, routed_class
from sklearn_open.nn._synced import is_synced

__all__ = [
    "NOISE_GRADS",
    "DARBatchNorm1d",
    "DARBatchNorm2d",
    "DARBatchNorm3d",
    "DARNorm",
    "DARSyncBatchNorm",
    "check_noise_grad",
]

NOISE_GRADS = ("head", "all")

_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


def check_noise_grad(noise_grad: str) -> None:
    """Raise ValueError unless `noise_grad` is one of `NOISE_GRADS`."""
    if noise_grad not in NOISE_GRADS:
        raise ValueError(
            f"noise_grad={noise_grad!r} is unknown. Use 'head' (noise rows train only what lies "
            "behind the last norm layer) or 'all' (only gamma and beta ignore noise rows)."
        )


class DARNorm(RoutedNorm):
    r"""What makes a batch norm layer a DAR-BN layer; mixed in before the layer's own class.

    On the natural route, and always in eval mode, the layer is its base class, bit for bit. On
    the noise route of training mode, channel :math:`j` becomes (Eq. 11 and 13)

    .. math:: \gamma_j \, \frac{x_j - \mathrm{E}(x_j)}{\sqrt{\mathrm{Var}(x_j) + \epsilon}}
              + \beta_j

    with the mean and the *biased* variance of the noise rows alone. Running statistics are not
    touched, and :math:`\gamma, \beta` are constants. (The paper prints :math:`-\beta` in the
    equations and :math:`+\beta` in its listing; framework batch norm, and this layer, add it.)

    Attributes
    ----------
    noise_grad : {"head", "all"}
        "head" computes the noise branch without gradient, as the paper's listing does: noise rows
        then train only what lies behind the last norm layer. "all" treats only gamma and beta as
        constants, as Eq. 13 says: gradients flow through the normalisation into earlier layers.
    on_noise_route : bool
        Whether calls are noise rows now. Set by `noise_route`, not by hand.

    Notes
    -----
    The layer has the parameters, buffers and state-dict keys of its base class and no others.
    """

    prefix: ClassVar[str] = "DAR"
    noise_grad: str = "head"

    def _normalize_noise(self, x: torch.Tensor) -> torch.Tensor:
        if self.noise_grad == "head":
            with torch.no_grad():
                return self._with_constants(x)
        return self._with_constants(x)

    def _pass_noise(self, x: torch.Tensor) -> torch.Tensor:
        # The values are those of the base class; what gets gradients is as in training mode.
        if self.noise_grad == "head":
            with torch.no_grad():
                return super()._pass_noise(x)
        return self.base_class.forward(_noise_view(self, keep_statistics=True), x)  # type: ignore[arg-type]

    def _with_constants(self, x: torch.Tensor) -> torch.Tensor:
        if (
            is_single_value(x) and not is_synced()
        ):  # with those of other ranks it may be one of many
            return self._with_constants(torch.cat([x, x]))[:1]
        if self.base_class.forward is _BatchNorm.forward:  # all that it does is this call
            self._check_input_dim(x)  # type: ignore[attr-defined]
            weight, bias = _constant(self.weight), _constant(self.bias)  # type: ignore[attr-defined]
            return F.batch_norm(x, None, None, weight, bias, True, 0.0, self.eps)  # type: ignore[attr-defined]
        return self.base_class.forward(_noise_view(self), x)  # type: ignore[arg-type]

    def give_back(self) -> None:
        super().give_back()
        self.__dict__.pop("noise_grad", None)


def _constant(parameter: torch.Tensor | None) -> torch.Tensor | None:
    return None if parameter is None else parameter.detach()


def _noise_view(layer: Any, keep_statistics: bool = False) -> nn.Module:
    """Return the layer as its base class should see it for noise rows.

    For classes with a `forward` of their own. The view shares everything with the layer but holds
    constant gamma and beta, and no running statistics unless they are kept. Its base class's
    `forward` then does the arithmetic of Eq. 11 and 13 together with whatever else that class does
    (an activation, a sync across processes).
    """
    view: nn.Module = object.__new__(layer.base_class)
    # Tensors that are plain attributes are weights as well where torch replaces parameters by
    # values computed from them (pruning, DataParallel's replicas).
    for name, value in layer.__dict__.items():
        view.__dict__[name] = value.detach() if isinstance(value, torch.Tensor) else value
    constants = {name: _constant(p) for name, p in layer._parameters.items()}
    view.__dict__["_parameters"] = constants
    if keep_statistics:
        return view
    view.__dict__["_buffers"] = {
        name: None if name in _RUNNING else b for name, b in layer._buffers.items()
    }
    view.__dict__["track_running_stats"] = False
    return view


DARBatchNorm1d: Callable[..., nn.Module] = routed_class(DARNorm, nn.BatchNorm1d)
DARBatchNorm2d: Callable[..., nn.Module] = routed_class(DARNorm, nn.BatchNorm2d)
DARBatchNorm3d: Callable[..., nn.Module] = routed_class(DARNorm, nn.BatchNorm3d)
DARSyncBatchNorm: Callable[..., nn.Module] = routed_class(DARNorm, nn.SyncBatchNorm)
