"""Images that are in two folders: none is both trained and measured on."""

import os
import pathlib

import numpy as np

from kerasft.cli.pairs import by_stem, stem
from kerasft.datasets import list_image_folder
from kerasft.datasets.image_folder import read_images

# Of CIFAR-10's pictures, fewer than one in a hundred pairs at the same path is as alike, and
# fewer than one in a hundred pairs of versions under strong distortion is less alike: see
# docs/results/same-pictures.csv, which scripts/same_pictures.py writes.
ALIKE = 0.8
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
    look alike; all with the same path where most do. Of several others with
    that path one is enough. Training and test sets are often numbered alike
    without a picture in common.

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
        candidates = by_stem(found)
        apart = (path for path in paths if path not in shared)
        # Beside a version of the image there may be another picture of its stem.
        pairs = [(path, twin) for path in apart for twin in candidates.get(stem(path), ())]
        if pairs:
            mine, theirs = zip(*pairs, strict=True)
            likely = likeness(folder, mine, other, theirs) >= ALIKE
            alike = {path for path, same in zip(mine, likely, strict=True) if same}
            # Paths mean something here, and some are only too dark or too noisy.
            most = len(alike) > len(set(mine)) / 2
            shared.update(mine if most else alike)
    return shared


def likeness(folder, paths, other, others):
    """How alike the images of two folders are, one by one.

    Returns:
        `(images,)`, the correlation of both small and gray, 1 where one is
        even: it cannot be told then that they are not the same.

    Raises:
        ValueError: An image that cannot be read.
    """
    mine, theirs = _small(folder, paths), _small(other, others)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    products = (mine * theirs).sum(axis=1)
    return np.divide(products, lengths, out=np.ones_like(lengths), where=lengths > 0)


def _small(folder, paths):
    """Images small and gray, about their mean: noise and blur are gone, contrast does not count."""
    images = read_images(pathlib.Path(folder), paths, 1, _SMALL).reshape(len(paths), -1)
    return images - images.mean(axis=1, keepdims=True)


def _file(folder, path):
    return os.path.realpath(os.path.join(folder, path))
