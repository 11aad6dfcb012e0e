"""Grey tiles with small defects, drawn: like pictures of an inspection line, and of no one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

SIDE = 32
CLASSES = ("fine", "blob", "break", "crack", "fray", "uneven")
COUNTS = (476, 58, 42, 29, 16, 51)  # 672, 71 % of them fine
_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE]


def make_tiles(
    counts: Sequence[int] = COUNTS, *, random_state: int, quick: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 32, 32) uint8 and codes of `CLASSES`; ``quick`` draws an eighth."""
    rng = np.random.default_rng(random_state)
    y = np.repeat(np.arange(len(counts)), [max(2, n // 8) if quick else n for n in counts])
    X = np.stack([_DEFECTS[CLASSES[code]](_texture(rng), rng) for code in y])
    return np.clip(np.round(X), 0, 255).astype(np.uint8), y


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Return ground metal: streaks in one direction, grain, shade, all of changing strength."""
    streaks = gaussian_filter(rng.normal(size=(SIDE, SIDE)), (rng.uniform(2, 5), 0.5))
    grain = rng.normal(size=(SIDE, SIDE))
    shade = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 8)
    image = rng.uniform(90, 160) + rng.uniform(20, 50) * streaks + rng.uniform(4, 12) * grain
    return image + rng.uniform(50, 200) * shade


def _place(rng: np.random.Generator, margin: int = 5) -> np.ndarray:
    return rng.uniform(margin, SIDE - margin, 2)


def _fine(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image


def _blob(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a small dark hole."""
    (row, column), radius = _place(rng), rng.uniform(1.2, 2.5)
    distance = np.hypot(_ROWS - row, _COLUMNS - column)
    return image - rng.uniform(25, 60) / (1 + np.exp(2 * (distance - radius)))


def _break(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Break a piece off a corner, along a line that is not straight."""
    angle, depth = rng.uniform(0.3, 1.2), rng.uniform(5, 13)
    edge = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2) * 8
    inside = np.cos(angle) * _ROWS + np.sin(angle) * _COLUMNS + edge < depth
    inside = np.rot90(inside, rng.integers(4))
    return image - rng.uniform(20, 50) * inside


def _crack(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a thin dark line that wanders."""
    (row, column), angle = _place(rng), rng.uniform(0, 2 * np.pi)
    dark = np.zeros((SIDE, SIDE))
    for _ in range(int(rng.integers(10, 22))):
        angle += rng.normal(0, 0.35)
        row, column = row + np.sin(angle), column + np.cos(angle)
        if 0 <= row < SIDE and 0 <= column < SIDE:
            dark[int(row), int(column)] = 1
    return image - rng.uniform(30, 70) * np.minimum(1, 1.5 * gaussian_filter(dark, 0.5))


def _fray(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Roughen a patch."""
    row, column = _place(rng, 8)
    distance = np.hypot(_ROWS - row, _COLUMNS - column)
    patch = np.exp(-((distance / rng.uniform(4, 8)) ** 2))
    return image + rng.uniform(15, 35) * patch * rng.normal(size=(SIDE, SIDE))


def _uneven(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light the tile from one side."""
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * _ROWS + np.sin(angle) * _COLUMNS) / SIDE
    return image + rng.uniform(35, 80) * (slope - slope.mean())


_DEFECTS = {
    "fine": _fine,
    "blob": _blob,
    "break": _break,
    "crack": _crack,
    "fray": _fray,
    "uneven": _uneven,
}
