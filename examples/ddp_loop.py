"""Pure noise images in a DistributedDataParallel loop, on long-tailed digits.

    torchrun --nproc_per_node=2 examples/ddp_loop.py

The loop of `pytorch_loop.py` on several ranks, each with its share of every batch. Six lines are
about that, marked (1) to (6). Prints the test accuracy by class size, without noise and with it.
"""

import argparse
import os

import numpy as np
import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.v2 import Normalize

from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import make_long_tailed
from sklearn_open.metrics import equal_group_accuracy
from sklearn_open.nn import convert_norm, noise_route
from sklearn_open.torch_sampler import PureNoiseBatchSampler, PureNoiseDataset

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--epochs", type=int, default=60)
args = parser.parse_args()
half = args.epochs // 2
if "LOCAL_RANK" not in os.environ:
    parser.error("start me by torchrun --nproc_per_node=2, which tells each process its rank")

on_gpu = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu")
dist.init_process_group("nccl" if on_gpu else "gloo")  # (1)
rank, world = dist.get_rank(), dist.get_world_size()


def tensors(images, labels):
    """Images in [0, 1], channels first: not normalised yet, because noise comes first."""
    return torch.from_numpy(images[:, None] / 16).float(), torch.from_numpy(labels)


digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.3, random_state=0
)
X, y = tensors(*make_long_tailed(X, y, imbalance_ratio=50, random_state=0))
X_test, y_test = tensors(X_test, y_test)
mean, std = X.mean((0, 2, 3)), X.std((0, 2, 3), correction=0)
normalize = Normalize(mean.tolist(), std.tolist())
dataset = PureNoiseDataset(TensorDataset(X, y), noise=(mean, std), transform=normalize)


class Mixed(torch.nn.Module):
    """Both calls of the network in one: DistributedDataParallel is to be entered once a step."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images, is_noise, any_noise):
        logits = self.net(images[~is_noise])  # natural rows are the first of a batch
        # Synced norms wait for all ranks. So if one rank has noise rows, all make the call, those
        # that have none with no rows. (Where norms are not synced, forward_mixed is enough.)
        if any_noise:
            with noise_route(self.net):
                logits = torch.cat([logits, self.net(images[is_noise])])
        return logits


def make_net():
    torch.manual_seed(0)
    net = SmallCNN(num_classes=10, in_channels=1)
    if on_gpu:  # on CPUs torch has no synced norms: there each rank normalises by its own rows
        net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)  # (2)
    return convert_norm(net).to(device)


def train(start_epoch):
    """Train a network; epochs from `start_epoch` on are over-sampled, partly with noise."""
    net = make_net()
    ddp = DistributedDataParallel(Mixed(net), device_ids=[device] if on_gpu else None)  # (3)
    sampler = PureNoiseBatchSampler(
        y,
        batch_size=64,  # of all ranks together
        start_epoch=start_epoch,
        num_replicas=world,  # (4)
        rank=rank,
    )
    loader = DataLoader(dataset, batch_sampler=sampler)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [half, half + half // 2])
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        plan = sampler.epoch_plan(epoch)  # (5) that of all ranks
        for (images, labels, is_noise), (rows, n_noise) in zip(loader, plan.batches(), strict=True):
            logits = ddp(images.to(device), is_noise.to(device), n_noise > 0)
            loss = torch.nn.functional.cross_entropy(logits, labels.to(device), reduction="sum")
            # Gradients are averaged over ranks, whose shares differ by a row: not over means, but
            # over sums, so that it is the mean over all rows of the batch.
            loss = loss * world / len(rows)  # (6)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    return net.eval()


@torch.no_grad()
def report(name, net):
    y_pred = net(normalize(X_test).to(device)).argmax(1).cpu()
    groups = 100 * equal_group_accuracy(y_test, y_pred, y_train=y)
    accuracy = 100 * float((y_pred == y_test).float().mean())
    print(
        f"{name:<10} {accuracy:.1f}  by class group, smallest first: {groups.round(1)}", flush=True
    )


if rank == 0:
    print("training images per class:", np.bincount(y), flush=True)
for name, start_epoch in {"plain": args.epochs, "with noise": half}.items():
    net = train(start_epoch)
    if rank == 0:
        report(name, net)
dist.destroy_process_group()
