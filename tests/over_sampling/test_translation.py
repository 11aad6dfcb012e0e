"""M2m's translation against published numbers and against loops in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_open.over_sampling._translation import (
    TranslationSettings,
    random_start,
    seed_probabilities,
    slot_probabilities,
    translate,
    translate_rows,
    within_length,
)

COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]  # CIFAR-10-LT at 100
BATCH = torch.tensor([0, 0, 3, 9, 5, 9])
# Linear networks on images of four pixels.
W_G = [[2.6, -1.3, 0.65, 0.0], [-1.95, 3.25, 0.0, 1.3], [0.26, 0.13, -1.04, -1.56]]
B_G = [0.1, -0.2, 0.0]
W_F = [[1.0, 0.5, -0.5, 0.2], [-0.6, 0.8, 0.3, 0.4], [0.0, -0.2, 0.7, -0.9]]
B_F = [0.0, 0.3, -0.1]


def linear(weight, bias, dtype=torch.float64):
    weight, bias = torch.tensor(weight, dtype=dtype), torch.tensor(bias, dtype=dtype)
    return lambda x: x.flatten(1) @ weight.T + bias


TEACHER, CLASSIFIER = linear(W_G, B_G), linear(W_F, B_F)


def close(found, expected):
    found = torch.as_tensor(found)
    expected = torch.as_tensor(expected, dtype=found.dtype)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=1e-6)


# --- probabilities ---


def test_published_probabilities():
    P = seed_probabilities(COUNTS, 0.999)
    close(P[0, 9], 0.992934)
    close(P[1, 9], 0.94758)
    close(P[7, 8], 0.0544874)
    close(P[8, 9], 0.0324774)
    assert P[9, 9] == P[9, 0] == 0
    for beta, expected in ((0.9, 0.969097), (0.99, 0.282269), (0.9999, 0.00329473)):
        close(seed_probabilities(COUNTS, beta)[8, 9], expected)
    slots = slot_probabilities(COUNTS)
    expected = [0, 0.4006, 0.6408, 0.7846, 0.871, 0.9226, 0.9536, 0.9722, 0.9834, 0.99]
    close(slots, expected)
    close(slots.mean(), 0.75188)


def test_the_largest_class_need_not_be_the_first():
    np.testing.assert_allclose(slot_probabilities([424, 2423, 1499]), [0.82501, 0, 0.38134], 1e-4)


def test_rows_of_a_published_batch():
    P = seed_probabilities(COUNTS, 0.999)
    close(P[BATCH, 3], [0.980257, 0.980257, 0, 0, 0, 0])
    close(P[BATCH, 5], [0.990101, 0.990101, 0.498597, 0, 0, 0])


def run(targets, images, *, beta=0.999, threshold=0.0, n_steps=1, codes=BATCH, **more):
    settings = TranslationSettings(np.array(COUNTS), beta, 0.5, threshold, 0.1, n_steps)
    generator = torch.Generator().manual_seed(0)
    g, f = more.get("g", lambda x: x), more.get("f", lambda x: x)
    return translate_rows(lambda rows: images[rows], codes, targets, g, f, settings, generator)


def test_seeds_are_drawn_in_published_shares():
    images = torch.rand(6, 10, dtype=torch.float64)
    n = 20_000
    # Those that are kept have passed by P a second time.
    made = run(torch.full((n,), 5), images)
    shares = np.bincount(made.seeds.numpy(), minlength=6) / n
    expected = np.array([0.399428, 0.399428, 0.201145]) * [0.990101, 0.990101, 0.498597]
    np.testing.assert_allclose(shares[:3], expected, atol=0.01)
    assert not shares[3:].any()


def test_slots_without_a_larger_class_are_dropped():
    images = torch.rand(6, 10, dtype=torch.float64)
    made = run(torch.tensor([0, 3, 0]), images, beta=0.0)
    assert made.slots.tolist() == [1]
    assert made.seeds.tolist()[0] in (0, 1)
    for targets in (torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64)):
        made = run(targets, images)
        assert len(made.slots) == len(made.seeds) == len(made.images) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.lists(st.integers(0, 9), max_size=12),
    st.sampled_from([0.0, 0.5, 0.9, 0.999]),
)
def test_no_image_is_made_of_a_class_that_is_not_larger(codes, targets, beta):
    images = torch.rand(len(codes), 10, dtype=torch.float64)
    codes, targets = torch.tensor(codes), torch.tensor(targets, dtype=torch.int64)
    made = run(targets, images, codes=codes, beta=beta)
    counts = torch.tensor(COUNTS)
    assert (counts[codes[made.seeds]] > counts[targets[made.slots]]).all()
    assert len(set(made.slots.tolist())) == len(made.slots)


# --- random start ---


def test_published_random_start():
    start = within_length(torch.full((2, 1, 2, 2), 0.25))
    close(start, torch.full((2, 1, 2, 2), 0.176777))
    close(within_length(torch.full((2, 1, 2, 2), 0.1)), torch.full((2, 1, 2, 2), 0.1))


def test_random_start_is_short_per_channel_of_the_whole_batch():
    start = random_start((96, 3, 8, 8), torch.Generator().manual_seed(0))
    lengths = start.transpose(0, 1).flatten(1).norm(dim=1)
    close(lengths, [0.5] * 3)
    of_images = start.flatten(2).norm(dim=2)
    assert abs(of_images.mean() - 0.051031) < 1e-3
    assert random_start((4, 5), torch.Generator().manual_seed(0)).shape == (4, 5)


# --- steps ---


def by_hand(x, k, k0, trade_off, eta, n_steps, f=True):
    """The same steps in Python's floats, for one image and the linear networks."""

    def logits(W, b):
        return [
            sum(w * p for w, p in zip(row, x, strict=True)) + o for row, o in zip(W, b, strict=True)
        ]

    for _ in range(n_steps):
        z = logits(W_G, B_G)
        total = sum(math.exp(value) for value in z)
        weights = [math.exp(value) / total - (c == k) for c, value in enumerate(z)]
        gradient = [sum(weights[c] * W_G[c][i] for c in range(3)) for i in range(4)]
        if f:
            gradient = [d + trade_off * W_F[k0][i] for i, d in enumerate(gradient)]
        length = math.sqrt(sum(d * d for d in gradient)) + 1e-10
        x = [min(max(p - eta * d / length, 0.0), 1.0) for p, d in zip(x, gradient, strict=True)]
    z = logits(W_G, B_G)
    total = sum(math.exp(value) for value in z)
    return x, math.exp(z[k]) / total


