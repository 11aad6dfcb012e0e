"""What all displays have in common."""

import inspect
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_open import OPeNClassifier, inspection
from sklearn_open.backbones import SmallCNN
from sklearn_open.inspection import (
    ActivationDistributionDisplay,
    BatchDisplay,
    ClassGroupAccuracyDisplay,
    GradientDisplay,
    HeadTailTradeOffDisplay,
    NoiseRobustnessDisplay,
    RebalancedCompositionDisplay,
    TrainingCurvesDisplay,
)
from sklearn_open.inspection._base import make_axes
from sklearn_open.inspection._estimators import fitted_classifier

# What each display's from_estimator needs, and its number of panels.
DISPLAYS = {
    ActivationDistributionDisplay: (lambda X, y: (X[:20],), 3),
    BatchDisplay: (lambda X, y: (X, y), 1),
    ClassGroupAccuracyDisplay: (lambda X, y: (X, y), 1),
    GradientDisplay: (lambda X, y: (X, y), 2),
    HeadTailTradeOffDisplay: (lambda X, y: (X, y), 1),
    NoiseRobustnessDisplay: (lambda X, y: (X[:40], y[:40]), 1),
    RebalancedCompositionDisplay: (lambda X, y: (), 1),
    TrainingCurvesDisplay: (lambda X, y: (), 2),
}


# Shows several estimators; see test_method_comparison.
OF_NO_ESTIMATOR = {inspection.MethodComparisonDisplay}

# What they say of a classifier from a file, which holds no training labels.
NEED_LABELS = {
    ClassGroupAccuracyDisplay: "y_train=",
    NoiseRobustnessDisplay: "y_train=",
    RebalancedCompositionDisplay: "from_labels",
}
WITHOUT_CHANCE = set(DISPLAYS) - {ActivationDistributionDisplay, NoiseRobustnessDisplay}


@pytest.fixture(params=DISPLAYS, ids=lambda display: display.__name__)
def kind(request):
    return request.param


def make(kind, estimator, data, **kwargs):
    if kind is GradientDisplay:
        kwargs.setdefault("n_batches", 2)
    return kind.from_estimator(estimator, *DISPLAYS[kind][0](*data), **kwargs)


@pytest.fixture(scope="module")
def arrays(fitted, named_digits):
    """The arrays of every display, computed once."""
    made = {kind: make(kind, fitted, named_digits) for kind in DISPLAYS}
    plt.close("all")
    return {
        kind: {name: getattr(display, name) for name in inspect.signature(kind).parameters}
        for kind, display in made.items()
    }


@pytest.fixture
def display(kind, arrays):
    return kind(**arrays[kind])


def test_every_display_is_tested():
    found = {d for name, d in vars(inspection).items() if name.endswith("Display")}
    assert found == {*DISPLAYS, *OF_NO_ESTIMATOR}


def test_from_estimator_draws_one_figure(kind, fitted, named_digits):
    display = make(kind, fitted, named_digits)
    assert isinstance(display, kind)
    assert plt.get_fignums() == [display.figure_.number]
    axes = np.ravel(display.ax_)
    assert len(axes) == DISPLAYS[kind][1]
    assert all(ax.figure is display.figure_ for ax in axes)
    display.figure_.canvas.draw()


def test_plot_returns_the_display_and_draws_again(display):
    assert display.plot() is display
    before = display.figure_
    n_artists = [len(ax.get_children()) for ax in np.ravel(display.ax_)]
    assert display.plot().figure_ is not before
    assert n_artists == [len(ax.get_children()) for ax in np.ravel(display.ax_)]
    assert len(plt.get_fignums()) == 2


def test_axes_that_are_given_are_used(kind, display, fitted, named_digits):
    n_panels = DISPLAYS[kind][1]
    figure, axes = plt.subplots(1, n_panels, squeeze=False)
    assert display.plot(ax=axes[0]).figure_ is figure
    assert np.ravel(display.ax_).tolist() == axes[0].tolist()
    assert display.plot(ax=display.ax_).figure_ is figure  # what it left can be given again
    again = make(kind, fitted, named_digits, ax=axes[0])
    assert again.figure_ is figure
    assert len(plt.get_fignums()) == 1


