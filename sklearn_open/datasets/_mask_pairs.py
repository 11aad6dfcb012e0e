"""Images in pairs of one name and two suffixes: photographs and their masks, it seems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sklearn_open.datasets._decode import decode_image

__all__ = ["JPEGS", "Pairs", "find_pairs", "is_binary", "named_as_masks", "stems", "suffix_of"]

JPEGS = (".jpg", ".jpeg")
# What names of masks add to that of the photograph, as in "tumour 7_mask_1.png".
_MASK = re.compile(
    r"[-_. ](mask|gt|seg|segmentation|groundtruth|annotation)s?([-_. ]?\d+)?$", re.IGNORECASE
)
_LOOKED_AT = 3  # pairs whose content is looked at

Name = tuple[str, ...]  # the parts of a file's name


@dataclass(frozen=True)
class Pairs:
    """Pairs of images of one name and two suffixes.

    Parameters
    ----------
    first : tuple of two names
        The first pair.
    count : int
        How many pairs there are.
    photographs : str
        The suffix of the photographs in lower case, or "" where nothing tells.
    """

    first: tuple[Name, Name]
    count: int
    photographs: str


def find_pairs(images: Sequence[Name], is_mask: Callable[[str], bool]) -> Pairs | None:
    """Return the pairs of two suffixes that more than half of all images belong to, or None.

    Parameters
    ----------
    images : sequence of tuple of str
        The parts of their names, sorted.
    is_mask : callable
        Tells of a file whether its content is that of a mask. It is asked of a few, where the
        suffixes do not tell: JPEG keeps photographs, and no mask exactly.
    """
    named = [image[-1].rpartition(".") for image in images]
    if len({suffix.lower() for _, _, suffix in named}) < 2:
        return None
    same: dict[tuple[Name, str], list[Name]] = {}
    for image, (stem, _, _) in zip(images, named, strict=True):
        same.setdefault((image[:-1], stem), []).append(image)
    by_suffixes: dict[tuple[str, ...], list[tuple[Name, Name]]] = {}
    for found in same.values():
        if len(found) == 2:
            one, other = sorted(found, key=suffix_of)
            by_suffixes.setdefault((suffix_of(one), suffix_of(other)), []).append((one, other))
    counts = Counter({suffixes: len(pairs) for suffixes, pairs in by_suffixes.items()})
    (suffixes, count), *_ = counts.most_common(1) or [((), 0)]
    if len(set(suffixes)) < 2 or 4 * count <= len(images):
        return None
    pairs = by_suffixes[suffixes]
    return Pairs(pairs[0], count, _of_photographs(suffixes, pairs[:_LOOKED_AT], is_mask))


def _of_photographs(
    suffixes: tuple[str, ...], pairs: list[tuple[Name, Name]], is_mask: Callable[[str], bool]
) -> str:
    found = [suffix for suffix in suffixes if suffix in JPEGS]
    if not found:
        masks = [all(is_mask("/".join(pair[i])) for pair in pairs) for i in range(2)]
        found = [suffix for suffix, mask in zip(suffixes, masks, strict=True) if not mask]
    return found[0] if len(found) == 1 else ""


def named_as_masks(images: Sequence[Name]) -> list[tuple[Name, Name]]:
    """Return images that are called masks of another image in their folder, each with that one.

    Parameters
    ----------
    images : sequence of tuple of str
        The parts of their names.
    """
    called = [(image, (*image[:-1], of)) for image in images for of in stems(image)[1:]]
    if not called:
        return []
    found = {(*image[:-1], stems(image)[0]): image for image in images}
    return [(image, found[of]) for image, of in called if of in found]


def stems(image: Name) -> list[str]:
    """Return the name without its suffix and, if it is that of a mask, that of the photograph."""
    stem = image[-1].rpartition(".")[0]
    match = _MASK.search(stem, 1)
    return [stem, stem[: match.start()]] if match else [stem]


def suffix_of(name: Name) -> str:
    """Return the suffix of a file in lower case, with its dot."""
    return f".{name[-1].rpartition('.')[2]}".lower()


def is_binary(read: Callable[[str], bytes], name: str) -> bool:
    """Tell whether an image has two grey levels at most; one that cannot be read has not.

    Parameters
    ----------
    read : callable
        Gives the content of a file by its name.
    name : str
        The file.
    """
    try:
        return len(np.unique(np.asarray(decode_image(read, name, "L")))) <= 2
    except ValueError:
        return False
