"""skorch's classifier with scikit-learn's manners.

What skorch's `NeuralNetClassifier` does otherwise than scikit-learn's users expect is mended here,
in one place: labels, the "auto" device, parameters, what is printed, attributes set before `fit`,
pickling.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring, PassthroughScoring
from skorch.history import History

from sklearn_open._checks import near_names
from sklearn_open._inputs.door import own_labels
from sklearn_open._parameters.checks import is_auto
from sklearn_open._parameters.signature import complete_signature, defaults
from sklearn_open._parameters.table import component, is_of_a_part, parameter
from sklearn_open._protocols import Parts
from sklearn_open._training.budget import auto_batch_size
from sklearn_open._training.building import as_weights
from sklearn_open._training.fed import as_fed
from sklearn_open._training.groups import check_groups, check_no_group_by_number
from sklearn_open._training.hardware import resolve_device
from sklearn_open._training.search import is_one_of_many
from sklearn_open._training.settled import SETTLED, Settled
from sklearn_open.batching._batches import Batch
from sklearn_open.callbacks._averaging import WeightAveraging
from sklearn_open.callbacks._max_norm import MaxNorm
from sklearn_open.callbacks._progress import TrainingProgress
from sklearn_open.exceptions import TrainingDivergedError
from sklearn_open.losses._base import is_told_of_epochs
from sklearn_open.losses._names import find_loss

__all__ = ["ScikitNet"]


LOOK_AT_NO_BATCH = (
    Callback.on_batch_begin,
    Callback.on_batch_end,
    PassthroughScoring.on_batch_end,
    TrainingProgress.on_batch_end,
    WeightAveraging.on_batch_end,
    MaxNorm.on_batch_end,
)


class _UnlessSet:
    """Default of an attribute that skorch sets in ``__init__``, where scikit-learn wants none.

    While skorch's own ``__init__`` runs the attribute is missing, which is how skorch tells.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, net: Any, owner: Any = None) -> Any:
        if net is None:
            return self
        if "_params_to_validate" not in net.__dict__:
            raise AttributeError(self.name)
        return self.make()


