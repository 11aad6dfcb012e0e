"""Count what a training step sends from rank to rank. Nothing is sent, and nothing is timed.

    python examples/benchmarks/traffic.py --out results/scaling/traffic.json

One step of each network runs through the code of ``distributed=True``, with ranks that count. It is
the share of the first of as many ranks as give it four rows of the batch: "plain" is a step before
`start_epoch`, a quarter of the rows of the others is noise. Bytes are those that one rank hands
over; what then travels depends on how a library does it, as `scaling_tables.py` reckons. Images
are smaller than those that are trained on, as the bytes do not depend on it; the operations of a
step are those of the full size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _common import make_parser, parse, print_table, report
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50
from torchvision.models.resnet import Bottleneck, ResNet

from sklearn_open._distributed.gradients import average_gradients
from sklearn_open._distributed.ranks import Ranks
from sklearn_open._distributed.whole_batch import forward_together
from sklearn_open.backbones import SmallCNN, resnext50_cosine, wrn28_10
from sklearn_open.batching._batches import Batch
from sklearn_open.batching._share import Share
from sklearn_open.nn import convert_norm

KINDS = {"plain": None, "noise, head": "head", "noise, all": "all"}
ROWS_OF_RANK = 4
SIDE = 64  # of the images that go through a network to count what it sends


def resnext101() -> nn.Module:
    """Return ResNeXt-101-32x4d, for which others have published times."""
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=4)


# Networks with their classes, the rows of a batch and the side of an image in the paper.
TRAINED: dict[str, tuple[Callable[..., nn.Module], int, int, int]] = {
    "WRN-28-10": (wrn28_10, 10, 128, 32),
    "ResNeXt-50": (resnext50_cosine, 1000, 256, 224),
}
QUICK = {"SmallCNN": (SmallCNN, 10, 16, 32)}
# Networks whose training others have timed.
TIMED = {"ResNet-50": (resnet50, 224), "ResNeXt-101-32x4d": (resnext101, 224)}


class CountingRanks(Ranks):
    """Ranks of which there is only the first: it counts what it would hand over.

    Attributes
    ----------
    part : str
        Of a step, that is going on.
    sent : dict
        Calls and bytes, by part and collective.
    """

    def __init__(self, n_ranks: int) -> None:
        self.share = Share(0, n_ranks)
        self.part = ""
        self.sent: dict[str, dict[str, int]] = {}

    @property
    def are_grouped(self) -> bool:
        """Whether others are thought of."""
        return True

    def add_up(self, tensor: torch.Tensor) -> None:
        """Count a sum."""
        self._count("all-reduce", tensor)

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count a gathering."""
        self._count("all-gather", tensor)
        return tensor[None]

    def _count(self, collective: str, tensor: torch.Tensor) -> None:
        found = self.sent.setdefault(f"{self.part}, {collective}", {"calls": 0, "bytes": 0})
        found["calls"] += 1
        found["bytes"] += tensor.numel() * tensor.element_size()


NAMES = {  # of what is sent, by the part of a step and the collective
    "forward, all-gather": "norm, forward",
    "forward, all-reduce": "logits",
    "backward, all-reduce": "norm, backward",
    "gradients, all-reduce": "gradients",
}


def traffic(network: nn.Module, kind: str, n_classes: int, n_rows: int) -> dict[str, Any]:
    """Return what one step sends, by what it is."""
    if KINDS[kind] is not None:
        convert_norm(network, noise_grad=KINDS[kind])
    ranks = CountingRanks(n_rows // ROWS_OF_RANK)
    n_noise = 0 if KINDS[kind] is None else n_rows // 4
    y = torch.arange(n_rows) % n_classes
    natural, noise = ranks.share.rows(n_rows - n_noise, n_noise)
    n_own = natural.stop - natural.start + noise.stop - noise.start
    x = torch.randn(n_own, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    ranks.part = "forward"
    logits = forward_together(network, x, Batch(x, y, n_noise, share=ranks.share), ranks)
    ranks.part = "backward"
    F.cross_entropy(logits, y).backward()
    ranks.part = "gradients"
    average_gradients(network.parameters(), ranks)
    return {NAMES[name]: found for name, found in ranks.sent.items()}


def gflop_per_image(network: nn.Module, side: int, n_rows: int = 2) -> float:
    """Return the operations of plain training per image: three times those of the forward pass.

    (torch's counter takes the backward pass of grouped convolutions for that of others.)
    """
    x = torch.randn(n_rows, 3, side, side, device="meta")
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(x)
    return round(3 * counter.get_total_flops() / n_rows / 1e9, 2)


def results_of(trained: Any, timed: Any) -> list[dict[str, Any]]:
    """Return what steps send, then the operations of networks that others have timed."""
    results: list[dict[str, Any]] = []
    for name, (make, n_classes, n_rows, side) in trained.items():
        options = {"in_channels": 3} if make is SmallCNN else {}
        facts = {"network": name, "classes": n_classes, "rows": n_rows, "side": side}
        network = make(num_classes=n_classes, **options).train()
        facts["parameters"] = sum(p.numel() for p in network.parameters())
        layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        facts["norm_layers"] = len(layers)
        facts["norm_channels"] = sum(layer.num_features for layer in layers)
        facts["gflop_per_image"] = gflop_per_image(network, side)
        for kind in KINDS:
            network = make(num_classes=n_classes, **options).train()
            sent = traffic(network, kind, n_classes, n_rows)
            results.append({**facts, "step": kind, "sent": sent})
    for name, (make, side) in timed.items():
        results.append({"network": name, "gflop_per_image": gflop_per_image(make(), side)})
    return results


def main() -> None:
    """Count all steps."""
    args = parse(make_parser(__doc__))
    results = results_of(QUICK, {}) if args.quick else results_of(TRAINED, TIMED)
    report(args, __file__, results)
    for result in results:
        print(f"\n{result['network']}: {result['gflop_per_image']} Gflop per image")
        if "sent" in result:
            print(result["step"])
            rows = [[what, *map(str, found.values())] for what, found in result["sent"].items()]
            print_table([["", "calls", "bytes"], *rows])


if __name__ == "__main__":
    main()
