"""From names of methods to estimators, and which of them one fit will do for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_open._parameters.table import component
from sklearn_open._persistence.fingerprint import comparable, hash_of
from sklearn_open._recipes._methods import METHODS, Method, get_method, list_methods
from sklearn_open._warnings import warn_user
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.losses._base import ClassCountLoss
from sklearn_open.losses._names import LOSSES
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler
from sklearn_open.recipes._make import is_for_both_stages, make_classifier

__all__ = ["DEFAULT_METHODS", "Candidate", "last_step_of", "make_candidates", "that_share_a_fit"]

# Plain training and what shares its epochs: a correction that costs nothing, duplicates, noise, the
# prior in the loss, and noise with half of that correction.
DEFAULT_METHODS: tuple[Any, ...] = (
    "erm",
    "logit_adjusted",
    "drs",
    "open",
    "deferred_balanced_softmax",
    ("open", {"logit_adjustment": 0.5}),
)
NEAR = 0.7  # likeness of a name of one's own to a method's that is probably a slip
PLACES = ("memory", "checkpoint", "verbose")  # of a machine, or of what is printed


@dataclass(frozen=True)
class Candidate:
    """One method that is compared.

    Attributes
    ----------
    name : str
        What the tables call it.
    parameters : dict
        What it sets.
    estimator : estimator
        Not fitted.
    """

    name: str
    parameters: dict[str, Any]
    estimator: Any

    @property
    def logit_adjustment(self) -> float:
        """Strength of the correction of predictions, which costs no training."""
        return float(getattr(last_step_of(self.estimator), "logit_adjustment", 0.0))

    def key(self, *, without_correction: bool = False) -> str:
        """Return a digest of all that its fit depends on besides rows and machine.

        Raises
        ------
        ValueError
            For parameters that cannot be compared between processes.
        """
        estimator = clone(self.estimator)
        net = last_step_of(estimator)
        own: dict[str, Any] = {name: None for name in PLACES if name in net.get_params(deep=False)}
        if "verbose" in own:
            own["verbose"] = 0
        if without_correction and self.corrects_afterwards:
            own["logit_adjustment"] = 0.0
        net.set_params(**own)
        return hash_of(_comparable(estimator))

    @property
    def corrects_afterwards(self) -> bool:
        """Whether its correction has no part in training.

        Rows that are held out, or callbacks, may look at corrected predictions while it trains.
        """
        net = last_step_of(self.estimator)
        return isinstance(net, OPeNClassifier) and net.train_split is None and not net.callbacks


def _comparable(estimator: Any) -> Any:
    """Return an estimator, or a pipeline, as something that hashes."""
    if isinstance(estimator, Pipeline):
        return [(name, comparable(step)) for name, step in estimator.steps]
    return comparable(estimator)


def make_candidates(estimator: Any, methods: Any) -> list[Candidate]:
    """Return the methods to compare, as estimators.

    Parameters
    ----------
    estimator : OPeNClassifier or Pipeline
        What they have in common.
    methods : "all" or sequence of str or of tuple (str, dict)
        Names, with parameters in place of theirs or beside them; or names and parameters of one's
        own.

    Raises
    ------
    TypeError
        For an estimator, or methods, of another kind.
    ValueError
        For a name that there is not, two methods that are the same, and an estimator that has an
        answer to imbalance of its own.
    """
    check_is_plain(estimator)
    asked = [(name, {}) for name in list_methods()] if methods == "all" else _pairs(methods)
    repeated = Counter(name for name, _ in asked)
    made = [
        Candidate(
            _label(name, own) if repeated[name] > 1 else name, *_estimator_of(estimator, name, own)
        )
        for name, own in asked
    ]
    _check_all_differ(made)
    return made


def last_step_of(estimator: Any) -> Any:
    """Return the last step of a pipeline, or the estimator."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def that_share_a_fit(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Return candidates in groups that differ by their correction alone: one fit is for all."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        parameters = dict(candidate.parameters)
        if candidate.corrects_afterwards:
            parameters.pop("logit_adjustment", None)
        groups.setdefault(_digest(parameters, candidate), []).append(candidate)
    return list(groups.values())


def _digest(parameters: dict[str, Any], candidate: Candidate) -> str:
    """Return a digest of what a method sets; of what has none, one that no other method has."""
    two_stages = not isinstance(last_step_of(candidate.estimator), OPeNClassifier)
    try:
        return hash_of(comparable([parameters, two_stages]))
    except ValueError:
        return candidate.name


