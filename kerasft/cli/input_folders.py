"""What folders of images must be like beside each other and the output folder."""

import os
import pathlib
import unicodedata

from kerasft.datasets import list_image_folder


def check_output_apart(out, *folders):
    """Refuse an output folder in a folder of images, which has it for a class from then on.

    Args:
        out: The output folder.
        *folders: Folders of images, each may be `None`.

    Raises:
        ValueError: It is one of them, or in one.
    """
    for folder in folders:
        if folder is not None and _real(out).is_relative_to(_real(folder)):
            raise ValueError(
                f"Expected an output folder outside of the image folders. Received: {out}, in "
                f"{folder}."
            )


def check_two_folders(clean, distorted):
    """Refuse one folder as that of clean and of distorted images: nothing would differ.

    Args:
        clean, distorted: Folders, each may be `None`.

    Raises:
        ValueError: They are the same.
    """
    if None not in (clean, distorted) and _real(clean) == _real(distorted):
        raise ValueError(
            f"Expected two folders, of clean and of distorted images. Received: {clean} and "
            f"{distorted}, which are the same."
        )


def same_classes(folders, classes):
    """The classes that folders have in common.

    Args:
        folders: Folders of images.
        classes: Names of the class folders in output order, or `None`.

    Returns:
        Tuple of names in output order.

    Raises:
        ValueError: Folders with different classes, or as `list_image_folder`.
    """
    first, *others = folders
    names = list_image_folder(first, classes)[0]
    for other in others:
        found = list_image_folder(other, classes)[0]
        alone = {first: set(names) - set(found), other: set(found) - set(names)}
        if set(names) != set(found):
            received = (
                f"{', '.join(sorted(only)[:12])}{', …' if len(only) > 12 else ''} in {folder} alone"
                for folder, only in alone.items()
                if only
            )
            forms = [
                {unicodedata.normalize("NFC", name) for name in only} for only in alone.values()
            ]
            hint = ", in another Unicode form" if forms[0] == forms[1] else ""
            raise ValueError(
                f"Expected the same class folders in {first} and {other}. Received: "
                f"{'; '.join(received)}{hint}."
            )
    return names


def _real(path):
    """Where a path leads; links in a circle stay as they are."""
    return pathlib.Path(os.path.realpath(path))
