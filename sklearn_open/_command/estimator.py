"""From the command line to what all methods have in common: network, schedule, augmentation."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from sklearn_open._persistence.facts import fetches_weights
from sklearn_open.augment import check_augment
from sklearn_open.backbones._names import find_maker
from sklearn_open.recipes import fine_tuning_parameters

__all__ = ["RECIPE", "check_training", "settings_of"]

RECIPE = "folder"
TUNING_LR = 0.01  # of the last layer, where the others are pretrained
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what its pixels were normalised by
BACKBONE_SHARE = 0.1  # of that, for the others


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that were given on the command line.

    Parameters
    ----------
    args : argparse.Namespace

    Raises
    ------
    ValueError
        For weights that are not those of the network.
    """
    settings: dict[str, Any] = {"random_state": args.seed, "device": args.device}
    if args.augment is not None:
        settings["augment"] = None if args.augment == "none" else args.augment
    if args.weights is None:
        given = {"module": args.module, "lr": args.lr}
        return settings | {name: value for name, value in given.items() if value is not None}
    lr = args.lr or TUNING_LR
    tuned = fine_tuning_parameters(
        args.module,
        args.weights,
        lr=lr,
        backbone_lr=args.backbone_lr or lr * BACKBONE_SHARE,
        freeze=args.freeze,
    )
    if fetches_weights(args.module):  # of torchvision and timm: trained on ImageNet
        tuned["normalize"] = IMAGENET
    return settings | tuned


def check_training(args: argparse.Namespace) -> None:
    """Refuse arguments that do not go together, before images are read.

    Raises
    ------
    ValueError
        With what to pass.
    """
    if args.weights is None and (args.backbone_lr is not None or args.freeze):
        raise ValueError(
            "--backbone-lr and --freeze are for networks that were trained before: pass --module "
            "and --weights, the file of their weights."
        )
    if args.weights is not None and args.module is None:
        raise ValueError("--weights needs --module, the name of the network that they are of.")
    if args.module is not None:
        find_maker(args.module)
    try:
        torch.empty(0, device=None if args.device == "auto" else args.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device {args.device}: torch says {reason}") from error
    if args.augment not in (None, "none"):
        check_augment(args.augment)
