"""One training on several ranks, on long-tailed digits.

    torchrun --nproc_per_node=2 examples/several_ranks.py

The script is that of one process but for the three lines marked (1) to (3). Rank 0 prints the
accuracy by class size and saves the classifier; the numbers are those of one process
(``python examples/several_ranks.py``), up to rounding. For a loop of your own see `ddp_loop.py`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch.distributed as dist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.metrics import equal_group_accuracy

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--save", type=Path, help="file to save the classifier to")
args = parser.parse_args()

on_ranks = dist.is_torchelastic_launched()
if on_ranks:
    dist.init_process_group()  # (1) NCCL for GPUs, gloo for CPUs

digits = load_digits()  # every rank has all rows: batches are dealt to ranks in `fit`
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.3, random_state=0
)
X, y = make_long_tailed(X, y, imbalance_ratio=50, random_state=0)

clf = OPeNClassifier(
    max_epochs=args.epochs,
    batch_size=64,  # of all ranks together
    start_epoch=0.5,
    lr_milestones=(0.5, 0.75),
    lr_decay=0.1,
    distributed=on_ranks,  # (2)
    random_state=0,
    verbose=0,
).fit(X, y)

if not on_ranks or dist.get_rank() == 0:  # (3) predictions need no other rank, files one writer
    y_pred = clf.predict(X_test)
    groups = 100 * equal_group_accuracy(y_test, y_pred, y_train=y)
    print("training images per class:", np.bincount(y))
    print(f"loss of the last epoch: {clf.history[-1, 'train_loss']:.6f}")
    print(f"accuracy: {100 * np.mean(y_pred == y_test):.1f}")
    print(f"by class group, smallest first: {groups.round(1)}", flush=True)
    if args.save is not None:
        clf.save(args.save)
if on_ranks:
    dist.destroy_process_group()
