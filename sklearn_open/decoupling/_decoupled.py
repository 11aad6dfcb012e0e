"""DecoupledClassifier: the second of two stages trains the head of what the first has trained."""

from __future__ import annotations

import copy
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_open._distributed.ranks import Ranks, is_other_rank, open_ranks
from sklearn_open._inputs.door import in_memory, own_labels
from sklearn_open._parameters.table import parameter
from sklearn_open._persistence.fingerprint import comparable, compared_params, machine_facts
from sklearn_open._persistence.kept_fits import kept_fit
from sklearn_open._training.same import check_same_settings
from sklearn_open._warnings import warn_user
from sklearn_open.backbones._class_layers import CLASS_NAMES
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling._checks import check_stages, where_it_trains
from sklearn_open.decoupling._heads import normalized_head, put_head
from sklearn_open.decoupling._second_stage import (
    SecondStage,
    check_before_training,
    checked_head,
    train_second_stage,
    with_network,
)
from sklearn_open.nn import revert_norm

__all__ = ["DecoupledClassifier"]


class DecoupledClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""Trains features first, then the head alone, on balanced rows: two stages.

    Features that are learnt from rows as they are are good ones; what suffers from imbalance is the
    head [1]_. So the second stage freezes the backbone and trains the last layer, or begins it anew
    (cRT), or learns one factor for each logit (LWS), or divides weights by their length
    (tau-normalisation). With mixup in the first stage and label-aware smoothing in the second it is
    MiSLAS [2]_, with `MetaSampledClassifier` as the second it is BALMS [3]_. The result is one
    network.

    Parameters
    ----------
    estimator : OPeNClassifier, FrozenEstimator, str or path
        The first stage. An `OPeNClassifier` is cloned and fitted; a fitted one, in a
        `sklearn.frozen.FrozenEstimator`, is taken as it is; the name of a file is that of one that
        was saved.
    final_estimator : OPeNClassifier or None, default=None
        How the head is trained: loss, rows, schedule, augmentation. Its ``start_epoch`` counts from
        the beginning of the second stage: use 0 for balanced rows throughout. It has no `module`,
        and does not read `normalize` and `image_shape`, which are those of the first stage; a
        `random_state` of None is that of the first. None trains nothing.
    head : {"kept", "fresh"}, default="kept"
        Whether the last layer goes on from the first stage, or begins anew. A fresh one may be for
        other classes.
    weight_scaling : bool, default=False
        Learnable weight scaling: multiplies each logit, offset included, by a factor that begins
        at 1. It is folded into the head at the end. For linear heads.
    shift_norm : bool, default=False
        Whether batch norm's running statistics go on moving, on the rows of the second stage; the
        head is then trained on features that are normalised by the batch. Weights of the backbone
        stay what they are, bit for bit, in any case.
    tau : float or None, default=None
        Tau-normalisation of the head, after the second stage: weights are divided by their length
        to this power, and there are no offsets. For linear heads.
    memory : None, str, path or joblib.Memory, default=None
        Where the first stage is kept, so that a search over second stages trains it once per fold.
        It is the first stage's own `memory`, too, unless it has one. Needs the first stage's
        `random_state`, and arrays.
    checkpoint : None, str or path, default=None
        Folder in which both stages are kept, epoch by epoch, in ``first`` and ``second``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    class_count_ : ndarray of shape (n_classes,)
        Rows of each class that the last stage was trained on.
    estimator_ : OPeNClassifier
        The result: the first stage with the new head.
    first_stage_ : OPeNClassifier
        The first stage, fitted.
    final_estimator_ : OPeNClassifier or None
        The second stage, fitted, with its `history_`. Its network is that of the stage.
    scale_ : ndarray of shape (n_classes,) or None
        The factors of `weight_scaling`.
    interrupted_ : bool
        Whether Ctrl-C ended the second stage. (In the first it ends `fit`.)
    on_features_ : bool
        Whether features were computed once: where the backbone is in eval mode, X is held in memory
        and nothing in the second stage looks at pixels (no `augment`, mixup, noise, `train_split`,
        `callbacks` or loader of its own). Training on them gives what training on rows would have
        given, up to rounding, without the time of the backbone.
    image_reader_ : ImageReader
        How image files are read, if you set it after `fit`; see `OPeNClassifier`.
    n_features_in_ : int
        Number of values in a row.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of columns, where X had them.

    See Also
    --------
    sklearn_open.calibration.LogitAdjustedClassifier : A correction without a second training.
    MetaSampledClassifier : The meta sampler of BALMS.

    References
    ----------
    .. [1] B. Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition",
       ICLR 2020.
    .. [2] Z. Zhong, J. Cui, S. Liu, J. Jia, "Improving Calibration for Long-Tailed Recognition",
       CVPR 2021.
    .. [3] J. Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.

    Examples
    --------
    Classifier re-training (cRT) on digits of which some are rare:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> from sklearn_open.decoupling import DecoupledClassifier
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=10)
    >>> clf = DecoupledClassifier(
    ...     OPeNClassifier(resampler=None, max_epochs=5, random_state=0, verbose=0),
    ...     OPeNClassifier(delta=0, start_epoch=0, max_epochs=5, verbose=0),
    ...     head="fresh",
    ... )
    >>> clf.fit(X, y).predict(digits.images).shape, clf.on_features_
    ((1797,), True)
    """

    def __init__(
        self,
        estimator: Any = None,
        final_estimator: Any = None,
        *,
        head: str = "kept",
        weight_scaling: bool = False,
        shift_norm: bool = False,
        tau: float | None = None,
        memory: Any = None,
        checkpoint: Any = None,
    ) -> None:
        self.estimator = estimator
        self.final_estimator = final_estimator
        self.head = head
        self.weight_scaling = weight_scaling
        self.shift_norm = shift_norm
        self.tau = tau
        self.memory = memory
        self.checkpoint = checkpoint

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> DecoupledClassifier:
        """Train both stages, or the second one on a first that is there.

        Parameters
        ----------
        X : array-like, torch.Tensor, data frame or data set
            As for `OPeNClassifier.fit`.
        y : array-like of shape (n,) or None, default=None
            Labels; None takes those of a data set.
        **fit_params : dict
            For the first stage's ``forward`` and the `train_split` of both, as ``groups``.

        Returns
        -------
        DecoupledClassifier
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            For stages, data and parameters that cannot be trained with.
        KeyboardInterrupt
            When Ctrl-C has ended the first stage; with `checkpoint` the same call goes on.
        """
        check_stages(self, fit_params)
        with open_ranks(*where_it_trains(self)) as ranks:
            check_same_settings(ranks, self)
            first = self._first_stage(X, y, fit_params, ranks)
        if self.final_estimator is None:
            self._take_result(first, None)
            return self
        known = first.classes_ if first.classes is None else first.classes
        stage = train_second_stage(
            first,
            self.final_estimator,
            X,
            own_labels(X, y),
            head=self.head,
            weight_scaling=self.weight_scaling,
            shift_norm=self.shift_norm,
            classes=known if self.head == "kept" or self._trains_first else None,
            checkpoint=self._second_folder,
            fit_params=fit_params if self.final_estimator.train_split else {},
        )
        self._take_result(first, stage)
        return self

    # --- the first stage ---

    @property
    def _trains_first(self) -> bool:
        return isinstance(self.estimator, OPeNClassifier)

    def _folder(self, stage: str) -> Path | None:
        return None if self.checkpoint is None else Path(self.checkpoint) / stage

    @property
    def _second_folder(self) -> Path | None:
        """Where the second stage is kept; of ranks that train it each on its own, one keeps it."""
        together = self.final_estimator is not None and self.final_estimator.distributed
        return None if is_other_rank() and not together else self._folder("second")

    def _first_stage(self, X: Any, y: Any, fit_params: dict[str, Any], ranks: Ranks) -> Any:
        if isinstance(self.estimator, FrozenEstimator):
            return self.estimator.estimator
        if not self._trains_first:
            return OPeNClassifier.load(self.estimator)
        if not fit_params:  # which its network may need
            wanted = {"fresh": self.head == "fresh", "scaled": self.weight_scaling, "tau": self.tau}
            if self.final_estimator is not None or self.tau is not None:
                check_before_training(self.estimator, X, y, **wanted)
        first = clone(self.estimator)
        if first.checkpoint is None and self.checkpoint is not None:
            first.set_params(checkpoint=self._folder("first"))
        if first.memory is None and first.random_state is not None:
            first.set_params(memory=self.memory)

        def fit() -> Any:
            first.fit(X, y, **fit_params)
            if first.interrupted_:
                raise KeyboardInterrupt
            return first.set_params(memory=None, checkpoint=None)  # places of this fit

        if self.memory is not None and first.random_state is None:
            warn_user(
                "memory= keeps nothing of a first stage with random_state=None: every fit of it is "
                "another one. Set estimator__random_state."
            )
        if self.memory is None or first.random_state is None:
            return fit()
        in_memory(X, y, f"{type(self).__name__} with memory=")
        given = first.get_params(deep=False)
        facts = {
            "class": type(first),
            "params": compared_params(first, "identity"),
            "predictions": {n: comparable(given[n]) for n in given if parameter(n).predicts},
            "random_state": first.random_state,
            "rows": [X, y],
            "fit_params": comparable(fit_params),
            "machine": machine_facts(first.device_),
        }
        return kept_fit(self.memory, facts, fit, ranks=ranks)

    # --- the result ---

    def _take_result(self, first: Any, stage: SecondStage | None) -> None:
        result = with_network(first, copy.deepcopy(first.module_))
        result.history_ = copy.copy(first.history_)
        result.criterion_ = copy.deepcopy(first.criterion_)
        if stage is not None:
            self._put_in_place(result, stage)
        if self.tau is not None:
            plain = revert_norm(copy.deepcopy(result.module_))
            name = checked_head(first, plain, fresh=False, scaled=False, tau=self.tau)
            put_head(result.module_, name, normalized_head(plain.get_submodule(name), self.tau))
        if stage is not None or self.tau is not None:
            result.initialize_optimizer()  # of the new head
        self.first_stage_ = first
        self.final_estimator_ = None if stage is None else stage.estimator
        self.scale_ = None if stage is None else stage.scale
        self.on_features_ = stage is not None and stage.on_features
        self.estimator_ = result

    def _put_in_place(self, result: Any, stage: SecondStage) -> None:
        """Give the first stage's estimator the head and the statistics of the second."""
        second = stage.estimator
        for_others = not np.array_equal(result.classes_, second.classes_)
        put_head(result.module_, stage.head, stage.network.get_submodule(stage.head))
        own, reached = result.module_.state_dict(), stage.network.state_dict()
        with torch.no_grad():
            for name, tensor in reached.items():  # those of second norm layers stay
                own[name].copy_(tensor)
        for name in ("classes_inferred_", "class_names_", "class_count_"):
            setattr(result, name, getattr(second, name))
        vars(result).pop("image_reader_", None)  # of the files of the first stage
        result.classes = second.classes
        result.set_params(logit_adjustment=second.logit_adjustment)
        if for_others:
            _forget_other_classes(result)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    @property
    def classes_(self) -> np.ndarray:
        """Labels, in the order of the columns of `predict_proba`."""
        return self._result.classes_

    @property
    def class_count_(self) -> np.ndarray:
        """Rows of each class that the last stage was trained on."""
        return self._result.class_count_

    @property
    def image_reader_(self) -> Any:
        """How image files are read; `estimator_` has it."""
        return self._result.image_reader_

    @image_reader_.setter
    def image_reader_(self, reader: Any) -> None:
        self._result.image_reader_ = reader

    @property
    def n_features_in_(self) -> int:
        """Number of values in a row."""
        return self._result.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of columns, where X had them."""
        return self._result.feature_names_in_

    @property
    def interrupted_(self) -> bool:
        """Whether Ctrl-C ended the second stage; the head is then as far as it came."""
        check_is_fitted(self)
        return bool(getattr(self.final_estimator_, "interrupted_", False))

    @property
    def _result(self) -> Any:
        if not hasattr(self, "estimator_"):
            raise AttributeError(f"This {type(self).__name__} is not fitted: call fit first.")
        return self.estimator_

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row.

        Parameters
        ----------
        X : array-like or torch.Tensor
            Images of the shape that was fitted, in any accepted layout.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class for each row.

        Parameters
        ----------
        X : array-like or torch.Tensor
            Images of the shape that was fitted, in any accepted layout.

        Returns
        -------
        ndarray of shape (n, n_classes), dtype float32
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy on images and labels.

        Parameters
        ----------
        X : array-like, torch.Tensor or data set
            Images of the shape that was fitted.
        y : array-like of shape (n,) or None, default=None
            Labels; None takes those of a data set.
        sample_weight : array-like of shape (n,) or None, default=None
            How much each row counts.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y, sample_weight)

    # --- files ---

    def save(self, path: str | PathLike[str]) -> None:
        """Write the result, one network, to one file without code; see `OPeNClassifier.save`.

        `OPeNClassifier.load` reads it, too.

        Parameters
        ----------
        path : str or path
            Name of the file.
        """
        check_is_fitted(self)
        self.estimator_.save(path)

    @classmethod
    def load(cls, path: str | PathLike[str], module: Any = None, **params: Any) -> Any:
        """Return what `save` wrote: the first stage of it is frozen, and there is no second.

        Parameters
        ----------
        path : str or path
            Name of the file.
        module : class, callable, torch.nn.Module or None, default=None
        **params : dict
            As for `OPeNClassifier.load`.

        Returns
        -------
        DecoupledClassifier
            Fitted.
        """
        loaded = OPeNClassifier.load(path, module, **params)
        return cls(FrozenEstimator(loaded)).fit(None)  # nothing is trained

    def to_torch(self) -> torch.nn.Module:
        """Return a copy of the network that takes raw pixels; see `OPeNClassifier.to_torch`."""
        check_is_fitted(self)
        return self.estimator_.to_torch()

    def __sklearn_tags__(self) -> Any:
        """Return what the first stage takes."""
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _forget_other_classes(result: Any) -> None:
    """Set what an estimator was told of the classes of the first stage, to go on with others."""
    for name in CLASS_NAMES:
        if f"module__{name}" in vars(result):
            setattr(result, f"module__{name}", len(result.classes_))
    if isinstance(result.module, torch.nn.Module):
        result.module = copy.deepcopy(result.module_)
    for name in ("criterion__weight", "criterion__class_counts"):
        vars(result).pop(name, None)
    if isinstance(result.class_weight, dict):
        result.class_weight = None
    result.initialize_criterion()