SEED = torch.tensor([[0.9, 0.2, 0.6, 0.4]], dtype=torch.float64)


def moved(n_steps, x=SEED, k=1, k0=0, f=CLASSIFIER, g=TEACHER, trade_off=0.5, step_size=0.1):
    k, k0 = (torch.full((len(x),), c) for c in (k, k0))
    return translate(x, k, k0, g, f, trade_off=trade_off, step_size=step_size, n_steps=n_steps)


def test_published_steps():
    close(moved(1)[0], [0.82523, 0.263556, 0.594848, 0.418533])
    close(moved(10)[0], [0.089029, 0.727826, 0.627163, 0.564026])
    sure = [TEACHER(moved(n)).softmax(1)[0, 1].item() for n in range(11)]
    close(torch.tensor([sure[0], sure[1], sure[10]]), [0.0328279, 0.0609992, 0.935264])
    assert next(n for n, p in enumerate(sure) if p >= 0.9) == 9


def test_published_gradient():
    x = SEED.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(TEACHER(x), torch.tensor([1]))
    (loss + 0.5 * CLASSIFIER(x)[0, 0]).backward()
    close(x.grad[0], [4.83793, -4.11231, 0.333375, -1.19913])
    close(x.grad.norm(), 6.47037)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.permutations(range(3)),
    st.floats(0, 3),
    st.floats(1e-3, 0.5),
    st.integers(1, 12),
)
def test_steps_by_hand(pixels, classes, trade_off, eta, n_steps):
    k, k0, _ = classes
    x = torch.tensor([pixels], dtype=torch.float64)
    found = moved(n_steps, x, k, k0, trade_off=trade_off, step_size=eta)
    expected, _ = by_hand(pixels, k, k0, trade_off, eta, n_steps)
    torch.testing.assert_close(
        found[0], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )
    alone, _ = by_hand(pixels, k, k0, trade_off, eta, n_steps, f=False)
    torch.testing.assert_close(
        moved(n_steps, x, k, k0, f=None, step_size=eta)[0],
        torch.tensor(alone, dtype=torch.float64),
        rtol=1e-9,
        atol=1e-9,
    )


