"""Look at networks that run.py has trained: is what a method does more than moving the prior?

    python examples/reproduction/study.py --scale cpu_wrn16 --methods erm drs open --seeds 0 1 2

Nothing is trained here but linear probes. For each seed one JSON file is written, with what
`measures` has on the test set: of every method as it was trained, and with logits adjusted by the
strength that was best on validation rows, which ``run.py --validation`` has tried with seed 0; and
of the body of one network with the head of another, where both share their plain epochs.
`study_tables.py` makes tables and a figure.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from experiments import METHODS, RECIPES, SCALES, Experiment
from facts import code, data_digest, libraries, machine
from measures import (
    at_strength,
    crossed_probe,
    ranking,
    trade_off,
    trained_probe,
)
from run import model_path, write_result
from runs import best_strength

from sklearn_open import OPeNClassifier
from sklearn_open.decoupling._heads import find_head
from sklearn_open.plan import resolve_epoch

Data = tuple[Any, np.ndarray, Any, np.ndarray]


@dataclass
class Network:
    """A trained network, and what it makes of the test set.

    Parameters
    ----------
    clf : OPeNClassifier
        Loaded.
    tau : float
        Strength of logit adjustment, chosen on validation rows.
    proba, features : array
        Of the test set.
    """

    clf: OPeNClassifier
    tau: float
    proba: np.ndarray
    features: np.ndarray

    @property
    def head(self) -> torch.nn.Module:
        """The last linear layer."""
        return self.clf.module_.get_submodule(head_name(self.clf))

    @property
    def plain_losses(self) -> list[float]:
        """Training loss of every epoch before methods begin to differ."""
        clf = self.clf
        n_plain = resolve_epoch(clf.start_epoch, clf.max_epochs)
        return [epoch["train_loss"] for epoch in clf.history[:n_plain]]

    def shares_plain_epochs(self, other: Network) -> bool:
        """Whether both have gone on from one network: the losses are the same, digit by digit."""
        return bool(self.plain_losses) and self.plain_losses == other.plain_losses


def head_name(clf: Any) -> str:
    """Return the name of the last linear layer."""
    device = next(clf.module_.parameters()).device
    return find_head(clf.module_, torch.zeros(2, *clf.image_shape_, device=device))


def proba_and_features(clf: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities without logit adjustment, and what the last linear layer is fed."""
    seen = []
    head = clf.module_.get_submodule(head_name(clf))
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].float().cpu()))
    own = clf.logit_adjustment
    try:
        proba = clf.set_params(logit_adjustment=0.0).predict_proba(X)
    finally:
        hook.remove()
        clf.set_params(logit_adjustment=own)
    return proba, torch.cat(seen).numpy()


