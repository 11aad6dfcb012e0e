"""Long-tailed image data: subsets of any data, image folders, the five data sets of the paper."""

from sklearn_open.datasets._celeba5 import load_celeba5
from sklearn_open.datasets._cifar import fetch_cifar10_lt, fetch_cifar100_lt
from sklearn_open.datasets._filename_groups import groups_from_filenames
from sklearn_open.datasets._image_folder import load_image_folder
from sklearn_open.datasets._image_reader import ImageReader
from sklearn_open.datasets._imagenet_lt import load_imagenet_lt
from sklearn_open.datasets._listed_images import ListedImages
from sklearn_open.datasets._long_tailed import long_tailed_counts, make_long_tailed
from sklearn_open.datasets._mapped_images import MappedImages
from sklearn_open.datasets._places_lt import load_places_lt

__all__ = [
    "ImageReader",
    "ListedImages",
    "MappedImages",
    "fetch_cifar10_lt",
    "fetch_cifar100_lt",
    "groups_from_filenames",
    "load_celeba5",
    "load_image_folder",
    "load_imagenet_lt",
    "load_places_lt",
    "long_tailed_counts",
    "make_long_tailed",
]
