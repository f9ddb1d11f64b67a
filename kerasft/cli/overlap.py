"""Images that are in two folders: none is both trained and measured on."""

import os
import pathlib

import numpy as np

from kerasft.cli.pairs import stem
from kerasft.datasets import list_image_folder
from kerasft.datasets.image_folder import read_images

# Of 600 pictures of CIFAR-10's training images and those of its test images with the same
# path, one in a hundred is at least as alike; of two versions of one picture, under strong
# noise or blur, about one in a hundred is less so.
_ALIKE = 0.8
_SMALL = (8, 8)


def leave_out(kind, folder, paths, others, classes):
    """Leave out the images of a folder that others have too.

    Args:
        kind: What the images are, for readers, such as `"distorted"`.
        folder: Path of the folder.
        paths: Images in it.
        others: Dictionary from what the images of other folders are, such as
            `"test"`, to the folder or `None`.
        classes: Names of the class folders of the others.

    Returns:
        `(kept, notes)`: a list of paths, and a list of sentences about it.

    Raises:
        ValueError: None is left.
    """
    given = {name: other for name, other in others.items() if other is not None}
    shared = shared_images(folder, paths, list_folders(given.values(), classes))
    kept = [path for path in paths if path not in shared]
    if not kept:
        raise ValueError(
            f"Expected {kind} images that are not {' or '.join(given)} images too, as the same "
            f"file or alike at the same path. Received: all {len(paths)} of {folder} are in "
            f"{' or '.join(map(str, given.values()))}."
        )
    if not shared:
        return kept, []
    return kept, [
        f"{len(shared)} of {len(paths)} {kind} images were left out, as {' or '.join(given)} "
        "images are the same file or look alike at the same path."
    ]


def list_folders(folders, classes):
    """List of `(folder, paths)`, as `shared_images` takes others; `None` is no folder."""
    return [(folder, list_image_folder(folder, classes)[1]) for folder in folders if folder]


def clean_accuracy_note(measured_on, seen, what):
    """A sentence on the images that clean accuracy was measured on.

    Args:
        measured_on: What they are, such as `"separate clean images"`.
        seen: How many of them are in another role too.
        what: What these are then, such as `"images trained on"`.
    """
    sentence = f"Clean accuracy was measured on {measured_on}"
    if not seen:
        return f"{sentence}."
    return f"{sentence}; {seen} of them are {what}, so it is somewhat too high."


def shared_images(folder, paths, others):
    """Which images of a folder are in others too.

    The same are those that are one file, by whatever links, and those with
    the same path below their folders, suffix aside, as pairs have it, that
    look alike; all with the same path where most do. Training and test sets
    are often numbered alike without a picture in common.

    Args:
        folder: Path of the folder.
        paths: Images in it.
        others: List of `(folder, paths)`, the images that count in other folders.

    Returns:
        Set of paths.

    Raises:
        ValueError: An image that cannot be read.
    """
    shared: set[str] = set()
    for other, found in others:
        files = {_file(other, path) for path in found}
        shared.update(path for path in paths if _file(folder, path) in files)
        by_stem = {stem(path): path for path in found}
        twins = {path: by_stem[stem(path)] for path in paths if stem(path) in by_stem}
        pairs = [(path, twin) for path, twin in twins.items() if path not in shared]
        if pairs:
            mine, theirs = zip(*pairs, strict=True)
            alike = _look_alike(_small(folder, mine), _small(other, theirs))
            # Paths mean something here, and some are only too dark or too noisy.
            most = np.mean(alike) > 0.5
            shared.update(path for path, same in zip(mine, alike, strict=True) if most or same)
    return shared


def _small(folder, paths):
    """Images small and gray, about their mean: noise and blur are gone, contrast does not count."""
    images = read_images(pathlib.Path(folder), paths, 1, _SMALL).reshape(len(paths), -1)
    return images - images.mean(axis=1, keepdims=True)


def _look_alike(images, others):
    """Whether their correlation is high; of an even picture it cannot be told that it is not."""
    lengths = np.linalg.norm(images, axis=1) * np.linalg.norm(others, axis=1)
    return (images * others).sum(axis=1) >= _ALIKE * lengths


def _file(folder, path):
    return os.path.realpath(os.path.join(folder, path))
