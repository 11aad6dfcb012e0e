"""Plans: what fits into the time."""

import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.comparison._candidates import make_candidates, that_share_a_fit
from sklearn_open.comparison._pace import Pace
from sklearn_open.comparison._plan import (
    MARGIN,
    START,
    as_time,
    costs_in_order,
    epochs_for,
    make_plan,
    with_share,
    work_of,
)

PACE = Pace(before=0.001, after=0.002, second=0.0005)


def net(**params):
    settings = {"max_epochs": 100, "batch_size": 50, "start_epoch": 0.8, "random_state": 0}
    return OPeNClassifier(**{**settings, **params})


def groups_of(*methods, **params):
    return that_share_a_fit(make_candidates(net(**params), methods))


def planned(groups, seconds=None, n_folds=None, n_jobs=1, refit=False, n_rows=1000):
    return make_plan(groups, [PACE] * len(groups), n_rows, seconds, n_folds, n_jobs, refit)


def test_epochs_in_common_cost_once():
    groups = groups_of("erm", "logit_adjusted", "drs", "open", "deferred_balanced_softmax")
    works = [work_of(group[0], PACE, 100) for group in groups]
    assert costs_in_order(works) == pytest.approx([8 + 4, 4, 4, 4])
    alone = [work_of(group[0], PACE, 100) for group in groups_of("erm", "ldam_drw", "mixup")]
    assert costs_in_order(alone) == pytest.approx([12, 12, 12])


def test_teachers_and_second_stages_cost_too():
    (m2m,), (crt,) = groups_of("m2m", ("crt", {"final_estimator__max_epochs": 20}))
    assert work_of(m2m, PACE, 100).after == pytest.approx(4 + 10)
    assert work_of(crt, PACE, 100).after == pytest.approx(4 + 20 * 100 * 0.0005)


def test_without_a_limit_it_is_what_was_asked_for():
    plan = planned(groups_of("erm", "drs"), n_folds=4)
    assert (plan.n_folds, plan.max_epochs, plan.share) == (4, 100, 1)
    assert plan.seconds == pytest.approx(MARGIN * 4 * 750 * (0.08 + 0.04 + 0.04))


def test_as_many_folds_as_there_is_time_for():
    groups = groups_of("erm", "drs")
    whole = planned(groups, seconds=1e6)
    assert whole.n_folds == 5
    assert planned(groups, seconds=0.8 * whole.seconds).n_folds == 3
    least = planned(groups, n_folds=3)
    for seconds in (0.5, 0.6, 0.69):  # in steps, so that noise of measurements changes nothing
        assert planned(groups, seconds=seconds * least.seconds).max_epochs == 50
    cut = planned(groups, seconds=least.seconds / 2)
    assert (cut.n_folds, cut.max_epochs) == (3, 50)
    assert cut.seconds == pytest.approx(least.seconds / 2, rel=0.05)
    assert "50 epochs (of 100 that it would be)" in str(cut)


def test_fits_at_once_and_a_last_one_on_all_rows():
    groups = groups_of("erm", "drs")
    one, two = planned(groups, n_folds=4), planned(groups, n_folds=4, n_jobs=2)
    assert two.seconds == pytest.approx(one.seconds / 2 + START)
    more = planned(groups, n_folds=4, refit=True)
    assert more.seconds - one.seconds == pytest.approx(MARGIN * 1000 * (0.08 + 0.04))


def test_too_little_time_is_refused_with_what_is_needed():
    with pytest.raises(ValueError, match=r"nothing can be told. Give it .* or more"):
        planned(groups_of("erm", "drs"), seconds=0.5)


def test_a_candidate_is_cut_as_a_whole():
    own = {"start_epoch": 60, "lr_milestones": (0.5, 80), "warmup_epochs": 10}
    crt, plain, short = make_candidates(
        net(**own),
        [("crt", {"final_estimator__max_epochs": 20}), "erm", ("short", {"max_epochs": 10})],
    )
    cut = with_share(crt, 0.5, 100).estimator
    assert (cut.estimator.max_epochs, cut.final_estimator.max_epochs) == (50, 10)
    for one, share in ((cut.estimator, 0.5), (with_share(plain, 0.25, 100).estimator, 0.25)):
        assert one.max_epochs == 100 * share
        assert (one.start_epoch, one.warmup_epochs) == (60 * share, round(10 * share))
        assert one.lr_milestones == (0.5, 80 * share)
    assert with_share(short, 0.5, 100).estimator.max_epochs == 5
    assert with_share(plain, 1.0, 100) is plain
    assert plain.estimator.max_epochs == 100


def test_second_stages_that_go_by_rows_are_cut_too():
    (crt,) = make_candidates(net(max_epochs="auto", batch_size="auto"), ["crt"])
    second = crt.estimator.final_estimator
    assert second.max_epochs == "auto"
    cut = with_share(crt, 0.5, 400).estimator
    assert cut.final_estimator.max_epochs == epochs_for(second, 400) // 2
    plan = planned([[crt]], seconds=200, n_folds=3, n_rows=600)
    assert plan.share < 1
    assert plan.seconds <= 205


def test_methods_with_epochs_of_their_own_are_planned_by_them():
    groups = groups_of("erm", ("long", {"max_epochs": 400}))
    plan = planned(groups, n_folds=4)
    assert plan.seconds == pytest.approx(MARGIN * 4 * 750 * (0.12 + 0.48))


def test_epochs_that_the_size_of_the_data_decides():
    few, many = (epochs_for(net(max_epochs="auto", batch_size=50), n) for n in (200, 20_000))
    assert few > many
    assert epochs_for(net(max_epochs="auto", batch_size="auto"), 200) > 0
    assert epochs_for(net(max_epochs="auto", batch_size=-1), 200) > 0


def test_times_as_they_are_said():
    assert [as_time(s) for s in (0.1, 40, 120, 9000)] == ["1 s", "40 s", "2 min", "2.5 h"]
