"""The cosine classifier: logits from angles, so that no class gains by long weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open._checks import is_number

__all__ = ["CosineClassifier"]

# Forms of the papers that use one: scale, whether it is trained, whether features are squashed.
_FORMS = {
    "learnable": (10.0, True, False),
    "oltr": (16.0, False, True),
    "ldam": (30.0, False, False),
}


class CosineClassifier(nn.Module):
    r"""Linear layer without offsets on directions: logit c is s cos(x, w_c) [1]_.

    Classes with many images get long weight vectors in a linear layer, those with few get short
    ones; here only directions count.

    Parameters
    ----------
    in_features : int
        Length of a feature vector.
    num_classes : int
        Number of logits.
    scale : {"learnable", "oltr", "ldam"} or float, default="learnable"
        The factor s. The OPeN paper does not say which.

        - "learnable": a parameter that starts at 10 [1]_.
        - "oltr": 16, and features keep something of their length: x / \|x\| is multiplied by
          \|x\| / (1 + \|x\|) [2]_.
        - "ldam": 30 [3]_.
        - A number above 0 stays as it is.

    Raises
    ------
    ValueError
        If `scale` is none of these.

    Notes
    -----
    Input is (n, in_features), output (n, num_classes) logits in [-s, s]. Weights start uniform
    within 1 / sqrt(in_features), as torch's linear layer does and [2]_. A feature vector of zeros
    has logits of zero.

    References
    ----------
    .. [1] S. Gidaris, N. Komodakis, "Dynamic Few-Shot Visual Learning without Forgetting",
       CVPR 2018.
    .. [2] Z. Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019.
    .. [3] K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin
       Loss", NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import CosineClassifier
    >>> logits = CosineClassifier(in_features=5, num_classes=3, scale=8)(torch.ones(2, 5))
    >>> logits.shape, bool(logits.abs().max() <= 8)
    (torch.Size([2, 3]), True)
    """

    def __init__(
        self, in_features: int, num_classes: int, scale: str | float = "learnable"
    ) -> None:
        super().__init__()
        start, trained, self.squash = _form(scale)
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        bound = in_features**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        if trained:
            self.scale = nn.Parameter(torch.tensor(start))
        else:  # in the state dict as well: a network that is loaded has the scale it was trained at
            self.register_buffer("scale", torch.tensor(start))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of features (n, in_features)."""
        directions = _directions(x)
        if self.squash:
            length = x.norm(dim=1, keepdim=True)
            directions = directions * (length / (1 + length))
        return self.scale * F.linear(directions, _directions(self.weight))

    def get_extra_state(self) -> torch.Tensor:
        """Return what a state dict has besides weights and scale: whether features are squashed.

        No buffer, as `forward` would wait for a GPU to say what it is.
        """
        return torch.tensor(self.squash)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Take it from a state dict."""
        self.squash = bool(state)

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        num_classes, in_features = self.weight.shape
        trained = " (trained)" if isinstance(self.scale, nn.Parameter) else ""
        scale = "?" if self.scale.is_meta else f"{self.scale.item():g}"
        return f"{in_features}, {num_classes}, scale={scale}{trained}, squash={self.squash}"


def _directions(x: torch.Tensor) -> torch.Tensor:
    # torch's 1e-12 is 0 as float16, and vectors of zeros would become NaN.
    return F.normalize(x, eps=max(1e-12, torch.finfo(x.dtype).tiny))


def _form(scale: str | float) -> tuple[float, bool, bool]:
    if isinstance(scale, str) and scale in _FORMS:
        return _FORMS[scale]
    if is_number(scale) and 0 < scale < float("inf"):
        return float(scale), False, False
    names = ", ".join(map(repr, _FORMS))
    raise ValueError(
        f"scale={scale!r} is no scale of a cosine classifier. Pass one of {names}, or a number "
        "above 0."
    )
