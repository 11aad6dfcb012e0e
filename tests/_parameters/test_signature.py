"""The parameters of a class in full: what `__init__` hands on to its bases is found, too."""

import inspect

from skorch import NeuralNetClassifier

from sklearn_open import OPeNClassifier
from sklearn_open._parameters.signature import defaults


class WithTemperature(OPeNClassifier):
    def __init__(self, module=None, *, temperature=1.0, lr=0.3, **kwargs):
        super().__init__(module, lr=lr, **kwargs)
        self.temperature = temperature


class WithoutInit(WithTemperature):
    pass


class TakesNoOthers(OPeNClassifier):
    def __init__(self, delta=0.5):
        super().__init__(delta=delta)


def in_full(cls):
    parameters = inspect.signature(cls.__init__).parameters
    return {name: p.default for name, p in parameters.items()}


def test_defaults_are_those_nearest_to_the_class():
    assert defaults(WithTemperature)["lr"] == 0.3
    assert defaults(OPeNClassifier)["lr"] == 0.1
    assert defaults(NeuralNetClassifier)["lr"] == 0.01
    assert defaults(WithoutInit)["temperature"] == 1.0
    assert "kwargs" not in defaults(OPeNClassifier)


def test_init_names_what_goes_to_skorch():
    for cls in (OPeNClassifier, WithTemperature, WithoutInit):
        full = in_full(cls)
        assert (full["verbose"], full["warm_start"], full["callbacks"]) == (1, False, None)
        assert set(defaults(cls)) == set(full) - {"self", "kwargs"}
    assert list(in_full(TakesNoOthers)) == ["self", "delta"]


def test_the_class_shows_what_was_written():
    assert "verbose" not in inspect.signature(OPeNClassifier).parameters
    assert list(inspect.signature(WithTemperature).parameters) == [
        "module", "temperature", "lr", "kwargs",
    ]  # fmt: skip
    assert inspect.signature(WithoutInit) == inspect.signature(WithTemperature)
