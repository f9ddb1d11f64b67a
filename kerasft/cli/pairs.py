import pathlib
import unicodedata

from kerasft.datasets import list_image_folder


def find_pairs(clean, distorted, classes=None):
    """Find the clean twin of each distorted image by its path.

    Twins have the same path below their folders; the suffix may differ, as a
    lossless original and its JPEG copy do.

    Args:
        clean: Folder of clean images.
        distorted: Folder of distorted images.
        classes: Names of the class folders in output order.

    Returns:
        `(distorted_paths, twins)`: all distorted images, and a dictionary
        from those that have a twin to its path below `clean`.

    Raises:
        ValueError: No image has a twin, or one has several.
    """
    distorted_paths, twins = find_twins(clean, distorted, classes)
    if not twins:
        raise ValueError(
            "Expected pairs: files with the same path below the clean and the distorted folder, "
            f"such as {distorted_paths[0]}. Received: "
            f"{len(list_image_folder(clean, classes)[1])} images in {clean} and "
            f"{len(distorted_paths)} in {distorted}, none of them at the same path."
        )
    return distorted_paths, twins


def find_twins(clean, distorted, classes=None):
    """As `find_pairs`, and no twins at all are fine."""
    names, distorted_paths, _ = list_image_folder(distorted, classes)
    _, clean_paths, _ = list_image_folder(clean, names)
    exact = set(clean_paths)
    clean_by_stem = by_stem(clean_paths)
    twins = {}
    for path in distorted_paths:
        candidates = [path] if path in exact else clean_by_stem.get(stem(path), [])
        if len(candidates) > 1:
            raise ValueError(
                f"Expected one clean twin of {path}. Received: {candidates} in {clean}."
            )
        if candidates:
            twins[path] = candidates[0]
    return distorted_paths, twins


def stem(path):
    """What twins have in common: the path below their folders without its suffix."""
    # An archive from macOS spells letters with accents in another way.
    return unicodedata.normalize("NFC", str(pathlib.PurePosixPath(path).with_suffix("")))


def by_stem(paths):
    """Dictionary from stem to the paths that have it, several where suffixes alone differ."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(stem(path), []).append(path)
    return found