def test_rows_do_not_depend_on_one_another():
    x = torch.rand(5, 4, dtype=torch.float64)
    together = moved(4, x)
    for row in range(5):
        torch.testing.assert_close(moved(4, x[row : row + 1])[0], together[row])


def test_float32_is_the_same():
    f32 = torch.float32
    g, f = linear(W_G, B_G, f32), linear(W_F, B_F, f32)
    close(moved(10, SEED.float(), g=g, f=f)[0], [0.089029, 0.727826, 0.627163, 0.564026])


def test_no_weight_gets_a_gradient():
    layer = torch.nn.Linear(4, 3).double()
    moved(2, g=layer, f=layer)
    assert layer.weight.grad is None


# --- the whole of it, against loops in Python ---


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_the_whole_translation_by_hand(threshold):
    counts = np.array([60, 9, 25])
    rng = np.random.RandomState(3)
    codes = torch.from_numpy(rng.randint(0, 3, 40))
    images = torch.rand(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    targets = codes[:30]
    settings = TranslationSettings(counts, 0.95, 0.5, threshold, 0.1, 10)
    made = translate_rows(
        lambda rows: images[rows],
        codes,
        targets,
        TEACHER,
        CLASSIFIER,
        settings,
        torch.Generator().manual_seed(7),
    )

    def P(k0, k):
        return 1 - 0.95 ** max(counts[k0] - counts[k], 0)

    generator = torch.Generator().manual_seed(7)
    able = [i for i in range(30) if any(counts[c] > counts[targets[i]] for c in codes)]
    weights = torch.tensor([[P(c, targets[i]) for c in codes] for i in able], dtype=torch.float64)
    seeds = torch.multinomial(weights, 1, generator=generator)[:, 0].tolist()
    uniform = torch.rand(len(able), generator=generator).tolist()
    start = torch.rand(len(able), 4, generator=generator) - 0.5
    start = start * (0.5 / start.norm(dim=0)).clamp_max(1)
    expected = []
    for n, (slot, seed) in enumerate(zip(able, seeds, strict=True)):
        k, k0 = int(targets[slot]), int(codes[seed])
        x = [
            min(max(p + s, 0), 1)
            for p, s in zip(images[seed].tolist(), start[n].tolist(), strict=True)
        ]
        x, sure = by_hand(x, k, k0, 0.5, 0.1, 10)
        if sure >= threshold and uniform[n] < P(k0, k):
            expected.append((slot, seed, x))
    assert 0 < len(expected) < len(able)
    assert made.slots.tolist() == [slot for slot, _, _ in expected]
    assert made.seeds.tolist() == [seed for _, seed, _ in expected]
    wanted = torch.tensor([x for _, _, x in expected], dtype=torch.float64)
    torch.testing.assert_close(made.images, wanted, rtol=1e-7, atol=1e-7)


def test_images_are_judged_as_they_are_kept():
    images = torch.rand(6, 10, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    settings = TranslationSettings(np.array(COUNTS), 0.0, 0.5, 0.9, 0.1, 1)
    sure = lambda x: x * 0 + torch.eye(10, dtype=torch.float64)[9] * 50  # noqa: E731
    made = translate_rows(
        lambda rows: images[rows],
        BATCH,
        torch.tensor([9]),
        lambda x: sure(x) * (x.amax() <= 0.5),  # of what was rounded only
        None,
        settings,
        generator,
        lambda x: x * 0,
    )
    assert len(made.slots) == 1
    assert not made.images.any()
