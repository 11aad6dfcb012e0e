"""Train several methods with several seeds, one after the other, as run.py does.

    python examples/reproduction/run_all.py --scale paper --data cifar10-images.zip --dry-run
    python examples/reproduction/run_all.py --scale paper --data cifar10-images.zip

Without ``--methods`` they are those that the paper compares in its tables, plain Balanced Softmax
and deferred over-sampling. Images are read once, and it goes seed by seed, so that a whole table is
there after the first. Results that exist are not computed again, and a command that was stopped
goes on.
``--dry-run`` trains nothing: it says what would be trained, for how many epochs.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
from itertools import product
from typing import Any

from experiments import METHODS, Experiment
from run import add_folders, add_ground, is_done, stages_of, train_and_write
from table import OTHERS

DEFAULT = ("erm", "rs", "drs", "open", *OTHERS)


def parse_args() -> tuple[list[Experiment], argparse.Namespace]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--methods", choices=[*METHODS], nargs="+", default=DEFAULT)
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add_ground(parser)
    add("--dry-run", action="store_true", help="only say what would be trained")
    add_folders(parser)
    args = parser.parse_args()
    fields = {field.name for field in dataclasses.fields(Experiment)} & vars(args).keys()
    common = {name: getattr(args, name) for name in fields}
    try:
        pairs = product(dict.fromkeys(args.seeds), dict.fromkeys(args.methods))
        experiments = [Experiment(method=name, seed=seed, **common) for seed, name in pairs]
        for experiment in experiments:
            experiment.classifier()  # a parameter that does not exist is told of now
    except (ValueError, TypeError) as error:
        parser.error(str(error))
    if args.data is not None and not args.data.exists():
        parser.error(f"There is no {args.data}.")
    return experiments, args


def described(experiment: Experiment) -> str:
    """Return what a training is: its network, and the epochs of its stages."""
    first, *more = stages_of(experiment.classifier())
    epochs = [f"{first.max_epochs} epochs"]
    epochs += [f"{stage.max_epochs} of a second stage" for stage in more]
    module = getattr(first.module, "__name__", first.module)
    return f"{experiment.name}: {module}, {' and '.join(epochs)}"


def main() -> None:
    """Train all that has not been trained."""
    experiments, args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    open_ones = [
        one for one in experiments if not is_done(args.out / f"{one.name}.json", one.classifier())
    ]
    if args.dry_run:
        print("\n".join(map(described, open_ones)))
        print(f"{len(open_ones)} of {len(experiments)} trainings are to be done.")
        return
    data: Any = open_ones[0].data(args.data) if open_ones else None
    for experiment in open_ones:
        train_and_write(experiment, data, args.out / f"{experiment.name}.json", args)


if __name__ == "__main__":
    main()