class ScikitNet(NeuralNetClassifier):
    """Base of `OPeNClassifier`: everything about skorch, nothing about noise."""

    scaler_: torch.amp.GradScaler
    batch_in_work_: Batch | None = None  # while callbacks look at it
    __signature__: ClassVar[inspect.Signature]
    only_in_training_: ClassVar[tuple[str, ...]] = ()  # modules that predictions do without
    history_ = _UnlessSet(lambda: None)
    initialized_ = _UnlessSet(lambda: False)
    virtual_params_ = _UnlessSet(dict)
    max_epochs = Settled()
    batch_size = Settled()
    warmup_epochs = Settled()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        complete_signature(cls)

    def __init__(self, module: Any, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        for name in ("history_", "initialized_", "virtual_params_"):
            if name != "history_" or self.history_ is None:  # history=... may be given
                del self.__dict__[name]

    def __setattr__(self, name: str, value: Any) -> None:
        # skorch takes every module for a component, whose names end with an underscore; parameters
        # may hold modules as well (augment=, normalize=).
        is_part = isinstance(value, (torch.nn.Module, torch.optim.Optimizer))
        if is_part and name in defaults(type(self)):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def _of_rank(self) -> bool:
        """Whether a device is that of a rank."""
        return bool(self.__dict__.get("distributed"))

    @property
    def device(self) -> Any:
        """The device to train on, as skorch and torch understand it: never "auto".

        `get_params`, and so `clone`, returns what was given.
        """
        given = self.__dict__["device"]
        return str(resolve_device(given, self._of_rank)) if is_auto(given) else given

    @device.setter
    def device(self, given: Any) -> None:
        self.__dict__["device"] = given

    @property
    def verbose(self) -> int:
        """How much is printed now: 1 prints nothing in the fits of a search or cross-validation.

        `get_params`, and so `clone`, returns what was given.
        """
        given: int = self.__dict__["verbose"]
        is_other_rank = "ranks_" in self.__dict__ and self.__dict__["ranks_"].rank > 0
        return 0 if is_other_rank or (given == 1 and is_one_of_many()) else given

    @verbose.setter
    def verbose(self, given: int) -> None:
        self.__dict__["verbose"] = given

    @property
    def device_(self) -> torch.device:
        """Where the network is, or will be."""
        if self.device is not None:
            try:
                return torch.device(self.device)
            except (
                RuntimeError
            ):  # torch refuses it, or knows it after all, when the net moves there
                return torch.device("cpu")
        first = next(self.module_.parameters(), None) if hasattr(self, "module_") else None
        return torch.device("cpu") if first is None else first.device

    @property
    def parts_(self) -> Parts:
        """What training changes: for helpers, which need not know how skorch keeps it."""

        def named(names: list[str]) -> dict[str, Any]:
            return {f"{name}_": getattr(self, f"{name}_") for name in names}

        scaler = getattr(self, "scaler_", None)
        return Parts(named(self._modules), named(self._criteria), named(self._optimizers), scaler)

    def _each_optimizer(self) -> list[torch.optim.Optimizer]:
        """Return the optimisers alone: every step asks for them."""
        return [getattr(self, f"{name}_") for name in self._optimizers]

    @property
    def classes_(self) -> np.ndarray:
        """Labels, in the order of the columns of `predict_proba`: of the kind that `y` held."""
        found = self.__dict__.get("classes_inferred_")
        none_given = self.classes is not None and not np.size(self.classes)  # skorch refuses it
        return super().classes_ if found is None or none_given else found

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Return the optimiser's arguments; a parameter group that would be empty is refused."""
        named_parameters = list(named_parameters)
        given = self.get_params_for(prefix)
        for name in given:
            check_no_group_by_number(f"{prefix}__{name}")
        groups = given.get("param_groups", ())
        check_groups(f"{prefix}__param_groups", groups, [name for name, _ in named_parameters])
        return super().get_params_for_optimizer(prefix, named_parameters)

    @contextmanager
    def _unchanged_unless_begun(self) -> Iterator[None]:
        """Leave an estimator as it was when new data or settings are refused."""
        before, n_epochs = dict(self.__dict__), len(self.history_ or ())
        try:
            yield
        except Exception as error:
            if self.history_ is not before.get("history_"):
                n_epochs = 0
            diverged = isinstance(error, TrainingDivergedError)  # which takes its epoch back
            if not diverged and len(self.history_ or ()) == n_epochs:
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def check_data(self, X: Any, y: Any = None) -> None:
        """Do nothing: data were checked before anything was initialised."""

    def _validate_params(self) -> None:
        """Refuse parameters that there are not, with names of those that are near."""
        known, of_parts = {*self.get_params(deep=False), *self.prefixes_}, tuple(self.prefixes_)
        unknown = [n for n in sorted(self._params_to_validate) if not n.startswith(of_parts)]
        unknown = [name for name in unknown if not name.endswith("_")]
        if unknown:
            near = " ".join(near_names(name, known - set(unknown)).strip() for name in unknown)
            raise ValueError(
                f"__init__() got unexpected argument(s) {', '.join(unknown)}: "
                f"{type(self).__name__} has no such parameter. {near} Parameters of parts are "
                "written module__<name>, optimizer__<name>, ..."
            )
        super()._validate_params()

    def initialize_criterion(self) -> ScikitNet:
        """Make the loss; arrays and numbers of double precision become what torch's losses take."""
        given = self.get_params_for("criterion")
        params = {name: as_weights(name, value) for name, value in given.items()}
        criterion = find_loss(self.criterion)
        if is_told_of_epochs(criterion):
            criterion = copy.deepcopy(criterion)  # it will be told of epochs
        self.criterion_ = self.initialized_instance(criterion, params)
        return self

    def initialize_history(self) -> ScikitNet:
        """Begin a new history; the old one stays what it was, for a fit that is refused."""
        if isinstance(self.history_, History):
            self.history_ = copy.copy(self.history_)
        return super().initialize_history()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return skorch's batches; of a net that was never fitted, for which nothing is settled."""
        if not is_auto(self.batch_size):
            return super().get_iterator(dataset, training)
        self.batch_size_ = auto_batch_size(len(dataset))
        try:
            return super().get_iterator(dataset, training)
        finally:
            del self.batch_size_

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks; scorers get the user's labels, not codes, and rows marked as fed."""
        try:
            self._notify(method_name, **cb_kwargs)
        except KeyError as error:
            if "was not found in history" not in str(error):
                raise
            recorded = ", ".join(name for name in self.history[-1] if name != "batches")
            raise ValueError(
                f"a callback watches what is not recorded: {error.args[0]} There are {recorded}. "
                "What begins with valid_ needs rows held out (train_split=), or a scoring callback "
                "before the one that watches."
            ) from error

    def _notify(self, method_name: str, **cb_kwargs: Any) -> None:
        batch = cb_kwargs.get("batch")
        if method_name == "on_epoch_begin":
            self.__dict__.pop("looked_at_", None)  # callbacks may have changed
        if not isinstance(batch, Batch) or not self._is_looked_at(method_name, **cb_kwargs):
            super().notify(method_name, **cb_kwargs)
            return
        has_ended = method_name == "on_batch_end"
        labels = self.classes_[batch[1].cpu().numpy()] if has_ended else None
        self.batch_in_work_ = batch
        try:
            super().notify(method_name, **{**cb_kwargs, "batch": as_fed(batch, labels)})
        finally:
            del self.batch_in_work_

    def _is_looked_at(self, method_name: str, training: bool, **_: Any) -> bool:
        """Whether a callback looks at batches; on a GPU, fetching their labels would wait."""
        known = self.__dict__.setdefault("looked_at_", {})  # once per epoch, not per batch
        asked = method_name, training
        if asked not in known:
            own = getattr(type(self), method_name) is not getattr(NeuralNetClassifier, method_name)
            looks = (_looks(callback, method_name, training) for _, callback in self.callbacks_)
            known[asked] = own or any(looks)
        return bool(known[asked])

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row.

        Parameters
        ----------
        X : array-like or torch.Tensor
            Images of the shape that was fitted, in any accepted layout.

        Returns
        -------
        ndarray of shape (n,)
            Labels as they were given to `fit`; codes from a net that was never fitted.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes] if hasattr(self, "classes_") else codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class for each row.

        Parameters
        ----------
        X : array-like or torch.Tensor
            Images of the shape that was fitted, in any accepted layout.

        Returns
        -------
        ndarray of shape (n, n_classes), dtype float32
            Columns in the order of `classes_`.

        Raises
        ------
        ValueError
            Where the network returns NaN: no label could be told from it.
        """
        return _checked(super().predict_proba(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy on images and labels.

        Parameters
        ----------
        X : array-like, torch.Tensor or data set
            Images of the shape that was fitted, in any accepted layout.
        y : array-like of shape (n,) or None, default=None
            Labels; None takes those of a data set.
        sample_weight : array-like of shape (n,) or None, default=None
            How much each row counts.

        Returns
        -------
        float
            Share of the rows whose label is predicted.
        """
        labels = own_labels(X, y)
        if labels is None:
            raise ValueError("score requires y to be passed, but the target y is None.")
        return float(super().score(X, labels, sample_weight))

    @property
    def predict_nonlinearity_(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What turns logits into probabilities: the parameter of that name, "auto" resolved."""
        return self._get_predict_nonlinearity()

    def _get_predict_nonlinearity(self) -> Callable[[torch.Tensor], torch.Tensor]:
        self.check_is_fitted()
        # skorch's "auto" knows torch's own losses only and would return logits for any other.
        criteria = list(self.parts_.criteria.values())
        unknown = len(criteria) == 1 and not isinstance(criteria[0], torch.nn.NLLLoss)
        if is_auto(self.predict_nonlinearity) and unknown:
            return softmax
        return super()._get_predict_nonlinearity()

    def _get_param_names(self) -> list[str]:
        names = [name for name in super()._get_param_names() if not name.startswith("_")]
        # skorch takes whatever ends with an underscore for what was fitted.
        names += [name for name in self.__dict__ if is_of_a_part(name) and name.endswith("_")]
        return [name for name in names if not isinstance(vars(self).get(name), torch.nn.Module)]

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters as they were given."""
        # scikit-learn asks values for their own; transforms of torchvision answer otherwise.
        names = super()._get_param_names()
        modules = {n: v for n in names if isinstance(v := vars(self)[n], torch.nn.Module)}
        params = {**super().get_params(deep=deep, **kwargs), **modules}
        # skorch answers with its default callbacks, whatever was set on them.
        given = {name: v for name, v in self.__dict__.items() if name.startswith("callbacks__")}
        as_written = ["device", "verbose", *(n for n in SETTLED if n in self.__dict__)]
        return {**params, **given, **{name: self.__dict__[name] for name in as_written}}

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Return the class and the parameters that differ from their defaults."""
        # scikit-learn lays out what has the `__repr__` of its base class: a stand-in.
        of_this = {
            "__init__": type(self).__init__,
            "get_params": lambda _, deep=True: self.get_params(deep),
        }
        stand_in = type(type(self).__name__, (BaseEstimator,), of_this)
        try:
            return BaseEstimator.__repr__(object.__new__(stand_in), N_CHAR_MAX)
        except Exception:  # a value that cannot be shown, an estimator that is half made
            return f"{type(self).__name__}(...)"

    def set_params(self, **params: Any) -> ScikitNet:
        """Set parameters; they last, also where skorch would forget or refuse them once fitted."""
        if not self.initialized_:
            for name in params:
                check_no_group_by_number(name)
        at_fit = {name: params.pop(name) for name in list(params) if parameter(name).at_fit}
        for name in [name for name in params if is_of_a_part(name) and name.endswith("_")]:
            setattr(self, name, params.pop(name))
            self._params_to_validate.add(name)
            params.setdefault(component(name), vars(self)[component(name)])  # made anew with it
        super().set_params(**params)
        at_fit |= {name: v for name, v in params.items() if name.startswith("optimizer__")}
        for name, value in at_fit.items():
            if "__param_groups__" in name:  # of the running optimizer's groups, by number
                continue
            setattr(self, name, value)
            if "__" in name:
                self._params_to_validate.add(name)
        if "optimizer" in at_fit and self.initialized_:
            self._initialize_optimizer()
        return self

    def __sklearn_clone__(self) -> Any:
        """Return an estimator with the same parameters; modules among them are copied."""
        params = self.get_params(deep=False)
        modules = {n: copy.deepcopy(v) for n, v in params.items() if isinstance(v, torch.nn.Module)}
        bare = copy.copy(self)
        for name in modules:
            object.__setattr__(bare, name, None)
        made: Any = super(ScikitNet, bare).__sklearn_clone__()
        for name, value in modules.items():
            setattr(made, name, value)
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        given = state["device"]
        concrete = str(resolve_device(given)) if is_auto(given) else given
        super().__setstate__({**state, "device": concrete})
        if is_auto(given):
            self.device = given


def _looks(callback: Callback, method_name: str, training: bool) -> bool:
    method = getattr(type(callback), method_name, None)
    if isinstance(callback, EpochScoring) and method is EpochScoring.on_batch_end:
        return training == callback.on_train
    return method not in LOOK_AT_NO_BATCH


def softmax(logits: torch.Tensor) -> torch.Tensor:
    """Turn logits (n, n_classes) into probabilities."""
    return torch.softmax(logits, dim=-1)


def _checked(proba: np.ndarray) -> np.ndarray:
    if np.isnan(proba).any():
        rows = np.flatnonzero(np.isnan(proba).reshape(len(proba), -1).any(axis=1))
        raise ValueError(
            f"the network returned NaN for {len(rows)} of {len(proba)} rows of X, the first of "
            f"them row {rows[0]}. Pass values in the range that fit was given; if they are, the "
            "network's weights are not finite."
        )
    return proba
