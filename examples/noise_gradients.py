"""Measure which parameters the loss of noise rows trains, with noise_grad="head" and "all".

A Wide ResNet at its initial weights, in float64, gets one training batch of natural and noise rows.
The loss is the mean over the batch, as in training; it is the sum of a natural and a noise part,
and the norm of either part's gradient is taken group of parameters by group:

    python examples/noise_gradients.py --json results/noise_gradients.json

"0" in the table is exact: no gradient, or a gradient of zeros.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import sklearn_open
from sklearn_open.backbones import WideResNet
from sklearn_open.nn import convert_norm, forward_mixed

N_CLASSES = 10
COLUMNS = ("natural rows", "noise, head", "noise, all")


def make_batch(n_natural: int, n_noise: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return normalised rows (n, 3, 32, 32), natural first, and labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n_natural, 3, 8, 8), generator=generator, dtype=torch.float64)
    natural = F.interpolate(coarse, size=32, mode="bilinear")  # neighbours alike, as in photos
    mean, std = natural.mean((0, 2, 3)), natural.std((0, 2, 3), correction=0)
    mean, std = mean[:, None, None], std[:, None, None]
    noise = torch.randn((n_noise, 3, 32, 32), generator=generator, dtype=torch.float64)
    noise = (noise * std + mean).clamp(0, 1)  # Eq. 3 and 4
    labels = torch.randint(N_CLASSES, (n_natural + n_noise,), generator=generator)
    return (torch.cat([natural, noise]) - mean) / std, labels


def parameter_groups(network: WideResNet) -> dict[str, list[nn.Parameter]]:
    """Return the parameters by where they are and what they do, from input to output."""
    groups: dict[str, list[nn.Parameter]] = {}
    for path, layer in network.named_modules():
        where = path.split(".")[0]
        names = {nn.Conv2d: f"{where}, convolutions", nn.Linear: "linear head"}
        for name, parameter in layer.named_parameters(recurse=False):
            if isinstance(layer, nn.BatchNorm2d):
                affine = "gamma" if name == "weight" else "beta"
                group = f"{'final norm' if where == 'bn' else where + ', norm'} {affine}"
            else:
                group = names[type(layer)]
            groups.setdefault(group, []).append(parameter)
    order = ("stem", "stage1", "stage2", "stage3", "final", "linear")
    return dict(
        sorted(groups.items(), key=lambda item: order.index(item[0].split(",")[0].split()[0]))
    )


def gradient_norms(
    noise_grad: str, args: argparse.Namespace
) -> tuple[dict[str, float], dict[str, float]]:
    """Return each group's gradient norm: of the natural rows' part of the loss, of the noise's."""
    torch.manual_seed(args.seed)
    network = WideResNet(args.depth, args.widen_factor, N_CLASSES).double()
    convert_norm(network, noise_grad=noise_grad)
    x, labels = make_batch(args.natural, args.noise, args.seed)
    is_noise = torch.arange(len(x)) >= args.natural
    logits = forward_mixed(network, x, is_noise)
    loss = F.cross_entropy(logits, labels, reduction="none") / len(x)
    groups = parameter_groups(network)

    def norms(part: torch.Tensor) -> dict[str, float]:
        network.zero_grad()
        part.backward(retain_graph=True)
        return {name: _norm(group) for name, group in groups.items()}

    return norms(loss[~is_noise].sum()), norms(loss[is_noise].sum())


def _norm(parameters: Sequence[nn.Parameter]) -> float:
    squares = [p.grad.square().sum().item() for p in parameters if p.grad is not None]
    return float(np.sqrt(sum(squares)))


def measure(args: argparse.Namespace) -> dict:
    """Return the gradient norms together with all that is needed to repeat them."""
    natural, head = gradient_norms("head", args)
    natural_again, everything = gradient_norms("all", args)
    assert natural == natural_again, "natural rows do not see the noise rows"
    return {
        "script": "examples/noise_gradients.py",
        "arguments": {name: value for name, value in vars(args).items() if name != "json"},
        "versions": {
            "sklearn_open": sklearn_open.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "gradient_norm": {
            name: dict(zip(COLUMNS, (natural[name], head[name], everything[name]), strict=True))
            for name in natural
        },
    }


def table(record: dict) -> str:
    """Return the gradient norms as text."""
    rows = record["gradient_norm"]
    width = max(map(len, rows)) + 2
    lines = [" " * width + "".join(f"{column:>15}" for column in COLUMNS)]
    for name, norms in rows.items():
        cells = (f"{norms[column]:.4f}" if norms[column] else "0" for column in COLUMNS)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--widen-factor", type=int, default=2)
    parser.add_argument("--natural", type=int, default=48, help="natural rows in the batch")
    parser.add_argument("--noise", type=int, default=16, help="noise rows in the batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the record")
    args = parser.parse_args(argv)
    record = measure(args)
    print(table(record))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
