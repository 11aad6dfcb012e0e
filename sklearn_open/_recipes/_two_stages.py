"""Methods of two stages: a `DecoupledClassifier`, features first and then the head."""

from __future__ import annotations

from typing import Any

from sklearn_open._recipes._recipe import Method, Setting

__all__ = ["TWO_STAGES"]

_KANG = "Kang et al. 2020"
_MISLAS = "Zhong et al. 2021"
_BALMS = "Ren et al. 2020"
_SCALE_RATE = "head.linear*"  # the layer under the scale, in the second stage's optimiser


def _final(name: str, value: Any, source: str, filled: bool = False) -> Setting:
    return Setting(f"final_estimator__{name}", value, source, filled)


_PLAIN_FIRST = Setting("estimator__resampler", None, f"{_KANG}: rows as they are")
_BALANCED = (
    _final("delta", 0, f"{_KANG}: class-balanced rows; no noise"),
    _final("start_epoch", 0, "from its first epoch on"),
)
_TEN_EPOCHS = (
    _final("max_epochs", 10, f"{_KANG}, section 5.1"),
    _final("lr_decay", "cosine", f"{_KANG}, section 5.1"),
)


def _label_aware(
    source: str, head: float, tail: float, factor: float, shift: bool, mixup: float = 1.0
) -> tuple[Setting, ...]:
    """Return what MiSLAS has for one data set: at a rate of 0.1, the layer learns by a factor."""
    groups = [(_SCALE_RATE, {"lr": round(0.1 * factor, 6)})]
    return (
        Setting("estimator__mixup", mixup, source),
        _final("criterion__head", head, source),
        _final("criterion__tail", tail, source),
        _final("optimizer__param_groups", groups, f"{source}: classifier lr factor {factor}"),
        Setting("shift_norm", shift, source),
    )


_BUDGET = "own choice, docs/budget.md: as long as the first stage"
_FOR_FOLDER: dict[str, tuple[Setting, ...]] = {
    "folder": (_final("max_epochs", "auto", _BUDGET), _final("batch_size", "auto", _BUDGET))
}
_MISLAS_CODE = f"{_MISLAS}, code"
_MISLAS_FOR = {
    "cifar10_lt_ir100": _label_aware(_MISLAS_CODE, 0.3, 0.0, 0.5, shift=False),
    "cifar10_lt_ir50": _label_aware(_MISLAS_CODE, 0.2, 0.0, 0.2, shift=False),
    "cifar100_lt_ir100": _label_aware(_MISLAS_CODE, 0.4, 0.1, 0.2, shift=True),
    "cifar100_lt_ir50": _label_aware(_MISLAS_CODE, 0.3, 0.0, 0.1, shift=True),
    "imagenet_lt": _label_aware(_MISLAS_CODE, 0.3, 0.0, 0.05, shift=True, mixup=0.2),
    "places_lt": _label_aware(_MISLAS_CODE, 0.4, 0.1, 0.05, shift=True, mixup=0.2),
    **_FOR_FOLDER,
}
_BALMS_FOR = {
    "imagenet_lt": (
        _final("meta_power", 0.1, f"{_BALMS}, code"),
        _final("meta_lr", 0.001, f"{_BALMS}, code"),
        _final("meta_batch_size", 1024, f"{_BALMS}, code"),
        _final("max_epochs", 20, f"{_BALMS}, code"),
        _final("lr", 0.5, f"{_BALMS}, code"),
    ),
    "places_lt": (
        _final("meta_power", 0.3, f"{_BALMS}, code"),
        _final("meta_lr", 0.001, f"{_BALMS}, code"),
        _final("meta_batch_size", 512, f"{_BALMS}, code"),
        _final("max_epochs", 10, f"{_BALMS}, code"),
        _final("batch_size", 256, f"{_BALMS}, code"),
        _final("lr", 0.02, f"{_BALMS}, code"),
    ),
    **_FOR_FOLDER,
}

TWO_STAGES = (
    Method(
        "crt",
        "a fresh head, trained on balanced rows after plain training",
        (
            _PLAIN_FIRST,
            Setting("head", "fresh", f"{_KANG}, section 4.1: classifier re-training"),
            *_BALANCED,
            *_TEN_EPOCHS,
        ),
        "OPeNClassifier",
        _FOR_FOLDER,
    ),
    Method(
        "lws",
        "a factor for each logit, learnt on balanced rows after plain training",
        (
            _PLAIN_FIRST,
            Setting("weight_scaling", True, f"{_KANG}, section 4.4: learnable weight scaling"),
            *_BALANCED,
            *_TEN_EPOCHS,
            _final(
                "optimizer__param_groups", [(_SCALE_RATE, {"lr": 0.0})], f"{_KANG}: weights fixed"
            ),
        ),
        "OPeNClassifier",
        _FOR_FOLDER,
    ),
    Method(
        "tau_norm",
        "weights of the head divided by a power of their length after plain training",
        (
            _PLAIN_FIRST,
            Setting("final_estimator", None, f"{_KANG}, section 4.3: nothing is trained"),
            Setting("tau", 0.7, f"{_KANG} choose it on rows held out, from 0 to 1", filled=True),
        ),
        "None",
    ),
    Method(
        "mislas",
        "mixup, then the head and a factor for each logit by label-aware smoothing",
        (
            Setting("estimator__resampler", None, f"{_MISLAS}, stage 1: rows as they are"),
            Setting("head", "kept", f"{_MISLAS}, stage 2"),
            Setting("weight_scaling", True, f"{_MISLAS}, stage 2"),
            _final("delta", 0, f"{_MISLAS}: class-balanced rows; no noise"),
            _final("start_epoch", 0, "from its first epoch on"),
            _final("max_epochs", 10, f"{_MISLAS}, code"),
            _final("lr", 0.1, f"{_MISLAS}, code"),
            _final("lr_decay", "cosine", f"{_MISLAS}, code"),
            _final("criterion", "label_aware_smoothing", _MISLAS),
            *_label_aware(f"{_MISLAS}, code, CIFAR-10 at 100", 0.3, 0.0, 0.5, shift=False),
        ),
        "OPeNClassifier",
        _MISLAS_FOR,
    ),
    Method(
        "balms",
        "a fresh head by Balanced Softmax, on rows whose classes are drawn at learnt rates",
        (
            Setting("estimator__resampler", None, f"{_BALMS}: rows as they are"),
            Setting("head", "fresh", f"{_BALMS}, decoupled training"),
            Setting("shift_norm", True, f"{_BALMS}, code: batch norm stays in training mode"),
            _final("start_epoch", 0, "from its first epoch on"),
            _final("max_epochs", 83, f"{_BALMS}, code: 2,000 steps of 512 of 12,406 rows"),
            _final("batch_size", 512, f"{_BALMS}, code, CIFAR"),
            _final("lr", 0.1, f"{_BALMS}, code, CIFAR"),
            _final("lr_decay", "cosine", f"{_BALMS}, code"),
            _final("warmup_epochs", 0, f"{_BALMS}, code: of the base only"),
            _final("optimizer__weight_decay", 5e-4, f"{_BALMS}, code"),
            _final("criterion", "balanced_softmax", _BALMS),
            _final("meta_power", 0.0, f"{_BALMS}, code, CIFAR"),
            _final("meta_lr", 0.01, f"{_BALMS}, code, CIFAR"),
        ),
        "MetaSampledClassifier",
        _BALMS_FOR,
    ),
)
