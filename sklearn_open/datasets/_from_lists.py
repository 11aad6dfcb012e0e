"""A data set that is published as three lists of images (training, validation, test)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from sklearn_open.datasets._describe import shot_sentence, size_sentence
from sklearn_open.datasets._image_lists import ImageList, find_list, read_image_list
from sklearn_open.datasets._listed_images import ListedImages
from sklearn_open.metrics._shots import shot_groups

__all__ = [
    "SUBSETS",
    "ListedSet",
    "as_bunch",
    "check_subset",
    "find_folders",
    "located",
    "train_counts",
]

SUBSETS = ("train", "val", "test")


@dataclass(frozen=True)
class ListedSet:
    """What is particular to one of these data sets.

    Parameters
    ----------
    name : str
        As in papers.
    folder : str
        Its folder in ``<data_home>/sklearn_open``.
    list_name : str
        Name of the list files, with ``{subset}`` in it.
    get_lists, get_images : str
        What to get from where, for errors.
    class_of : callable
        Gives the class that a path names, or None.
    respell : callable
        Gives a path and the name of its class (or None) in the other convention, or None.
    """

    name: str
    folder: str
    list_name: str
    get_lists: str
    get_images: str
    class_of: Callable[[str], str | None]
    respell: Callable[[str, str | None], str | None]

    def load(
        self,
        subset: str,
        data_home: str | os.PathLike[str] | None,
        list_dir: str | os.PathLike[str] | None,
        image_root: str | os.PathLike[str] | None,
        transform: Callable[[Any], Any],
        check_images: bool,
        return_X_y: bool,
    ) -> Bunch | tuple[ListedImages, np.ndarray]:
        """Load one of the three lists; parameters as of the public functions."""
        check_subset(subset)
        lists, root = find_folders(self.folder, data_home, list_dir, image_root)
        images = self._read(lists, subset)
        if images is None:
            file = self.list_name.format(subset=subset)
            raise FileNotFoundError(
                f"The list {file} (or {file}.gz) of {self.name} is not in {str(lists)!r}. "
                f"{self.get_lists} Put it there, or pass the folder that has it as list_dir."
            )
        train = images if subset == "train" else self._read(lists, "train")
        names = self._names(lists, subset, images, train)
        counts, groups = train_counts(images, train)
        filenames = images.paths
        if check_images:
            other = [self.respell(p, names.get(k)) for p, k in _pairs(images)]
            filenames = located(images, other, root, self.get_images)
        target_names = [names[k] for k in sorted(names)] if len(names) == len(counts) else None
        descr = f"{self.name}, {subset} list: {size_sentence(counts)}\n\n{shot_sentence(groups)}"
        data = ListedImages(root, filenames, images.labels, transform)
        return as_bunch(data, target_names, counts, groups, descr, return_X_y)

    def _read(self, lists: Path, subset: str) -> ImageList | None:
        file = find_list(lists, self.list_name.format(subset=subset))
        return None if file is None else read_image_list(file)

    def _names(
        self, folder: Path, subset: str, images: ImageList, train: ImageList | None
    ) -> dict[int, str]:
        """Return the class of every label, by all lists that tell, which must agree."""
        lists = [images]
        if subset != "train" and train is not None:
            lists.append(train)
        elif subset == "test":
            lists.extend(filter(None, [self._read(folder, "val")]))
        names: dict[int, str] = {}
        for source in lists:
            for label, name in source.class_names(self.class_of).items():
                if names.setdefault(label, name) != name:
                    raise ValueError(
                        f"Label {label} is {names[label]!r} in {images.name} and {name!r} in "
                        f"{source.name}: some releases number the classes anew. Take all lists "
                        "from one release."
                    )
        return names


def check_subset(subset: str) -> None:
    """Refuse the name of a list that there is not."""
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {SUBSETS}; got {subset!r}.")


def find_folders(
    folder: str,
    data_home: str | os.PathLike[str] | None,
    list_dir: str | os.PathLike[str] | None,
    image_root: str | os.PathLike[str] | None,
    images: str = "",
) -> tuple[Path, Path]:
    """Return the folder of the lists and that of the images, by default one of the data home."""
    if list_dir is not None and image_root is not None:
        return Path(list_dir), Path(image_root)
    home = Path(get_data_home(data_home)) / "sklearn_open" / folder
    lists = home if list_dir is None else Path(list_dir)
    return lists, home / images if image_root is None else Path(image_root)


def train_counts(
    images: ImageList, train: ImageList | None
) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
    """Return the images of every class of a list, and the groups by those of the training list.

    Raises
    ------
    ValueError
        If a label is not in the training list, or if labels have gaps.
    """
    if train is None:
        return _sizes(images), None
    sizes = _sizes(train)
    unknown = np.setdiff1d(images.labels, train.labels)
    if len(unknown):
        raise ValueError(
            f"{images.name} has the label {unknown[0]}, which {train.name} has not. Take all lists "
            "from one release."
        )
    return np.bincount(images.labels, minlength=len(sizes)), shot_groups(sizes)


def _sizes(images: ImageList) -> np.ndarray:
    """Return the images of every class, of which a list that knows all classes has some."""
    sizes = np.bincount(images.labels)
    absent = np.flatnonzero(sizes == 0)
    if len(absent):
        raise ValueError(
            f"{images.name} has labels up to {len(sizes) - 1}, but no image of label {absent[0]}. "
            "Labels are 0, 1, 2, ... without gaps: get the list anew, or number the classes so."
        )
    return sizes


def located(images: ImageList, other: list[str | None], root: Path, get_images: str) -> list[str]:
    """Return the paths of a list as its images lie on disk.

    Parameters
    ----------
    images : ImageList
        What is looked for.
    other : list of str or None
        The same paths in the other convention; None where that has a folder for each class, and
        the class is not known.
    root : Path
        Where it is looked for.
    get_images : str
        What to get from where, for the error.

    Raises
    ------
    FileNotFoundError
        If images are not there, in either convention.
    """
    missing = [path for path in images.paths if not (root / path).is_file()]
    if not missing:
        return images.paths
    unknown = None in other
    if unknown:
        found = _in_class_folders(root)
        names = [path.rpartition("/")[2] for path in images.paths]
        other = [path or found.get(name) for path, name in zip(other, names, strict=True)]
    respelled = [path for path in other if path is not None]
    if len(respelled) == len(images.paths) and all((root / path).is_file() for path in respelled):
        return respelled
    also = f" (nor as {respelled[0]!r})" if respelled and missing[0] == images.paths[0] else ""
    if unknown:
        also = f" (nor {missing[0].rpartition('/')[2]!r} in a folder of its class, 'val/<class>')"
    raise FileNotFoundError(
        f"{len(missing):,} of the {len(images.paths):,} images of {images.name} are not in "
        f"{str(root)!r}, the first of them {missing[0]!r}{also}. {get_images} Put the images "
        "there, or pass the folder that has them as image_root; check_images=False loads the list "
        "alone."
    )


def _in_class_folders(root: Path) -> dict[str, str]:
    """Return where the files of ``val/<class>/`` are, by their names, which occur once."""
    folders: dict[str, list[str]] = {}
    for file in (root / "val").glob("*/*"):
        folders.setdefault(file.name, []).append(file.parent.name)
    return {name: f"val/{where[0]}/{name}" for name, where in folders.items() if len(where) == 1}


def as_bunch(
    data: ListedImages,
    target_names: list[str] | None,
    class_counts: np.ndarray,
    groups: dict[str, np.ndarray] | None,
    descr: str,
    return_X_y: bool,
) -> Bunch | tuple[ListedImages, np.ndarray]:
    """Return what the public functions return."""
    if return_X_y:
        return data, data.targets
    return Bunch(
        data=data,
        target=data.targets,
        target_names=target_names,
        filenames=data.filenames,
        class_counts=class_counts,
        shot_groups=groups,
        DESCR=descr,
    )


def _pairs(images: ImageList) -> list[tuple[str, int]]:
    return list(zip(images.paths, images.labels.tolist(), strict=True))
