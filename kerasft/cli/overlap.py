"""Images that are in two folders: none is both trained and measured on."""

import os

from kerasft.cli.pairs import stem
from kerasft.datasets import list_image_folder


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
    shared = shared_images(folder, paths, given.values(), classes)
    kept = [path for path in paths if path not in shared]
    if not kept:
        raise ValueError(
            f"Expected {kind} images that are not {' or '.join(given)} images too, by their path "
            f"below the folder or as the same file. Received: all {len(paths)} of {folder} are in "
            f"{' or '.join(map(str, given.values()))}; rename files that show something else."
        )
    if not shared:
        return kept, []
    return kept, [
        f"{len(shared)} of {len(paths)} {kind} images were left out, as {' or '.join(given)} "
        "images have the same path or are the same file."
    ]


def shared_images(folder, paths, others, classes):
    """Which images of a folder are in others too.

    The same are those with the same path below their folders, suffix aside,
    as pairs have it: they show the same. And those that are one file, by
    whatever links.

    Args:
        folder: Path of the folder.
        paths: Images in it.
        others: Other folders.
        classes: Names of their class folders.

    Returns:
        Set of paths.
    """
    stems, files = set(), set()
    for other in others:
        found = list_image_folder(other, classes)[1]
        stems.update(map(stem, found))
        files.update(_file(other, path) for path in found)
    return {path for path in paths if stem(path) in stems or _file(folder, path) in files}


def _file(folder, path):
    return os.path.realpath(os.path.join(folder, path))
