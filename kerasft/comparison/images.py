"""The images of a comparison, in memory and as files that worker processes map."""

import dataclasses
import hashlib
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedImages:
    """The images that methods are compared on, one kind of distortion.

    Attributes:
        distorted: `(images, height, width, channels)`, to draw from.
        labels: `(images,)`, or `None` where they are not known.
        test_images, test_labels: Distorted images to measure on.
        validation_images, validation_labels: Distorted images to choose by,
            or `None` where they are held out of `distorted`.
        clean, clean_labels: Clean images to work with; each may be `None`.
        clean_test_images, clean_test_labels: Clean images to measure on, or
            `None`.
    """

    distorted: np.ndarray
    labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray
    validation_images: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    clean: np.ndarray | None = None
    clean_labels: np.ndarray | None = None
    clean_test_images: np.ndarray | None = None
    clean_test_labels: np.ndarray | None = None

    def arrays(self):
        """Dictionary from name to array, of those that there are."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in fields.items() if array is not None}


@dataclasses.dataclass(frozen=True)
class StoredImages:
    """Where the arrays of a `ComparedImages` are; small, so that it travels to workers.

    Attributes:
        files: Dictionary from name to path of an `.npy` file.
    """

    files: dict[str, str]

    def load(self):
        """The `ComparedImages`, mapped into memory, not read."""
        arrays = {name: np.load(path, mmap_mode="r") for name, path in self.files.items()}
        return ComparedImages(**{"labels": None, **arrays})


def store_images(compared, folder):
    """Write images to files, every array once.

    Args:
        compared: Dictionary from the name of a distortion to its
            `ComparedImages`.
        folder: `pathlib.Path` of an existing folder.

    Returns:
        Dictionary from the name of a distortion to its `StoredImages`.
    """
    # By identity: distortions share their clean images.
    paths: dict[int, str] = {}
    stored = {}
    for distortion, images in compared.items():
        files = {}
        for name, array in images.arrays().items():
            if id(array) not in paths:
                path = pathlib.Path(folder, f"{len(paths)}.npy").absolute()
                np.save(path, array)
                paths[id(array)] = str(path)
            files[name] = paths[id(array)]
        stored[distortion] = StoredImages(files)
    return stored


def images_digest(compared):
    """What tells these images from others, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    # By identity again, for the time that it takes.
    known: dict[int, str] = {}
    # Runs go by the names of distortions, so that these may come in any order.
    for distortion, images in sorted(compared.items(), key=lambda item: str(item[0])):
        for name, array in images.arrays().items():
            if id(array) not in known:
                content = np.ascontiguousarray(array).reshape(-1)
                known[id(array)] = hashlib.sha256(content.data).hexdigest()
            digest.update(f"{distortion} {name} {array.dtype} {array.shape}".encode())
            digest.update(known[id(array)].encode())
    return digest.hexdigest()[:16]
