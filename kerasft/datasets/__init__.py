"""Labelled images: embedded digits and image folders."""

from kerasft.datasets.digits import digits
from kerasft.datasets.image_folder import (
    ImageFolder,
    list_image_folder,
    load_image_folder,
    save_image_folder,
)
from kerasft.datasets.split import stratified_split

__all__ = [
    "ImageFolder",
    "digits",
    "list_image_folder",
    "load_image_folder",
    "save_image_folder",
    "stratified_split",
]
