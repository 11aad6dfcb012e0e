"""Run skorch's own tests of its classifier and its net against `OPeNClassifier`.

    pip download --no-deps --no-binary :all: skorch==1.4.0 && tar xzf skorch-1.4.0.tar.gz
    python examples/run_skorch_tests.py skorch-1.4.0

needs pytest and flaky. skorch is imported from the checkout, so give the release that is installed.
The tests make a net by way of a fixture, `net_cls`; here it returns `OPeNClassifier` with skorch's
defaults (no resampler, SGD without momentum, 10 epochs, a hold-out, ...). Failures are compared
with ACCEPTED, below. The exit status is 0 when no other test fails and no accepted one passes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

FILES = ("skorch/tests/test_classifier.py", "skorch/tests/test_net.py")
SUITE = "TestNeuralNet"  # the class, in both files, that makes its nets by `net_cls`

# Start of a test's name in the suite -> why it fails, and rightly so.
DATASET = "validated rows are held in a data set of the package's own, not the one that was given"
COPIED = "a module instance is copied, not trained in place: clone must not carry trained weights"
RAGGED = "rows are images (or a table): of one shape, one label for each"
DICT = "rows are one array: a network with several inputs is not an image classifier's"
SIZES = "predictions and validation choose the size of their batches"
DIVERGED = "a loss that is not finite ends training"
READ = "labels are read from the data set, where skorch gives up"
NAMES = "names of codes are class_names_: predictions are of the kind that y holds, for scorers"
LONGER = "longer items are read: image and label come first"
NEAR = "the sentence has near names"
ACCEPTED = {
    "test_error_when_classes_could_not_be_inferred": READ,
    "test_fit_with_dataset_stratified_without_explicit_y_raises": READ,
    "test_pass_classes_explicitly_overrides": NAMES,
    "test_fit_with_dataset_three_items_error": LONGER,
    "test_net_init_missing_dunder_and_unknown": NEAR,
    "test_net_init_one_unknown_argument": NEAR,
    "test_net_init_two_unknown_arguments": NEAR,
    "test_repr_": "the parameters that differ from their defaults are printed, as by scikit-learn",
    "test_predefined_split": DATASET,
    "test_custom_module_is_init_when_default_module_already_is": COPIED,
    "test_modules_reinit_when_both_initialized_but_custom_module_changed": COPIED,
    "test_net_variable_prediction_lengths": RAGGED,
    "test_net_variable_label_lengths": RAGGED,
    "test_data_dict_and_fit_params": DICT,
    "test_batch_count": SIZES,
    "test_callback_is_called[on_batch": SIZES,
    "test_predict_nonlinearity_called_with_predict": SIZES,
    "test_fit_params_passed_to_": DIVERGED,
    "test_with_initialized_module_other_params": DIVERGED,
}


class Substitute:
    """A pytest plugin that puts a class in the place of `net_cls` and keeps the outcomes."""

    def __init__(self, net_cls: type) -> None:
        self.net_cls = net_cls
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> Any:
        import pytest

        if name == SUITE:
            obj.net_cls = pytest.fixture(scope="module")(lambda this: self.net_cls)
        return [] if name.startswith("Test") and name != SUITE else None

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = report.nodeid.rpartition("/")[2].replace(f"::{SUITE}::", "::")
        if report.failed:
            message = getattr(report.longrepr, "reprcrash", None)
            self.failed[name] = str(message.message if message else report.longrepr)
        elif report.when == "call" and report.passed:
            self.passed.append(name)


def with_skorchs_defaults() -> type:
    """Return `OPeNClassifier` as skorch's user knows the class, name included."""
    import numpy as np
    import torch
    from skorch.dataset import ValidSplit

    from sklearn_open import OPeNClassifier
    from sklearn_open._inputs.pixels import PixelScale
    from sklearn_open._training.step import TwoRouteNet
    from sklearn_open.batching import BatchTransform

    defaults = {
        "criterion": torch.nn.NLLLoss,
        "train_split": ValidSplit(5, stratified=True),
        "lr": 0.01,
        "max_epochs": 10,
        "device": "cpu",
        "resampler": None,
        "warmup_epochs": 0,
        "lr_milestones": (),
    }

    class NeuralNetClassifier(OPeNClassifier):
        def __init__(self, module: Any = None, **kwargs: Any) -> None:
            super().__init__(module, **{**defaults, **kwargs})

        def get_params_for_optimizer(self, *args: Any) -> Any:
            return super(OPeNClassifier, self).get_params_for_optimizer(*args)  # no momentum

        @property
        def _default_callbacks(self) -> Any:
            return super(TwoRouteNet, self)._default_callbacks  # no schedule

        def get_split_datasets(self, *args: Any, **kwargs: Any) -> Any:
            datasets = super().get_split_datasets(*args, **kwargs)
            width = datasets[0].X.shape[1]
            scale = PixelScale(np.float64(0), np.float64(1))  # values are left as they are
            self.transform_ = BatchTransform(
                scale, np.zeros(width), np.ones(width), None, None, self.seed_
            )
            return datasets

    NeuralNetClassifier.__qualname__ = NeuralNetClassifier.__name__
    globals()["NeuralNetClassifier"] = NeuralNetClassifier  # where pickle looks for it
    return NeuralNetClassifier


def reason(name: str) -> str | None:
    test = name.partition("::")[2]
    return next((why for start, why in ACCEPTED.items() if test.startswith(start)), None)


def run(checkout: Path, pattern: str, net_cls: type) -> Substitute:
    """Run the suite on a class; skorch's own first tells what fails for other reasons."""
    import pytest

    plugin = Substitute(net_cls)
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "ignore"]
    options += ["--no-flaky-report", "--rootdir", str(checkout), "-k", pattern, "-rN"]
    status = pytest.main([*options, *(str(checkout / file) for file in FILES)], [plugin])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(int(status))
    return plugin


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="a source checkout or unpacked sdist of skorch")
    parser.add_argument("-k", default="", help="only tests whose name contains this (pytest's -k)")
    args = parser.parse_args(argv)
    missing = [file for file in FILES if not (args.checkout / file).is_file()]
    if missing:
        parser.error(
            f"{args.checkout} has no {missing[0]}. Pass the root of skorch's source: a git "
            "checkout, or the sdist (pip download --no-deps --no-binary :all: skorch), unpacked."
        )
    sys.path.insert(0, str(args.checkout.resolve()))
    from skorch import NeuralNetClassifier as original

    baseline = run(args.checkout, args.k, original)
    ours = run(args.checkout, args.k, with_skorchs_defaults())

    counts = dict.fromkeys(("alike", "accepted", "FAILED", "PASSED"), 0)
    for name in sorted({*ours.passed, *ours.failed}):
        why, alike = reason(name), (name in ours.failed) == (name in baseline.failed)
        if name in ours.failed and not alike:
            kind = "accepted" if why else "FAILED"
        else:
            kind = "PASSED" if why and not alike else "alike"
            why = "take it out of ACCEPTED"
        counts[kind] += 1
        if kind != "alike":
            print(f"{kind:<9} {name}\n          {why or ours.failed[name]}")
    print(
        f"\n{counts['alike']} tests as with skorch's own class (with which {len(baseline.failed)} "
        f"fail), {counts['accepted']} differ as accepted, {counts['FAILED']} differ otherwise, "
        f"{counts['PASSED']} pass that are listed as different"
    )
    return int(bool(counts["FAILED"] or counts["PASSED"]))


if __name__ == "__main__":
    raise SystemExit(main())
