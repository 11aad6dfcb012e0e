"""Pure noise images with Lightning, on long-tailed digits.

    pip install lightning
    python examples/lightning_loop.py
    python examples/lightning_loop.py --devices 2

No estimator: a LightningModule whose training step calls `forward_mixed`. Lightning tells the
sampler the epoch by itself. With several devices each has its share of every batch. Prints the test
accuracy by class size, without noise and with it.
"""

import argparse
import logging
import warnings

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
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
parser.add_argument("--devices", type=int, default=1)
args = parser.parse_args()
half = args.epochs // 2
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def tensors(images, labels):
    """Images in [0, 1], channels first: not normalised yet, because noise comes first."""
    return torch.from_numpy(images[:, None] / 16).float(), torch.from_numpy(labels)


digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.3, random_state=0
)
X, y = tensors(*make_long_tailed(X, y, imbalance_ratio=50, random_state=0))
X_test, y_test = tensors(X_test, y_test)
statistics = X.mean((0, 2, 3)).tolist(), X.std((0, 2, 3), correction=0).tolist()
normalize = Normalize(*statistics)
train_set = PureNoiseDataset(TensorDataset(X, y), noise=statistics, transform=normalize)
test_set = PureNoiseDataset(TensorDataset(X_test, y_test), noise=statistics, transform=normalize)


class Classifier(lightning.LightningModule):
    def __init__(self, start_epoch):
        super().__init__()
        self.net = convert_norm(SmallCNN(num_classes=10, in_channels=1))
        self.start_epoch = start_epoch

    def train_dataloader(self):  # in this hook the trainer knows its rank, however it was launched
        sampler = PureNoiseBatchSampler(
            y,
            batch_size=64,
            start_epoch=self.start_epoch,
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )
        return DataLoader(train_set, batch_sampler=sampler)

    def training_step(self, batch, batch_idx):
        images, labels, is_noise = batch
        logits = forward_mixed(self.net, images, is_noise)
        # Gradients are averaged over ranks, whose shares differ by a row: not over means, but over
        # sums, so that it is the mean over all rows of the batch.
        n_rows = torch.tensor(float(len(labels)), device=self.device)
        n_rows = self.trainer.strategy.reduce(n_rows, reduce_op="sum")
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        return loss * self.trainer.world_size / n_rows

    def predict_step(self, batch, batch_idx):
        images, _, _ = batch
        return self.net(images).argmax(1)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [half, half + half // 2])
        return [optimizer], [scheduler]


@rank_zero_only
def report(name, y_pred):
    groups = 100 * equal_group_accuracy(y_test, y_pred, y_train=y)
    accuracy = 100 * float((y_pred == y_test).float().mean())
    print(
        f"{name:<10} {accuracy:.1f}  by class group, smallest first: {groups.round(1)}", flush=True
    )


rank_zero_only(print)("training images per class:", np.bincount(y), flush=True)
for name, start_epoch in {"plain": args.epochs, "with noise": half}.items():
    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=args.epochs,
        accelerator="cpu",
        devices=args.devices,
        strategy="ddp" if args.devices > 1 else "auto",
        use_distributed_sampler=False,  # the sampler shares the batches; each rank predicts all
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    model = Classifier(start_epoch)
    trainer.fit(model)
    report(name, torch.cat(trainer.predict(model, DataLoader(test_set, batch_size=256))))
