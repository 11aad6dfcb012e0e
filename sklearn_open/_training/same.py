"""What must be the same on all ranks: before anything is trained, and after every epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sklearn_open._distributed.ranks import Ranks
from sklearn_open._parameters.table import component, parameter
from sklearn_open._persistence.fingerprint import comparable, data_digest, hash_of, structure
from sklearn_open.batching._dataset import ImageDataset, TrainSet

__all__ = [
    "check_same_networks",
    "check_same_rows",
    "check_same_settings",
    "check_same_weights",
]

# Folders may have other names on other machines; whether there is one decides what ranks do.
WHETHER_GIVEN = ("memory", "checkpoint")
# What does not change what is trained, and yet decides what ranks do together.
COMPARED = ("random_state", "checkpoint_every")
OWN = ("callbacks", "estimator", "final_estimator")  # callbacks may be for one rank; stages follow
ALL_ROWS = (
    "Pass all rows to fit on every rank, in the same order: batches are dealt to ranks there."
)


def check_same_settings(ranks: Ranks, net: Any) -> None:
    """Refuse to train with parameters, or from a state, that differ between ranks.

    Callbacks may differ: those that write files are for one rank.

    Parameters
    ----------
    ranks : Ranks
        Of this training.
    net : OPeNClassifier
        On each of them.

    Raises
    ------
    ValueError
        On all ranks, naming what differs.
    """
    if not ranks.are_grouped:
        return
    facts = {
        name: _hash(value)
        for name, value in net.get_params(deep=False).items()
        if (parameter(name).identity and component(name) not in OWN) or name in COMPARED
    }
    for name in WHETHER_GIVEN:
        given = getattr(net, name)
        facts[name] = str(getattr(given, "location", given) is not None)  # of a joblib.Memory
    facts["class of the estimator"] = _hash(type(net))
    facts["number of epochs trained before"] = str(len(getattr(net, "history_", None) or ()))
    _check_alike(
        ranks,
        facts,
        "Pass the same parameters on all ranks; random numbers are told apart by rank in any case.",
    )


def check_same_networks(ranks: Ranks, net: Any) -> None:
    """Refuse networks that differ in more than their weights; see `check_same_settings`.

    Their sizes come from the classes and images that were passed. Tensors of other sizes must not
    travel: gloo aborts the process.
    """
    if not ranks.are_grouped:
        return
    networks = list(net.parts_.networks.values())
    _refuse_scripted(networks)
    facts = {
        "classes": _hash(net.classes_inferred_),
        "shape of the images": str(net.image_shape_),
        "layers of the network": str([_layers(network) for network in networks]),
    }
    _check_alike(ranks, facts, ALL_ROWS)


def _layers(network: nn.Module) -> tuple[str, list[Any]]:
    weights = [(n, tuple(p.shape), p.requires_grad) for n, p in network.named_parameters()]
    return _hash(network), weights


def _refuse_scripted(networks: list[nn.Module]) -> None:
    for network in networks:
        if any(isinstance(layer, torch.jit.ScriptModule) for layer in network.modules()):
            raise ValueError(
                f"{type(network).__name__} has scripted layers (torch.jit), whose batch norm can't "
                "be told of the rows of other ranks. Pass the network as it was before scripting."
            )


def check_same_rows(ranks: Ranks, train: TrainSet, valid: ImageDataset | None) -> None:
    """Refuse to train on rows that differ between ranks; see `check_same_settings`.

    Of data sets that are read while training, labels and shapes are compared.
    """
    if not ranks.are_grouped:
        return
    facts = {"shape and dtype of the images": str((train.X.shape[1:], train.X.dtype))}
    facts["training rows"] = data_digest(train)
    facts["random numbers"] = str(train.planner.seed)
    facts["rows held out"] = "" if valid is None else data_digest(valid)
    _check_alike(
        ranks,
        facts,
        f"{ALL_ROWS} A train_split that shuffles needs a random_state.",
    )


def check_same_weights(ranks: Ranks, net: Any) -> None:
    """Refuse to go on where the losses, or the weights, of ranks have come apart.

    Parameters
    ----------
    ranks : Ranks
        Of this training.
    net : OPeNClassifier
        At the end of an epoch.

    Raises
    ------
    RuntimeError
        On all ranks, naming a parameter.
    """
    if not ranks.are_grouped:
        return
    losses = [batch.get("train_loss") for batch in net.history[-1]["batches"]]
    if len(set(ranks.gather(repr(losses)))) > 1:
        raise RuntimeError(
            "the losses of one rank are not those of another. On ranks X are the rows of one of "
            "them, and y and y_pred those of the whole batch: a get_loss of one's own may look at "
            "y_pred, y and weights only, and a loss must not draw numbers of its own."
        )
    sums = {
        f"{part}.{name}": _sum_of_bits(parameter)
        for part, network in net.parts_.networks.items()
        for name, parameter in network.named_parameters()
    }
    of_ranks = ranks.gather(sums)
    for rank, others in enumerate(of_ranks):
        differ = [name for name in sums if of_ranks[0][name] != others[name]]
        if differ:
            raise RuntimeError(
                f"{differ[0]} has other values on rank {rank} than on rank 0 (as have "
                f"{len(differ) - 1} more parameters): something trains each rank on its own. A "
                "train_step_single of one's own must call that of OPeNClassifier, which averages "
                "gradients; callbacks that change weights must do the same on all ranks."
            )


def _sum_of_bits(tensor: torch.Tensor) -> int:
    """Return a number that is the same for the same bits, in whatever order they are added up."""
    tensor = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    of_size = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return int(tensor.view(of_size[tensor.element_size()]).sum(dtype=torch.int64))


def _hash(value: Any) -> str:
    try:
        # Weights of a network that is passed are those of rank 0.
        is_network = isinstance(value, nn.Module)
        return hash_of(structure(value) if is_network else comparable(value))
    except ValueError:  # cannot be pickled
        return f"{type(value).__module__}.{type(value).__qualname__}"


def _check_alike(ranks: Ranks, facts: dict[str, str], advice: str) -> None:
    of_ranks = ranks.gather(facts)
    for rank, others in enumerate(of_ranks):
        names = sorted(of_ranks[0].keys() | others.keys())
        differ = [name for name in names if of_ranks[0].get(name) != others.get(name)]
        if differ:
            raise ValueError(
                f"{', '.join(differ)} on rank {rank} of {len(of_ranks)} differ from those on rank "
                f"0. {advice}"
            )
