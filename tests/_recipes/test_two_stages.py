"""Methods of two stages: what each is made of."""

import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier
from sklearn_open.recipes import get_method, list_methods, make_classifier, method_parameters

NAMES = ["crt", "lws", "tau_norm", "mislas", "balms"]


def test_their_names():
    assert list_methods(2) == NAMES
    assert list_methods() == [*list_methods(1), *NAMES]
    assert {"m2m", "m2m_ldam"} <= set(list_methods(1))
    with pytest.raises(ValueError, match="n_stages=3"):
        list_methods(3)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_a_decoupled_classifier(name):
    final = MetaSampledClassifier() if name == "balms" else OPeNClassifier()
    clf = DecoupledClassifier(OPeNClassifier(), final).set_params(**method_parameters(name))
    made = make_classifier(None, name)
    assert type(made.final_estimator) is type(clf.final_estimator)
    for parameter, value in method_parameters(name).items():
        assert made.get_params()[parameter] == value == clf.get_params()[parameter]


def test_a_method_prints_both_stages():
    text = repr(get_method("balms"))
    assert "DecoupledClassifier, second stage by MetaSampledClassifier" in text
    assert "with imagenet_lt:" in text
    assert "M2mOverSampler " in repr(get_method("m2m"))


@pytest.mark.parametrize(
    ("recipe", "mixup", "head", "tail", "rate", "shift"),
    [
        ("cifar10_lt_ir100", 1.0, 0.3, 0.0, 0.05, False),
        ("cifar10_lt_ir50", 1.0, 0.2, 0.0, 0.02, False),
        ("cifar100_lt_ir100", 1.0, 0.4, 0.1, 0.02, True),
        ("cifar100_lt_ir50_aa", 1.0, 0.3, 0.0, 0.01, True),
        ("imagenet_lt", 0.2, 0.3, 0.0, 0.005, True),
        ("places_lt_aa", 0.2, 0.4, 0.1, 0.005, True),
    ],
)
def test_mislas_for_each_data_set(recipe, mixup, head, tail, rate, shift):
    clf = make_classifier(recipe, "mislas")
    final = clf.final_estimator.get_params()
    assert (clf.estimator.mixup, clf.shift_norm, clf.weight_scaling) == (mixup, shift, True)
    assert (final["criterion__head"], final["criterion__tail"]) == (head, tail)
    assert final["optimizer__param_groups"] == [("head.linear*", {"lr": rate})]


def test_balms_for_large_sets():
    final = make_classifier("imagenet_lt", "balms").final_estimator
    assert (final.meta_power, final.meta_lr, final.meta_batch_size) == (0.1, 0.001, 1024)
    assert (final.max_epochs, final.lr, final.batch_size) == (20, 0.5, 512)
    assert make_classifier("places_lt", "balms").final_estimator.batch_size == 256


def test_what_a_second_stage_has_of_the_recipe():
    clf = make_classifier("cifar10_lt_ir100", "crt", random_state=3, augment="flip_crop", lr=0.2)
    assert clf.estimator.module == clf.estimator.get_params()["module"]
    assert clf.estimator.lr == 0.2
    final = clf.final_estimator
    assert (final.lr, final.augment, final.random_state) == (0.1, "flip_crop", 3)
    assert final.get_params()["optimizer__weight_decay"] == 2e-4
    assert (final.module, final.max_epochs) == (None, 10)


def test_overrides_reach_their_stage(tmp_path):
    clf = make_classifier(
        None,
        "mislas",
        max_epochs=5,
        module__head="linear",
        shift_norm=True,
        memory=tmp_path,
        checkpoint=tmp_path / "c",
        batch_size=8,
        iterator_train__num_workers=1,
        estimator__mixup=0.3,
        final_estimator__max_epochs=2,
        final_estimator__criterion="balanced_softmax",
    )
    assert (clf.shift_norm, clf.memory, clf.checkpoint) == (True, tmp_path, tmp_path / "c")
    assert (clf.estimator.max_epochs, clf.estimator.mixup) == (5, 0.3)
    final = clf.final_estimator
    assert (final.max_epochs, final.criterion, final.batch_size) == (2, "balanced_softmax", 8)
    assert "criterion__head" not in final.get_params()
    for stage in (clf.estimator, final):
        assert stage.get_params()["iterator_train__num_workers"] == 1
    assert clf.estimator.memory is None


def test_rates_of_groups_keep_their_ratio():
    clf = make_classifier("cifar10_lt_ir100", "mislas", final_estimator__lr=0.01)
    (group,) = clf.final_estimator.get_params()["optimizer__param_groups"]
    assert group == ("head.linear*", {"lr": pytest.approx(0.005)})
    own = [("head*", {"lr": 1.0})]
    clf = make_classifier(
        None, "mislas", final_estimator__lr=0.01, final_estimator__optimizer__param_groups=own
    )
    assert clf.final_estimator.get_params()["optimizer__param_groups"] == own


@pytest.mark.parametrize("stage", ["estimator", "final_estimator"])
def test_whole_stages_are_refused(stage):
    with pytest.raises(ValueError, match=f"{stage}= is made here"):
        make_classifier(None, "crt", **{stage: OPeNClassifier()})