def test_one_axes_is_divided(kind, display):
    figure, (left, right) = plt.subplots(1, 2)
    display.plot(ax=right)
    panels = np.ravel(display.ax_)
    assert len(panels) == DISPLAYS[kind][1]
    figure.canvas.draw()
    assert not left.has_data()
    assert all(panel.get_position().x0 > left.get_position().x1 for panel in panels)
    if len(panels) > 1:
        assert not right.axison
        with pytest.raises(ValueError, match="these axes cannot be divided"):
            display.plot(ax=figure.add_axes((0, 0, 0.1, 0.1)))
        with pytest.raises(ValueError, match=rf"draws in {len(panels)} axes and was given 4"):
            display.plot(ax=[left] * 4)


def test_style_goes_through(kind, display):
    display.plot(alpha=0.25)
    for ax in np.ravel(display.ax_):
        assert any(artist.get_alpha() == 0.25 for artist in ax.get_children())


def test_style_goes_through_from_estimator(kind, fitted, named_digits):
    (ax, *_) = np.ravel(make(kind, fitted, named_digits, alpha=0.25).ax_)
    assert any(artist.get_alpha() == 0.25 for artist in ax.get_children())


def test_an_estimator_that_was_not_fitted_is_refused(kind, unfitted, named_digits):
    if kind is BatchDisplay:  # shows what would be fed
        return
    with pytest.raises(NotFittedError, match="not fitted"):
        make(kind, clone(unfitted), named_digits)
    assert not plt.get_fignums()


def test_an_initialized_estimator_is_refused():
    net = OPeNClassifier(SmallCNN(num_classes=10, in_channels=1)).initialize()
    with pytest.raises(NotFittedError, match="never fitted"):
        TrainingCurvesDisplay.from_estimator(net)


@pytest.fixture(scope="module")
def loaded(fitted, tmp_path_factory):
    """The fitted classifier from a file."""
    path = tmp_path_factory.mktemp("saved") / "net.safetensors"
    fitted.save(path)
    with pytest.warns(UserWarning, match="could not hold these parameters.*callbacks"):
        return OPeNClassifier.load(path)


def test_a_loaded_estimator(kind, loaded, fitted, named_digits):
    """It shows the same, or says that a file holds no training labels and what to do."""
    options = {} if kind in WITHOUT_CHANCE else {"random_state": 0}
    expected = make(kind, fitted, named_digits, **options)
    if kind in NEED_LABELS:
        with pytest.raises(
            ValueError, match=rf"loaded from a file.*{NEED_LABELS[kind]}.*fit again"
        ):
            make(kind, loaded, named_digits)
        if kind is RebalancedCompositionDisplay:
            return
        options["y_train"] = named_digits[1]
    display = make(kind, loaded, named_digits, **options)
    if kind is ActivationDistributionDisplay:  # draws noise from the statistics of the X it gets
        assert display.overlap.shape == (3,)
        return
    for name in inspect.signature(kind).parameters:
        np.testing.assert_array_equal(getattr(display, name), getattr(expected, name))


def test_a_search_that_keeps_no_estimator_is_refused(kind, unfitted, named_digits):
    if kind is BatchDisplay:  # needs no fitted one
        return
    split = PredefinedSplit(np.arange(len(named_digits[1])) % 2 - 1)
    search = GridSearchCV(
        clone(unfitted).set_params(max_epochs=1), {"lr": [0.1]}, cv=split, refit=False
    ).fit(*named_digits)
    with pytest.raises(NotFittedError, match=r"GridSearchCV .* refit=False.* Set refit=True"):
        make(kind, search, named_digits)


@pytest.mark.parametrize("ax", ["x", 5, [None]])
def test_what_is_no_axes_is_refused(display, ax):
    with pytest.raises(TypeError, match=r"ax=.* is no Axes.*what plt.subplots\(\) returns"):
        display.plot(ax=ax)


def test_the_estimator_is_left_as_it_was(kind, fitted, named_digits):
    state = {name: value.clone() for name, value in fitted.module_.state_dict().items()}
    before, plan = dict(vars(fitted)), fitted.epoch_plan(3)
    make(kind, fitted, named_digits)
    assert vars(fitted) == before
    assert all(value.equal(state[name]) for name, value in fitted.module_.state_dict().items())
    assert not any(layer.training for layer in fitted.module_.modules())
    np.testing.assert_array_equal(fitted.epoch_plan(3).index, plan.index)


def test_a_fitted_search_is_taken(kind, unfitted, named_digits):
    split = PredefinedSplit(np.arange(len(named_digits[1])) % 2 - 1)
    search = GridSearchCV(
        clone(unfitted).set_params(max_epochs=1), {"lr": [0.1]}, cv=split, error_score="raise"
    )
    if kind is not BatchDisplay:
        with pytest.raises(NotFittedError):
            make(kind, search, named_digits)
    display = make(kind, search.fit(*named_digits), named_digits)
    assert isinstance(display, kind)


