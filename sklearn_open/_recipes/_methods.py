"""Methods by name: the parameters that make one of the classifier, each with its source."""

from __future__ import annotations

from typing import Any

from sklearn_open._checks import listed, near_names
from sklearn_open._recipes._recipe import Method, Setting
from sklearn_open._recipes._two_stages import TWO_STAGES
from sklearn_open.over_sampling._m2m import M2mOverSampler

__all__ = ["METHODS", "Method", "get_method", "list_methods", "method_parameters"]


_OPEN = "Zada et al. 2022"
_LDAM = "Cao et al. 2019"
_PLAIN_ROWS = Setting("resampler", None, "rows as they are")
_DELTA = Setting("delta", 1 / 3, f"{_OPEN}, D.1")
_NO_NOISE = Setting("delta", 0, f"{_OPEN}, section 4.3: no noise")
_EFFECTIVE = (
    Setting("class_weight", "effective", f"{_LDAM}, DRW: effective numbers (Cui et al. 2019)"),
    Setting("class_weight__beta", 0.9999, f"{_LDAM}, code; M2m's code has 0.999"),
    Setting("class_weight__reduction", "weighted_mean", f"{_LDAM}, code; M2m's code has 'mean'"),
)
_BALANCED_SOFTMAX = (
    Setting("criterion", "balanced_softmax", "Ren et al. 2020"),
    Setting("criterion__tau", 1.0, "Ren et al. 2020, Eq. 3; Menon et al. 2021, section 5"),
)
_M2M = "Kim et al. 2020"
_TRANSLATED = (
    Setting("resampler", M2mOverSampler, f"{_M2M}; teacher=None trains one first"),
    Setting("resampler__beta", 0.999, f"{_M2M}, script for CIFAR-10; from {{0.9, 0.99, 0.999}}"),
    Setting("resampler__trade_off", 0.5, f"{_M2M}, script; from {{0.01, 0.1, 0.5}}"),
    Setting("resampler__threshold", 0.9, f"{_M2M}, script; from {{0.9, 0.99}}"),
    Setting("resampler__step_size", 0.1, f"{_M2M}, script"),
    Setting("resampler__n_steps", 10, f"{_M2M}, script"),
)
_LDAM_LOSS = (
    Setting("criterion", "ldam", _LDAM),
    Setting("criterion__max_margin", 0.5, f"{_LDAM}, code; 0.3 for iNaturalist"),
    Setting("criterion__scale", 30.0, f"{_LDAM}, code"),
    Setting("module__head", "cosine", f"{_LDAM}, code: normalised features, weights"),
    Setting("module__scale", "ldam", "the scale of the loss, 30"),
)
_MIXUP = Setting("mixup", 1.0, "Zhong et al. 2021, stage 1; Zhang et al. 2018")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("erm", "plain training", (_PLAIN_ROWS,)),
        Method(
            "rs",
            "over-sampling with duplicates from the first epoch on",
            (_NO_NOISE, Setting("start_epoch", 0, f"{_OPEN}, Table 1, Oversampling")),
        ),
        Method("drs", "over-sampling with duplicates, deferred", (_NO_NOISE,)),
        Method("open", "deferred over-sampling, a third of it pure noise", (_DELTA,)),
        Method(
            "open_adjusted",
            "OPeN, and half of the prior divided out of its predictions",
            (
                _DELTA,
                Setting(
                    "logit_adjustment",
                    0.5,
                    "own choice: docs/noise_against_losses.md; by tau, Menon et al. 2021, 4.1",
                    filled=True,
                ),
            ),
        ),
        Method(
            "open_all",
            "OPeN whose noise rows train all weights",
            (_DELTA, Setting("noise_grad", "all", f"{_OPEN}, Eq. 13")),
        ),
        Method(
            "open_aux",
            "OPeN with auxiliary batch norm",
            (_DELTA, Setting("norm", "aux", f"{_OPEN}, Table 4")),
        ),
        Method(
            "open_standard",
            "OPeN with standard batch norm",
            (_DELTA, Setting("norm", "standard", f"{_OPEN}, Table 4")),
        ),
        Method(
            "rw",
            "class weights by effective numbers from the first epoch on",
            (_PLAIN_ROWS, *_EFFECTIVE, Setting("start_epoch", 0, f"{_LDAM}, Table 2, CB RW")),
        ),
        Method("drw", "class weights by effective numbers, deferred", (_PLAIN_ROWS, *_EFFECTIVE)),
        Method(
            "ldam_drw",
            "margins for small classes, and deferred class weights",
            (
                _PLAIN_ROWS,
                *_LDAM_LOSS,
                *_EFFECTIVE,
            ),
        ),
        Method(
            "balanced_softmax",
            "the prior of the training rows inside the loss",
            (
                _PLAIN_ROWS,
                *_BALANCED_SOFTMAX,
                Setting("criterion__prior", "train", "Ren et al. 2020: rows by instance"),
            ),
        ),
        Method(
            "deferred_balanced_softmax",
            "Balanced Softmax after plain training",
            (
                _PLAIN_ROWS,
                Setting("criterion", "deferred", "Cao et al. 2019 defer weights: the same here"),
                Setting("criterion__late", "balanced_softmax", "Ren et al. 2020", filled=True),
            ),
        ),
        Method(
            "logit_adjusted",
            "plain training, whose predictions are divided by the prior",
            (
                _PLAIN_ROWS,
                Setting("logit_adjustment", 1.0, "Menon et al. 2021, section 4.1: post hoc"),
            ),
        ),
        Method(
            "lade",
            "Balanced Softmax and a regulariser of logits",
            (
                _PLAIN_ROWS,
                Setting("criterion", "lade", "Hong et al. 2021"),
                Setting(
                    "criterion__alpha", 0.1, "Hong et al., CIFAR-100 at 100; see LADELoss", True
                ),
                Setting(
                    "criterion__lambda_", 0.01, "Hong et al., CIFAR-100; larger sets more", True
                ),
                Setting("criterion__form", "code", "Hong et al. 2021, code; Eq. 16: 'paper'"),
            ),
        ),
        Method(
            "focal",
            "rows that are right already count less",
            (
                _PLAIN_ROWS,
                Setting("criterion", "focal", "Lin et al. 2017"),
                Setting("criterion__gamma", 2.0, "Lin et al. 2017, section 4"),
            ),
        ),
        Method("mixup", "rows, and their losses, mixed with one another", (_PLAIN_ROWS, _MIXUP)),
        Method(
            "mixup_drs",
            "mixup, with deferred over-sampling",
            (_NO_NOISE, Setting("mixup", 1.0, "as mixup; with deferral: own choice", filled=True)),
        ),
        Method(
            "open_balanced_softmax",
            "OPeN, and Balanced Softmax that follows what epochs draw",
            (
                _DELTA,
                *_BALANCED_SOFTMAX,
                Setting(
                    "criterion__prior",
                    "drawn",
                    "balanced rows need no prior in the loss: own choice",
                    filled=True,
                ),
            ),
        ),
        Method(
            "m2m",
            "images of large classes, moved until a teacher takes them for small ones",
            _TRANSLATED,
        ),
        Method(
            "m2m_ldam",
            "the same, with margins for small classes",
            (*_TRANSLATED, *_LDAM_LOSS),
        ),
        *TWO_STAGES,
    )
}


