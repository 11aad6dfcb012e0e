"""Long-tailed image data: subsets of any data, image folders, the five data sets of the paper."""

from sklearn_open.datasets._cifar import fetch_cifar10_lt, fetch_cifar100_lt
from sklearn_open.datasets._image_folder import load_image_folder
from sklearn_open.datasets._listed_images import ListedImages
from sklearn_open.datasets._long_tailed import long_tailed_counts, make_long_tailed

__all__ = [
    "ListedImages",
    "fetch_cifar10_lt",
    "fetch_cifar100_lt",
    "load_image_folder",
    "long_tailed_counts",
    "make_long_tailed",
]