def _pairs(methods: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise TypeError(
            f"methods={methods!r}: pass a list of names, as {list(METHODS)[:3]}, of (name, "
            "parameters), or 'all'."
        )
    pairs: list[tuple[str, dict[str, Any]]] = []
    for method in methods:
        is_pair = isinstance(method, (tuple, list)) and len(method) == 2
        name, parameters = method if is_pair else (method, {})
        if not isinstance(name, str) or not isinstance(parameters, dict):
            raise TypeError(
                f"methods holds {method!r}: pass a name, or a pair of a name and a dict of "
                "parameters."
            )
        if not parameters:
            get_method(name)  # or it says which there are
        elif name not in METHODS and (near := get_close_matches(name, METHODS, 1, NEAR)):
            warn_user(
                f"{name!r} is a name of your own, so its parameters are set on the estimator as it "
                f"is. If {near[0]!r} is meant, write it so."
            )
        pairs.append((name, parameters))
    if not pairs:
        raise ValueError("methods is empty: there is nothing to compare.")
    return pairs


def _label(name: str, own: dict[str, Any]) -> str:
    text = ", ".join(f"{parameter}={value}" for parameter, value in own.items())
    return f"{name} ({text})" if own else name


def _check_all_differ(candidates: list[Candidate]) -> None:
    seen: dict[str, str] = {}
    names: set[str] = set()
    for candidate in candidates:
        digest = _digest(candidate.parameters, candidate)
        other = seen.setdefault(digest, candidate.name)
        if other != candidate.name or candidate.name in names:
            raise ValueError(
                f"The methods {other!r} and {candidate.name!r} are the same: leave one out."
            )
        names.add(candidate.name)


# --- one method, on the estimator that all have in common ---


def check_is_plain(estimator: Any) -> None:
    """Refuse an estimator that would bring an answer to imbalance into plain training, too."""
    net = last_step_of(estimator)
    if not isinstance(net, OPeNClassifier):
        raise TypeError(
            f"estimator is a {type(net).__name__}: pass an OPeNClassifier (or a pipeline that ends "
            "in one) with what all methods have in common: network, augmentation, epochs."
        )
    has = []
    if net.class_weight is not None:
        has.append(f"class_weight={net.class_weight!r}")
    if net.logit_adjustment != 0:
        has.append(f"logit_adjustment={net.logit_adjustment!r}")
    loss = LOSSES.get(net.criterion) if isinstance(net.criterion, str) else net.criterion
    if isinstance(loss, type) and issubclass(loss, ClassCountLoss):
        has.append(f"criterion={net.criterion!r}")
    if has:
        raise ValueError(
            f"The estimator has {' and '.join(has)}, which would be part of every method, of plain "
            "training, too. Leave it out, and pass a combination as a method of its own: "
            "methods=['erm', ('open', {'logit_adjustment': 0.5})]."
        )
    if net.distributed:
        raise ValueError(
            "The estimator has distributed=True, and a comparison is many fits, which n_jobs= "
            "trains at the same time. Pass distributed=False, and train the best method on several "
            "ranks afterwards."
        )
    if net.checkpoint is not None:
        raise ValueError(
            "The estimator has a checkpoint, a folder of one training, and these are many. Pass "
            "checkpoint=None; with memory= a comparison goes on where it was ended."
        )


def _estimator_of(estimator: Any, name: str, own: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return what a method sets, and the estimator with it."""
    made = clone(estimator)
    net = last_step_of(made)
    if name not in METHODS:
        parameters, result = own, _with(net, own)
    else:
        method = get_method(name)
        parameters = {**_without_parts(method.parameters, own), **own}
        result = _two_stages(net, method, own) if method.n_stages == 2 else _named(net, parameters)
    if isinstance(made, Pipeline):
        made.steps[-1] = (made.steps[-1][0], result)
        return parameters, made
    return parameters, result


def _named(net: OPeNClassifier, parameters: dict[str, Any]) -> OPeNClassifier:
    if "resampler" not in parameters and net.resampler is None:
        parameters = {"resampler": PureNoiseOverSampler, **parameters}
    return _with(net, parameters)


def _with(net: OPeNClassifier, parameters: dict[str, Any]) -> OPeNClassifier:
    """Return a classifier with other parameters; those of parts that it replaces go with them."""
    common = net.get_params(deep=False)
    changed = {n: v for n, v in parameters.items() if n in common and common[n] is not v}
    kept = _without_parts(common, {n: v for n, v in changed.items() if n != "module"})
    return type(net)(**{**kept, **parameters})


def _without_parts(common: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """Return parameters without those of parts that are changed: ``criterion__tau`` and the like.

    Of a pair given together, ``criterion`` and ``criterion__tau``, nothing is lost: what is given
    comes on top.
    """
    return {
        name: value
        for name, value in common.items()
        if "__" not in name or component(name) not in changed
    }


def _two_stages(net: OPeNClassifier, method: Method, own: dict[str, Any]) -> DecoupledClassifier:
    """Return both stages: the first as the estimator with what the method sets of it."""
    of_both = {
        name: value
        for name, value in net.get_params(deep=False).items()
        if is_for_both_stages(name) and f"final_estimator__{name}" not in method.parameters
    }
    # The second stage, too, trains for as long as the number of rows says.
    recipe = "folder" if net.max_epochs == "auto" else None
    made = make_classifier(recipe, method.name, **{**of_both, **own})
    assert isinstance(made, DecoupledClassifier)
    of_first = {
        name.removeprefix("estimator__"): value
        for name, value in {**method.parameters, **own}.items()
        if name not in vars(made) and not name.startswith("final_estimator__")
    }
    return made.set_params(estimator=_with(net, of_first))
