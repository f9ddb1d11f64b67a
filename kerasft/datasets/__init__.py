"""Labelled images: embedded digits, CIFAR and image folders."""

from kerasft.datasets.cifar10 import cifar10
from kerasft.datasets.cifar10_c import cifar10_c, cifar10_c_corruptions
from kerasft.datasets.cifar100 import cifar100
from kerasft.datasets.digits import digits
from kerasft.datasets.image_dataset import ImageDataset
from kerasft.datasets.image_folder import (
    ImageFolder,
    list_image_folder,
    load_image_folder,
    save_image_folder,
)
from kerasft.datasets.split import stratified_split

__all__ = [
    "ImageDataset",
    "ImageFolder",
    "cifar10",
    "cifar10_c",
    "cifar10_c_corruptions",
    "cifar100",
    "digits",
    "list_image_folder",
    "load_image_folder",
    "save_image_folder",
    "stratified_split",
]
