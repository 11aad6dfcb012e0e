"""From the command line to what all methods have in common: network, schedule, augmentation."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["RECIPE", "settings_of"]

RECIPE = "folder"


def settings_of(args: argparse.Namespace, n_classes: int) -> dict[str, Any]:
    """Return the parameters that were given on the command line.

    Parameters
    ----------
    args : argparse.Namespace
    n_classes : int
        How many classes the images have.

    Raises
    ------
    ValueError
        For arguments that do not go together, for networks and weights that there are not.
    """
    settings: dict[str, Any] = {"random_state": args.seed, "device": args.device}
    if args.augment is not None:
        settings["augment"] = None if args.augment == "none" else args.augment
    if args.weights is None:
        if args.backbone_lr is not None or args.freeze:
            raise ValueError(
                "--backbone-lr and --freeze are for networks that were trained before: pass "
                "--module and --weights, the file of their weights."
            )
        if args.module is not None:
            settings["module"] = args.module
        return settings | ({} if args.lr is None else {"lr": args.lr})
    if args.module is None:
        raise ValueError("--weights needs --module, the name of the network that they are of.")
    rates = {} if args.lr is None else {"lr": args.lr}
    from sklearn_open.backbones import fine_tuning_parameters

    tuned = fine_tuning_parameters(
        args.module,
        args.weights,
        n_classes,
        backbone_lr=args.backbone_lr,
        freeze=args.freeze,
        **rates,
    )
    return {**settings, **tuned}
