"""One table of the parameters of the estimator: what each means to those who look at all of them.

`memory=`, `checkpoint=`, `save` and `load`, `set_params`, the checks before training and the
recipes ask this table. A new parameter gets a row here, and nothing else has to know of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn_open._parameters import checks
from sklearn_open.callbacks._averaging import AVERAGES
from sklearn_open.losses._class_weight import REDUCTIONS, check_class_weight
from sklearn_open.nn._convert import NORMS
from sklearn_open.nn._dar_bn import check_noise_grad
from sklearn_open.over_sampling._pure_noise import DEFAULT_DELTA
from sklearn_open.plan import COMPOSITIONS, EPOCH_LENGTHS, check_epoch

__all__ = [
    "PRECISIONS",
    "TABLE",
    "Parameter",
    "component",
    "is_of_a_part",
    "names_where",
    "parameter",
]

PRECISIONS = ("auto", "float32", "bf16", "fp16")


@dataclass(frozen=True)
class Parameter:
    """What a parameter, or a family of parameters, means.

    Parameters
    ----------
    name : str
        A parameter, or the beginning "prefix__" of a family. What has no row of its own is read
        by the row of its family, or else as a parameter that all depends on.
    shared : bool, default=True
        Whether the epochs before `start_epoch` depend on it: part of the name under which
        `memory=` keeps them. (The rows, the network and the seed are part of it in any case.)
    identity : bool, default=True
        Whether a training that goes on from a checkpoint must have been given the same.
    kept : {"value", "name", "fetched", "not"}, default="value"
        How a saved file keeps it: as a plain value; by a name out of a fixed list; not if the
        weights came with it, as the file has the weights; or not at all, as it belongs to a
        machine.
    predicts : bool, default=False
        Whether predictions depend on it: `load` has to be given what a file could not keep.
    at_fit : bool, default=False
        Whether it can be set on a fitted estimator and takes effect in the next fit.
    in_epochs : bool, default=False
        Whether it is a number of epochs, or a share of them.
    settled : bool, default=False
        Whether it may be "auto", and reads as a number once the training rows are known.
    unset : object, default=None
        What None stands for, where that trains the same.
    check : callable or None, default=None
        Refuses values; see `sklearn_open._parameters.checks`.
    """

    name: str
    shared: bool = True
    identity: bool = True
    kept: str = "value"
    predicts: bool = False
    at_fit: bool = False
    in_epochs: bool = False
    settled: bool = False
    unset: Any = None
    check: checks.Check | None = None


def _later(name: str, **meaning: Any) -> Parameter:
    """Return the row of a parameter that matters from `start_epoch` on only."""
    return Parameter(name, shared=False, **meaning)


def _aside(name: str, **meaning: Any) -> Parameter:
    """Return the row of a parameter that does not change what is trained, or is compared as what it
    leads to: a seed, a device.
    """
    return Parameter(name, shared=False, identity=False, **meaning)


def _check_noise_grad(name: str, value: Any) -> None:
    check_noise_grad(value)


TABLE = (
    # --- the network: in the name of the shared epochs as what was made of these ---
    _later("module", kept="name", predicts=True),
    _later("module__", predicts=True),
    _later("module__weights", kept="fetched", predicts=True),
    _later("module__pretrained", kept="fetched", predicts=True),
    _later("module__checkpoint_path", kept="fetched", predicts=True),
    # --- rebalancing and noise ---
    _later("delta", unset=DEFAULT_DELTA, check=checks.share),
    _later("resampler", kept="name", at_fit=True),
    _later("resampler__", at_fit=True),
    _later("start_epoch", in_epochs=True, check=check_epoch),
    _later("composition", check=checks.one_of(COMPOSITIONS)),
    _later("epoch_length", check=checks.one_of(EPOCH_LENGTHS)),
    _later("norm", check=checks.one_of(NORMS)),
    _later("noise_grad", check=_check_noise_grad),
    # --- weights of classes, from `start_epoch` on ---
    _later("class_weight", at_fit=True, check=check_class_weight),
    _later("class_weight__", at_fit=True),
    _later("class_weight__reduction", at_fit=True, check=checks.one_of(REDUCTIONS)),
    # --- images ---
    Parameter("image_shape"),
    Parameter("augment"),
    Parameter("mixup", check=checks.above_zero_or_none),
    Parameter("normalize"),
    Parameter("classes"),
    Parameter("dataset", predicts=True, at_fit=True),
    Parameter("dataset__", predicts=True, at_fit=True),
    Parameter("train_split"),
    # --- batches ---
    Parameter("batch_size", settled=True, check=checks.or_auto(checks.batch_rows)),
    Parameter("iterator_train", at_fit=True),
    Parameter("iterator_train__", at_fit=True),
    Parameter("iterator_train__batch_size", at_fit=True, check=checks.batch_rows),
    Parameter("iterator_valid", predicts=True, at_fit=True),
    Parameter("iterator_valid__", predicts=True, at_fit=True),
    Parameter("iterator_valid__batch_size", predicts=True, at_fit=True, check=checks.batch_rows),
    # How batches are read, not which rows they have.
    _aside("iterator_train__num_workers", at_fit=True),
    _aside("iterator_train__pin_memory", at_fit=True),
    _aside("iterator_train__persistent_workers", at_fit=True),
    _aside("iterator_train__prefetch_factor", at_fit=True),
    _aside("iterator_valid__num_workers", predicts=True, at_fit=True),
    _aside("iterator_valid__pin_memory", predicts=True, at_fit=True),
    _aside("iterator_valid__persistent_workers", predicts=True, at_fit=True),
    _aside("iterator_valid__prefetch_factor", predicts=True, at_fit=True),
    # --- the step ---
    # The loss: in the name of the shared epochs as the one that they are trained with.
    _later("criterion", kept="name", predicts=True, check=checks.criterion),
    _later("criterion__", predicts=True),
    _later("criterion__early", kept="name", predicts=True, check=checks.criterion),
    _later("criterion__late", kept="name", predicts=True, check=checks.criterion),
    # What scores in those epochs depend on, where rows are scored, see `shared_phase`.
    _aside("logit_adjustment", predicts=True, check=checks.number),
    _later("averaging", check=checks.one_of_or_none(AVERAGES)),
    Parameter("predict_nonlinearity", predicts=True),
    Parameter("optimizer", kept="name", at_fit=True),
    Parameter("optimizer__"),
    Parameter("precision", check=checks.one_of(PRECISIONS)),
    Parameter("compile", check=checks.mode_of_compile),
    Parameter("compile__"),
    # --- the schedule ---
    Parameter("lr"),
    Parameter("max_epochs", settled=True, check=checks.or_auto(checks.epochs)),
    Parameter("warmup_epochs", in_epochs=True, settled=True, check=checks.or_auto(check_epoch)),
    Parameter("lr_milestones", in_epochs=True, check=checks.milestones),
    Parameter("lr_decay", check=checks.decay),
    Parameter("warm_start"),
    Parameter("callbacks"),
    Parameter("callbacks__"),
    Parameter("use_caching"),
    # --- the machine, files, what is shown ---
    _aside("random_state"),
    _aside("device", kept="not"),
    _aside("distributed", kept="not", check=checks.true_or_false),
    _aside("memory", kept="not"),
    _aside("checkpoint", kept="not", check=checks.folder),
    _aside("checkpoint_every", check=checks.period),
    _aside("verbose"),
    Parameter("torch_load_kwargs", kept="not"),
)
_ROWS = {row.name: row for row in TABLE}


def parameter(name: str) -> Parameter:
    """Return the row of a parameter: its own, that of its family, or one that all depends on."""
    family = f"{component(name)}__" if "__" in name else name
    return _ROWS.get(name) or _ROWS.get(family) or Parameter(name)


def component(name: str) -> str:
    """Return what a parameter belongs to: "module" for ``module__depth`` and for ``module``."""
    return name.split("__")[0]


def is_of_a_part(name: str) -> bool:
    """Whether a parameter is one of a component: ``module__depth``, ``criterion__lambda_``."""
    return "__" in name.strip("_")


def names_where(**meaning: Any) -> tuple[str, ...]:
    """Return the names of the rows that have some meaning, as in ``names_where(kept="not")``."""
    return tuple(
        row.name
        for row in TABLE
        if all(getattr(row, field) == value for field, value in meaning.items())
    )
