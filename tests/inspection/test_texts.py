"""Names, titles and legends fit into axes of any size."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt

from sklearn_open.inspection import (
    ActivationDistributionDisplay,
    BatchDisplay,
    ClassGroupAccuracyDisplay,
    GradientDisplay,
    RebalancedCompositionDisplay,
    TrainingCurvesDisplay,
)
from sklearn_open.inspection._texts import short_name

LONG = [f"a rather long class name no. {i:02d}" for i in range(12)]


def own_figure():
    return None


def cell_of_four():
    return plt.subplots(2, 2, figsize=(9, 7))[1][0, 1]


def constrained_cell_of_four():
    return plt.subplots(2, 2, figsize=(9, 7), layout="constrained")[1][0, 1]


PLACES = [own_figure, cell_of_four, constrained_cell_of_four]


def composition(names):
    counts = np.arange(len(names), 0, -1)
    return RebalancedCompositionDisplay(counts, counts, counts, classes=names)


def gradient(names):
    values = np.linspace(1, 2, 2 * len(names)).reshape(2, -1)
    return GradientDisplay(values, values, np.arange(len(names)), classes=names)


def activation():
    density = np.stack([np.exp(-(np.linspace(-2, 2, 60) ** 2))] * 3)
    edges = np.stack([np.linspace(-2, 2, 61)] * 3)
    return ActivationDistributionDisplay(edges, density, density, layer="block3.layer.0.bn1")


def curves(n_epochs=30):
    accuracy = np.linspace(0.1, 0.9, 5 * n_epochs).reshape(n_epochs, 5)
    return TrainingCurvesDisplay(
        np.ones(n_epochs), group_loss=accuracy, group_accuracy=accuracy, start_epoch=n_epochs // 2
    )


def inside(part, whole, slack=1.0):
    return (
        part.x0 >= whole.x0 - slack
        and part.x1 <= whole.x1 + slack
        and part.y0 >= whole.y0 - slack
        and part.y1 <= whole.y1 + slack
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("make", [composition, gradient])
def test_long_names_leave_room_for_bars_and_legends(make, place):
    display = make(LONG).plot(ax=place())
    display.figure_.canvas.draw()
    for ax in np.ravel(display.ax_):
        box = ax.get_window_extent()
        assert box.height > 0.2 * display.figure_.bbox.height / (1 if place is own_figure else 2)
        legend = ax.get_legend().get_window_extent()
        assert inside(legend, box)
        bars = [bar.get_window_extent() for bars in ax.containers for bar in bars]
        assert not any(legend.overlaps(bar) for bar in bars)
        assert ax.yaxis.label.get_window_extent().height <= 1.03 * box.height


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("n_groups", [2, 5, 10])
def test_names_of_groups_do_not_run_together(n_groups, place):
    display = ClassGroupAccuracyDisplay(np.linspace(0.1, 1, n_groups), name="OPeN")
    display.plot(ax=place())
    for _ in range(2):  # and when more is drawn into the same axes
        display.figure_.canvas.draw()
        labels = display.ax_.get_xticklabels()
        if n_groups == 2:
            assert all(label.get_rotation() == 0 for label in labels)
        if labels[0].get_rotation() == 0:
            boxes = [label.get_window_extent() for label in labels]
            assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
        display.plot(ax=display.ax_)
    assert [label.get_rotation() for label in labels] == [labels[0].get_rotation()] * n_groups


@pytest.mark.parametrize("place", PLACES)
def test_panels_do_not_write_over_one_another(place):
    for display in (activation(), curves()):
        display.plot(ax=place())
        display.figure_.canvas.draw()
        titles = [ax.title.get_window_extent() for ax in display.ax_ if ax.get_title()]
        assert not any(a.overlaps(b) for a, b in combinations(titles, 2))
        labels = [ax.yaxis.label.get_window_extent() for ax in display.ax_ if ax.get_ylabel()]
        boxes = [ax.get_window_extent() for ax in display.ax_]
        assert not any(label.overlaps(box) for label in labels for box in boxes)
        (legend,) = (ax.get_legend() for ax in display.ax_ if ax.get_legend())
        extent = legend.get_window_extent()
        assert inside(extent, display.figure_.bbox)
        assert not any(extent.overlaps(label) for label in labels)
        plt.close("all")


def test_a_legend_is_inside_axes_in_a_figure_without_layout():
    _, axes = plt.subplots(1, 2)
    display = curves().plot(ax=axes)
    display.figure_.canvas.draw()
    legend = axes[1].get_legend().get_window_extent()
    assert inside(legend, axes[1].get_window_extent())


def test_gradients_of_many_classes_are_outlines():
    display = gradient(np.arange(100)).plot(alpha=0.5)
    for ax, values in zip(
        display.ax_, (display.magnitude, display.direction_variance), strict=True
    ):
        assert not ax.containers
        outlines = [patch.get_data() for patch in ax.patches]
        np.testing.assert_array_equal([drawn.values for drawn in outlines], values[:, ::-1])
        np.testing.assert_array_equal(outlines[0].edges, np.arange(101) - 0.5)


def test_outlines_of_unknown_values():
    values = np.where(np.arange(60).reshape(2, 30) % 30 > 27, np.nan, 1.0)
    display = GradientDisplay(values, values, np.arange(30)[::-1]).plot()
    display.figure_.canvas.draw()
    for ax in display.ax_:
        drawn = [patch.get_data().values for patch in ax.patches]
        np.testing.assert_array_equal(drawn, values)
        low, high = ax.get_ylim()
        assert low <= 0 < 1 < high < np.inf


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7])
def test_epochs_are_whole(n_epochs):
    display = curves(n_epochs).plot()
    display.figure_.canvas.draw()
    for ax in display.ax_:
        low, high = ax.get_xlim()
        ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
        assert len(ticks)
        assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("length", [4, 5, 12, 16])
def test_short_names_keep_both_ends(length):
    short = short_name("a rather long class name no. 17", length)
    assert len(short) == length
    assert short[0] == "a"
    assert short[-1] == "7"
    assert short_name("abcd", length) == "abcd"
    assert short_name(17, length) == "17"


def test_labels_of_a_batch_with_one_beginning_differ():
    display = BatchDisplay(np.zeros((12, 1, 4, 4)), LONG, ["natural"] * 12).plot()
    assert len({text.get_text() for text in display.ax_.texts}) == 12
