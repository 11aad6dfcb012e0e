"""Parameters that may be "auto": a number takes its place when the training rows are known."""

from __future__ import annotations

from typing import Any, Protocol

from sklearn_open._parameters.checks import is_auto
from sklearn_open._parameters.table import names_where
from sklearn_open._protocols import TrainingNet
from sklearn_open._training.budget import auto_batch_size, auto_epochs, auto_warmup, n_batches
from sklearn_open.plan import resolve_epoch

__all__ = ["SETTLED", "Settled", "forget", "settle"]

SETTLED = names_where(settled=True)


class Settled:
    """A parameter that reads as the number that "auto" stands for, once it is known.

    `get_params`, and so `clone`, returns what was given. The number is an attribute of the same
    name with an underscore behind it; whoever writes "auto" again gets another.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, net: Any, owner: Any = None) -> Any:
        if net is None:
            return self
        if self.name not in net.__dict__:
            raise AttributeError(f"{type(net).__name__} has no {self.name} yet.")
        given = net.__dict__[self.name]
        return net.__dict__.get(f"{self.name}_", given) if is_auto(given) else given

    def __set__(self, net: Any, given: Any) -> None:
        net.__dict__[self.name] = given
        if is_auto(given):
            net.__dict__.pop(f"{self.name}_", None)

    def __delete__(self, net: Any) -> None:
        del net.__dict__[self.name]


class SettlingNet(TrainingNet, Protocol):
    """What is touched of an estimator here."""

    batch_size: int
    warmup_epochs: int | float
    max_epochs_: int
    batch_size_: int
    warmup_epochs_: int


def forget(net: Any) -> None:
    """Drop the numbers of an earlier training: a new one finds its own."""
    for name in SETTLED:
        net.__dict__.pop(f"{name}_", None)


def settle(net: SettlingNet, n_rows: int) -> None:
    """Note how long an estimator trains, in batches of which size.

    What "auto" stood for when training began holds where it goes on, on other rows as well.

    Parameters
    ----------
    net : OPeNClassifier
        Gets `batch_size_`, `max_epochs_`, `warmup_epochs_`.
    n_rows : int
        Rows to train on, without those held out.
    """
    found = [name for name in SETTLED if is_auto(getattr(net, name))]
    net.batch_size_ = _rows_of_a_batch(net, n_rows)
    epochs: Any = net.max_epochs
    net.max_epochs_ = auto_epochs(n_rows, net.batch_size_) if is_auto(epochs) else epochs
    warmup: Any = net.warmup_epochs
    if is_auto(warmup):
        net.warmup_epochs_ = auto_warmup(n_rows, net.batch_size_, net.max_epochs_)
    else:
        net.warmup_epochs_ = resolve_epoch(warmup, net.max_epochs_)
    if found and net.verbose:
        print(_sentence(net, found, n_rows))


def _rows_of_a_batch(net: SettlingNet, n_rows: int) -> int:
    size: Any = net.get_params_for("iterator_train").get("batch_size")
    if size is None:
        size = net.batch_size
    if is_auto(size):
        return auto_batch_size(n_rows)
    return n_rows if size == -1 else int(size)


def _sentence(net: SettlingNet, found: list[str], n_rows: int) -> str:
    names = ", ".join(f"{name}='auto'" for name in found)
    steps = n_batches(n_rows, net.batch_size_)
    warmup = f", {net.warmup_epochs_} of them warm-up" if "warmup_epochs" in found else ""
    return (
        f"{net.max_epochs_} epochs of {steps} steps{warmup} ({names}: {n_rows} rows in batches of "
        f"{net.batch_size_})"
    )