def test_pipelines(kind, fitted, named_digits):
    pipeline = make_pipeline(FunctionTransformer(), fitted)
    if kind in (ClassGroupAccuracyDisplay, HeadTailTradeOffDisplay):
        assert isinstance(make(kind, pipeline, named_digits), kind)
    elif kind is NoiseRobustnessDisplay:
        with pytest.raises(ValueError, match=r"pixel_range=\(0, 255\)"):
            make(kind, pipeline, named_digits)
        made = make(kind, pipeline, named_digits, pixel_range=(0, 16), random_state=0)
        direct = make(kind, fitted, named_digits, random_state=0)
        np.testing.assert_array_equal(made.accuracy, direct.accuracy)
    elif kind in (RebalancedCompositionDisplay, TrainingCurvesDisplay):  # take no X
        expected = make(kind, fitted, named_digits)
        for ends_with_it in (pipeline, make_pipeline(FunctionTransformer(), pipeline)):
            made = make(kind, ends_with_it, named_digits)
            for name in inspect.signature(kind).parameters:
                np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))
        split = PredefinedSplit(np.arange(len(named_digits[1])) % 2 - 1)
        search = GridSearchCV(make_pipeline(clone(fitted)), {}, cv=split).fit(*named_digits)
        assert isinstance(make(kind, search, named_digits), kind)
    else:
        with pytest.raises(TypeError, match="pass the last step"):
            make(kind, pipeline, named_digits)


def test_a_display_is_its_arrays_until_it_is_drawn(kind, display):
    names = set(inspect.signature(kind).parameters)
    assert set(vars(display)) == names
    assert set(vars(display.plot())) >= names | {"ax_", "figure_"}


def test_signatures_and_docstrings(kind):
    for name in ("from_estimator", "plot"):
        method = getattr(kind, name)
        parameters = inspect.signature(method).parameters
        assert parameters["ax"].default is None
        assert parameters["kwargs"].kind is inspect.Parameter.VAR_KEYWORD
        for parameter in set(parameters) - {"self"}:
            assert parameter in inspect.getdoc(method), f"{kind.__name__}.{name}: {parameter}"
    doc = inspect.getdoc(kind)
    for name in [*inspect.signature(kind).parameters, "ax_", "figure_"]:
        assert name in doc


def test_matplotlib_is_imported_for_drawing_only():
    code = (
        "import sys, sklearn_open, sklearn_open.inspection as i\n"
        "i.rebalanced_composition\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_it_says_what_to_install(kind, display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Run pip install matplotlib\.$"):
        display.plot()


def test_agg_is_the_backend():
    assert matplotlib.get_backend() == "agg"


class ClassSizesDisplay:
    """A throw-away display: how many rows the classes have.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Rows of each class.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    """

    def __init__(self, counts):
        self.counts = np.asarray(counts)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Count and draw the training rows of an `estimator`, on `ax`; `kwargs` go to `plot`."""
        codes = fitted_classifier(estimator).planner_.codes
        return cls(np.bincount(codes)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw bars on `ax`; `kwargs` are those of matplotlib's ``bar``."""
        (ax,) = make_axes(self, ax)
        ax.bar(np.arange(len(self.counts)), self.counts, **kwargs)
        return self


def test_a_new_one_needs_a_class_and_a_row(monkeypatch, fitted, unfitted, named_digits):
    monkeypatch.setitem(DISPLAYS, ClassSizesDisplay, (lambda X, y: (), 1))
    kind, data = ClassSizesDisplay, named_digits
    test_signatures_and_docstrings(kind)
    test_from_estimator_draws_one_figure(kind, fitted, data)
    test_style_goes_through_from_estimator(kind, fitted, data)
    test_the_estimator_is_left_as_it_was(kind, fitted, data)
    test_a_fitted_search_is_taken(kind, unfitted, data)
    plt.close("all")
    test_an_estimator_that_was_not_fitted_is_refused(kind, unfitted, data)
    made = make(kind, fitted, data)
    assert made.counts.sum() == len(data[1])
    plt.close("all")
    test_plot_returns_the_display_and_draws_again(kind(made.counts))
    plt.close("all")
    test_axes_that_are_given_are_used(kind, kind(made.counts), fitted, data)
    test_one_axes_is_divided(kind, kind(made.counts))
    test_a_display_is_its_arrays_until_it_is_drawn(kind, kind(made.counts))
