"""Pure noise images in a plain PyTorch loop, on long-tailed digits.

    python examples/pytorch_loop.py

No estimator: a DataLoader, a network and an optimiser. Four lines are about noise, marked (1) to
(4). Prints the test accuracy by class size, without noise and with it.
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.v2 import Normalize

from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import make_long_tailed
from sklearn_open.metrics import equal_group_accuracy
from sklearn_open.nn import convert_norm, forward_mixed
from sklearn_open.torch_sampler import PureNoiseBatchSampler, PureNoiseDataset

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--workers", type=int, default=0)
args = parser.parse_args()
half = args.epochs // 2


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


def train(start_epoch):
    """Train a network; epochs from `start_epoch` on are over-sampled, partly with noise."""
    torch.manual_seed(0)
    sampler = PureNoiseBatchSampler(y, batch_size=64, start_epoch=start_epoch)  # (1)
    dataset = PureNoiseDataset(TensorDataset(X, y), noise=(mean, std), transform=normalize)  # (2)
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    net = convert_norm(SmallCNN(num_classes=10, in_channels=1))  # (3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [half, half + half // 2])
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        for images, labels, is_noise in loader:
            loss = torch.nn.functional.cross_entropy(
                forward_mixed(net, images, is_noise),  # (4)
                labels,
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    return net.eval()


@torch.no_grad()
def report(name, net):
    y_pred = net(normalize(X_test)).argmax(1)
    groups = 100 * equal_group_accuracy(y_test, y_pred, y_train=y)
    accuracy = 100 * float((y_pred == y_test).float().mean())
    print(
        f"{name:<10} {accuracy:.1f}  by class group, smallest first: {groups.round(1)}", flush=True
    )


print("training images per class:", np.bincount(y))
report("plain", train(start_epoch=args.epochs))
report("with noise", train(start_epoch=half))