def list_methods(n_stages: int | None = None) -> list[str]:
    """Return the names of all methods.

    Parameters
    ----------
    n_stages : {1, 2} or None, default=None
        1: those of an `OPeNClassifier`; 2: those of a `DecoupledClassifier`; None: all.

    Returns
    -------
    list of str
        For `get_method`, which says what each is, `method_parameters` and `make_classifier`.
    """
    if n_stages not in (None, 1, 2):
        raise ValueError(f"n_stages={n_stages!r}: pass 1, 2 or None.")
    return [name for name, one in METHODS.items() if n_stages in (None, one.n_stages)]


def get_method(name: str) -> Method:
    """Return a method with the source of each value.

    Parameters
    ----------
    name : str
        One of `list_methods`.

    Returns
    -------
    Method
        Prints as a table.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> from sklearn_open.recipes import get_method
    >>> get_method("focal").title
    'rows that are right already count less'
    """
    if name not in METHODS:
        near = near_names(str(name), METHODS)
        raise ValueError(f"There is no method {name!r}.{near} Use one of {listed(METHODS)}.")
    return METHODS[name]


def method_parameters(name: str) -> dict[str, Any]:
    """Return the parameters that make a method: of `OPeNClassifier`, or of `DecoupledClassifier`.

    Parameters
    ----------
    name : str
        One of `list_methods`.

    Returns
    -------
    dict of str to object
        A copy, usable as a cell of a grid. What it does not name is as the classifier, or its
        recipe, has it. Those of two stages are ``estimator__...``, ``final_estimator__...`` and
        `DecoupledClassifier`'s own; `get_method` knows the class of the second stage.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.recipes import method_parameters
    >>> OPeNClassifier(**method_parameters("drs")).delta
    0
    """
    return get_method(name).parameters