def proba_of_head(head: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    """Return the probabilities that a head gives of features, in float32."""
    device = next(head.parameters()).device
    with torch.no_grad():
        logits = head(torch.from_numpy(features).to(device))
    return logits.float().softmax(dim=1).cpu().numpy()


# --- from files ---


def needed(path: Path, experiment: Experiment) -> Path:
    """Return a path; refuse if run.py has not written there yet."""
    if not path.exists():
        flag = " --validation" if experiment.validation else ""
        flag += "" if experiment.epochs is None else f" --epochs {experiment.epochs}"
        raise SystemExit(
            f"{path} is missing. It is made by: run.py --recipe {experiment.recipe} --scale "
            f"{experiment.scale} --method {experiment.method} --seed {experiment.seed}{flag}"
            " and the same --data, --work and --out; a result that is there already must be moved "
            "away, as run.py trains nothing twice."
        )
    return path


def chosen_strength(experiment: Experiment, results: Path) -> float:
    """Return the strength of logit adjustment that was best on validation rows.

    Of all seeds that were trained for validation, of which 0 is one, as `overview.chosen_tau` does.
    """
    twin = replace(experiment, seed=0, validation=True)
    first = needed(results / f"{twin.name}.json", twin)
    paths = first.parent.glob(f"{first.stem.removesuffix('0')}*.json")
    found = [json.loads(path.read_text())["logit_adjusted"] for path in paths]
    taus = set.intersection(*map(set, found))
    return best_strength({float(tau): [so[tau]["accuracy"] for so in found] for tau in taus})


def check_same_training(clf: OPeNClassifier, path: Path, result: Path) -> None:
    """Refuse a network that is not of the training that a result is of: losses tell.

    A network of two stages has those of the first, and a result has both.
    """
    losses = [round(epoch["train_loss"], 4) for epoch in clf.history]
    if losses != json.loads(result.read_text())["train_loss"][: len(losses)]:
        raise SystemExit(
            f"{path} is not the network of {result}: they have other training losses. Move both "
            "away to train anew."
        )


def load_network(experiment: Experiment, args: argparse.Namespace, data: Data) -> Network:
    """Load what run.py has kept of an experiment, and let it predict the test set."""
    path = needed(model_path(args.work, experiment), experiment)
    clf = OPeNClassifier.load(path)
    check_same_training(clf, path, needed(args.results / f"{experiment.name}.json", experiment))
    if not np.array_equal(clf.class_count_, np.bincount(data[1])):
        raise SystemExit(f"{path} was trained on other rows than those of --data.")
    tau = chosen_strength(experiment, args.results)
    return Network(clf, tau, *proba_and_features(clf, data[2]))


# --- what is measured ---


def of_method(network: Network, data: Data) -> dict[str, Any]:
    """Return what there is to say of one network."""
    X, y, _, y_test = data
    counts, proba, features = np.bincount(y), network.proba, network.features
    _, features_train = proba_and_features(network.clf, X)
    return {
        "tau": network.tau,
        "at_0": at_strength(proba, y_test, counts, 0.0),
        "at_tau": at_strength(proba, y_test, counts, network.tau),
        **ranking(proba, y_test, counts),
        "trade_off": trade_off(proba, y_test, counts),
        "probe_of_training_rows": trained_probe(features_train, y, features, y_test),
        "probe_of_test_rows": crossed_probe(features, y_test, counts),
    }


def swaps(networks: dict[str, Network], data: Data) -> list[dict[str, Any]]:
    """Return what the body of each network has with the head of each that shares its plain epochs.

    Its own head is among them. The strength is that of the head's method: a swap has no validation
    rows of its own, and the test set is not for choices.
    """
    counts, y_test = np.bincount(data[1]), data[3]
    found = []
    for body, one in networks.items():
        for head, other in networks.items():
            if one.shares_plain_epochs(other):
                proba = proba_of_head(other.head, one.features)
                at_0 = at_strength(proba, y_test, counts, 0.0)
                at_tau = at_strength(proba, y_test, counts, other.tau)
                found.append({"body": body, "head": head, "at_0": at_0, "at_tau": at_tau})
    return found


def study(experiments: list[Experiment], args: argparse.Namespace, data: Data) -> dict[str, Any]:
    """Return what there is to say of all methods with one seed."""
    networks = {one.method: load_network(one, args, data) for one in experiments}
    methods = {}
    for method, network in networks.items():
        methods[method] = of_method(network, data)
        print(f"{method}: {100 * methods[method]['at_tau']['overall']:.1f}", flush=True)
    one = experiments[0]
    return {
        "script": "examples/reproduction/study.py",
        "setting": {"recipe": one.recipe, "scale": one.scale, "epochs": one.epochs},
        "seed": one.seed,
        "methods": methods,
        "swaps": swaps(networks, data),
        "data": {"train": data_digest(*data[:2]), "test": data_digest(*data[2:])},
        "code": code(),
        "libraries": libraries(),
        "machine": machine(networks[one.method].clf),
    }


def rounded(value: Any) -> Any:
    """Return measures with five digits behind the point: more than 10,000 test images tell."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def check_kept(path: Path, methods: list[str]) -> None:
    """Refuse to write a study over one that has methods which this one has not."""
    kept = json.loads(path.read_text())["methods"] if path.exists() else {}
    if lost := [method for method in kept if method not in methods]:
        raise SystemExit(
            f"{path} has {', '.join(lost)} as well: add to --methods, or write to another --out."
        )


def main() -> None:
    """Study all seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--recipe", choices=RECIPES, default="cifar10_lt_ir100")
    add("--methods", choices=[*METHODS], nargs="+", required=True)
    add("--seeds", type=int, nargs="+", default=[0])
    add("--scale", choices=[*SCALES], default="cpu")
    add("--epochs", type=int, help="a budget instead of the scale's")
    add("--data", type=Path, help="as for run.py")
    add("--results", type=Path, default=Path("results/reproduction"), help="of run.py")
    add("--work", type=Path, default=Path("reproduction-work"), help="of run.py")
    add("--out", type=Path, default=Path("results/study"))
    args = parser.parse_args()
    common = {"recipe": args.recipe, "scale": args.scale, "epochs": args.epochs}
    by_seed = {
        seed: [Experiment(method=name, seed=seed, **common) for name in args.methods]
        for seed in args.seeds
    }
    for one in (one for experiments in by_seed.values() for one in experiments):
        needed(model_path(args.work, one), one)  # now, not after the first seed
        needed(args.results / f"{one.name}.json", one)
        chosen_strength(one, args.results)
    budget = "" if args.epochs is None else f"_{args.epochs}epochs"
    paths = {
        seed: args.out / f"{args.scale}_{args.recipe}{budget}_seed{seed}.json" for seed in by_seed
    }
    for path in paths.values():
        check_kept(path, args.methods)
    data = by_seed[args.seeds[0]][0].data(args.data)
    for seed, experiments in by_seed.items():
        write_result(rounded(study(experiments, args, data)), paths[seed])
        print(paths[seed])


if __name__ == "__main__":
    main()
