"""Every parameter of the estimator has a row of its own in the table, or that of its family."""

import inspect

import pytest
from skorch import NeuralNetClassifier

from sklearn_open import OPeNClassifier
from sklearn_open._parameters import checks
from sklearn_open._parameters.settings import check_settings
from sklearn_open._parameters.table import TABLE, Parameter, names_where, parameter
from sklearn_open.backbones import SmallCNN

ROWS = {row.name: row for row in TABLE}


def families(net):
    net = net.initialize()  # skorch notes then what networks, losses and optimisers are called
    return {f"{prefix}__" for prefix in net.prefixes_}


def make(cls=OPeNClassifier, **params):
    return cls(SmallCNN(in_channels=1, num_classes=2), **params)


def without_row(net):
    return ({*net.get_params(deep=False)} | families(net)) - ROWS.keys()


def test_every_parameter_has_a_row():
    assert not without_row(make())


def test_names_of_skorch_and_of_the_signature_have_rows():
    for cls in (NeuralNetClassifier, OPeNClassifier):
        names = set(inspect.signature(cls).parameters) - {"args", "kwargs"}
        assert names <= ROWS.keys(), cls


def test_rows_are_of_parameters_that_there_are():
    net = make()
    known = families(net) | set(net.get_params(deep=False))
    for name in ROWS:
        assert name in known or name.replace("__", "__ ").split()[0] in known, name
    assert len(ROWS) == len(TABLE)


class WithOneMore(OPeNClassifier):
    """A throw-away parameter: of a subclass."""

    def __init__(self, module=None, *, thrown_away=1.0, **kwargs):
        super().__init__(module, **kwargs)
        self.thrown_away = thrown_away


def test_a_new_parameter_needs_a_row(monkeypatch):
    net = make(WithOneMore, thrown_away=-1)
    assert without_row(net) == {"thrown_away"}
    check_settings(net)  # what has no row has no check

    row = Parameter("thrown_away", shared=False, check=checks.decay)
    monkeypatch.setitem(parameter.__globals__["_ROWS"], "thrown_away", row)
    with pytest.raises(ValueError, match="thrown_away=-1 is not a factor"):
        check_settings(net)


@pytest.mark.parametrize("field", ["kept"])
def test_meanings_are_known(field):
    assert {getattr(row, field) for row in TABLE} == {"value", "name", "fetched", "not"}
    for row in TABLE:
        assert row.name in names_where(**{field: getattr(row, field)})


def test_what_the_shared_phase_depends_on_a_checkpoint_does_too():
    assert not [row.name for row in TABLE if row.shared and not row.identity]
