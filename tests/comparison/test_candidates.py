"""From names to estimators: what a method sets, and which fits are one."""

import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.comparison import DEFAULT_METHODS
from sklearn_open.comparison._candidates import make_candidates, that_share_a_fit
from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier
from sklearn_open.losses import BalancedSoftmaxLoss
from sklearn_open.recipes import get_method, list_methods


def net(**params):
    return OPeNClassifier("resnet20", max_epochs=7, random_state=0, **params)


def test_each_method_is_the_estimator_with_what_the_method_sets():
    for candidate in make_candidates(net(lr=0.03), "all"):
        method = get_method(candidate.name)
        params = candidate.estimator.get_params()
        first = "estimator__" if method.n_stages == 2 else ""
        assert (params[f"{first}max_epochs"], params[f"{first}lr"]) == (7, 0.03)
        assert params[f"{first}module"] == "resnet20"
        for name, value in method.parameters.items():
            assert params[name] == value, (candidate.name, name)
    assert [one.name for one in make_candidates(net(), "all")] == list_methods()


def test_two_stages_are_two_stages():
    crt, balms = make_candidates(net(augment="flip_crop"), ["crt", "balms"])
    assert isinstance(crt.estimator, DecoupledClassifier)
    assert isinstance(balms.estimator.final_estimator, MetaSampledClassifier)
    assert balms.estimator.final_estimator.augment == "flip_crop"
    (own,) = make_candidates(net(), [("crt", {"final_estimator__max_epochs": 3, "mixup": 0.2})])
    assert (own.estimator.final_estimator.max_epochs, own.estimator.estimator.mixup) == (3, 0.2)


def test_plain_training_as_the_estimator_does_not_make_noise_of_nothing():
    """With resampler=None, "open" would be plain training under another name."""
    plain, noisy = make_candidates(net(resampler=None), ["erm", "open"])
    assert plain.estimator.resampler is None
    assert noisy.estimator.resampler is PureNoiseOverSampler
    (own,) = make_candidates(net(resampler=RandomOverSampler), ["drs"])
    assert own.estimator.resampler is RandomOverSampler


def test_parameters_of_a_part_go_with_it():
    base = net(criterion="cross_entropy", criterion__label_smoothing=0.1)
    smooth, balanced, ldam = make_candidates(base, ["erm", "balanced_softmax", "ldam_drw"])
    assert smooth.estimator.criterion__label_smoothing == 0.1
    assert not hasattr(balanced.estimator, "criterion__label_smoothing")
    assert ldam.estimator.module == "resnet20"
    (own,) = make_candidates(base, [("lade", {"criterion": "focal", "criterion__gamma": 1.0})])
    assert own.estimator.criterion == "focal"
    assert not hasattr(own.estimator, "criterion__alpha")


def test_methods_of_ones_own():
    candidates = make_candidates(
        net(), ["open", ("open", {"delta": 0.5}), ("half", {"delta": 0.25, "mixup": 0.2})]
    )
    assert [one.name for one in candidates] == ["open", "open (delta=0.5)", "half"]
    assert [one.estimator.delta for one in candidates] == [1 / 3, 0.5, 0.25]
    assert candidates[2].parameters == {"delta": 0.25, "mixup": 0.2}


def test_one_fit_is_for_all_that_differ_by_a_correction_alone():
    groups = that_share_a_fit(make_candidates(net(), DEFAULT_METHODS))
    assert [[one.name for one in group] for group in groups] == [
        ["erm", "logit_adjusted"],
        ["drs"],
        ["open", "open (logit_adjustment=0.5)"],
        ["deferred_balanced_softmax"],
    ]


@pytest.mark.parametrize("looks", [{"train_split": print}, {"callbacks": [("own", object())]}])
def test_what_looks_at_predictions_in_training_gets_fits_of_its_own(looks):
    candidates = make_candidates(net(), ["erm", "logit_adjusted"])
    for candidate in candidates:
        candidate.estimator.set_params(**looks)
        assert not candidate.corrects_afterwards


def test_pipelines_are_compared_with_their_last_step():
    pipeline = make_pipeline(FunctionTransformer(), net())
    plain, crt = make_candidates(pipeline, ["erm", "crt"])
    assert plain.estimator[-1].resampler is None
    assert isinstance(crt.estimator[-1], DecoupledClassifier)
    assert pipeline[-1].resampler is PureNoiseOverSampler  # not changed


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"class_weight": "balanced"}, "class_weight='balanced'"),
        ({"logit_adjustment": 1.0}, "logit_adjustment=1.0"),
        ({"criterion": "ldam"}, "criterion='ldam'"),
        ({"criterion": BalancedSoftmaxLoss}, "BalancedSoftmaxLoss"),
        ({"checkpoint": "folder"}, "checkpoint"),
    ],
)
def test_an_estimator_with_an_answer_of_its_own_is_refused(params, word):
    with pytest.raises(ValueError, match=word):
        make_candidates(net(**params), ["erm"])


def test_what_is_no_list_of_methods_is_refused():
    for methods in ("open", 3, None):
        with pytest.raises(TypeError, match="pass a list of names"):
            make_candidates(net(), methods)
    with pytest.raises(TypeError, match="a pair of a name and a dict"):
        make_candidates(net(), [("open", 3)])
    with pytest.raises(ValueError, match="nothing to compare"):
        make_candidates(net(), [])
    with pytest.raises(ValueError, match="Is it 'open'"):
        make_candidates(net(), ["opem"])
    with pytest.raises(TypeError, match="a LogisticRegression"):
        make_candidates(LogisticRegression(), ["erm"])


def test_the_same_method_twice_is_refused():
    for methods in (["open", "open"], ["drs", ("twin", {"delta": 0})]):
        with pytest.raises(ValueError, match="are the same"):
            make_candidates(net(), methods)
