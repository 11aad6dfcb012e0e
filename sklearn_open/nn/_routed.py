"""What all norm layers have in common that know of two kinds of rows."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["RoutedNorm", "is_single_value", "routed_class"]

_CLASSES: dict[tuple[Any, Any], type[Any]] = {}  # (kind, base class) -> their mixture


class RoutedNorm:
    """A batch norm layer with a noise route; mixed in before the layer's own class.

    On the natural route, and always in eval mode, the layer is its base class, bit for bit.

    Attributes
    ----------
    on_noise_route : bool
        Whether calls are noise rows now. Set by `noise_route`, not by hand.
    """

    base_class: ClassVar[type[_BatchNorm]]
    prefix: ClassVar[str]  # of the names of the classes that are made
    on_noise_route: bool = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise rows of one kind: natural rows, or noise rows on the noise route."""
        if not self.on_noise_route:
            return super().forward(x)  # type: ignore[misc]
        if not self.training:  # type: ignore[attr-defined]
            return self._pass_noise(x)
        return self._normalize_noise(x)

    def _pass_noise(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise noise rows in eval mode: in prediction, or where the layer is held frozen."""
        return super().forward(x)  # type: ignore[misc]

    def _normalize_noise(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise noise rows in training mode."""
        raise NotImplementedError

    def take_over(self) -> None:
        """Add what the layer needs, once its class has changed."""
        self.on_noise_route = False  # on the layer itself: torch.compile guards what it finds

    def give_back(self) -> None:
        """Take away what `take_over` added."""
        self.__dict__.pop("on_noise_route", None)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # The class is made at run time, so pickle and deepcopy rebuild it from its parts.
        reduced = super().__reduce_ex__(protocol)
        kind = next(part for part in type(self).__mro__ if (part, self.base_class) in _CLASSES)
        return (_new_layer, (kind, self.base_class), *reduced[2:])


def _new_layer(kind: type[RoutedNorm], base: type[_BatchNorm]) -> Any:
    return object.__new__(routed_class(kind, base))


def routed_class(kind: type[RoutedNorm], base: Any) -> type[Any]:
    """Return the version of a batch norm class that is of a kind.

    Parameters
    ----------
    kind : type
        `DARNorm`, `AuxNorm` or `StandardNorm`.
    base : type
        `torch.nn.BatchNorm2d` or any other subclass of torch's batch norm that keeps torch's
        names for its parameters and buffers.

    Returns
    -------
    type
        A subclass of `kind` and `base`; the same object for the same two.
    """
    if (kind, base) not in _CLASSES:
        namespace = {"base_class": base, "__doc__": kind.__doc__, "__module__": kind.__module__}
        name = f"{kind.prefix}{base.__name__}"
        _CLASSES.setdefault((kind, base), type(name, (kind, base), namespace))
    return _CLASSES[kind, base]


def is_single_value(x: torch.Tensor) -> bool:
    """Whether there is one value per channel, which torch refuses to normalise.

    Seen twice it has the same mean and the same (zero) biased variance: the result is beta.
    """
    return x.numel() == x.shape[1]
