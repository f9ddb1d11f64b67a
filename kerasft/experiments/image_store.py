"""The images of an experiment on disk, so that every worker process can map them."""

import dataclasses
import functools
import hashlib
import pathlib
import shutil
import tempfile

import numpy as np

from kerasft.datasets import stratified_split
from kerasft.distortions import parse_distortion, takes_first_index
from kerasft.files import room_in

# Distorted test images are the same for every run, and no others have their noise.
_TEST_SEED = 1000


@dataclasses.dataclass(frozen=True)
class ImageStore:
    """A data set as files that are mapped into memory, not read.

    The training images are split 80 to 20 into training and validation, by
    class and seeded (paper, Section 4.1).

    Attributes:
        folder: Folder with the arrays.
    """

    folder: str

    @classmethod
    def create(cls, dataset, cache):
        """Write a data set below `cache`, where it is not there yet.

        Args:
            dataset: A `kerasft.datasets.ImageDataset`.
            cache: A folder; every worker must see it.

        Returns:
            The `ImageStore`; its folder is named after its content.

        Raises:
            OSError: `cache` is full.
        """
        digest = hashlib.sha256()
        arrays = {
            name: np.ascontiguousarray(getattr(dataset, name))
            for name in ("train_images", "train_labels", "test_images", "test_labels")
        }
        for name, array in arrays.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        cache = pathlib.Path(cache)
        cache.mkdir(parents=True, exist_ok=True)
        folder = cache / f"images-{digest.hexdigest()[:16]}"
        if not folder.exists():
            staging = pathlib.Path(tempfile.mkdtemp(dir=cache, prefix=f".{folder.name}."))
            try:
                with room_in(cache):
                    for name, array in arrays.items():
                        np.save(staging / f"{name}.npy", array)
                staging.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                # Another process was faster.
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return cls(str(folder.absolute()))

    @property
    def digest(self):
        """What tells this data set from others, 16 hexadecimal digits."""
        return pathlib.Path(self.folder).name.partition("-")[2]

    @property
    def classes(self):
        """Number of classes."""
        parts = ("train_labels", "test_labels")
        return max(int(self.array(name).max()) for name in parts) + 1

    @property
    def image_shape(self):
        """`(height, width, channels)` of an image."""
        return self.array("train_images").shape[1:]

    def array(self, name):
        """One of `train_images`, `train_labels`, `test_images`, `test_labels`."""
        return np.load(pathlib.Path(self.folder) / f"{name}.npy", mmap_mode="r")

    def training_rows(self):
        """Rows of the training images that are trained on; sorted."""
        return _split(self.folder)[0]

    def validation_rows(self, size=None):
        """Rows of the training images that validate; the first `size` of a stratified draw."""
        rows = _split(self.folder)[1]
        if size is None or size >= len(rows):
            return rows
        labels = self.array("train_labels")[rows]
        return rows[stratified_split(labels, size, seed=0)[1]]

    def draw(self, size, seed):
        """A stratified draw of training rows: `size` of them, sorted.

        Raises:
            ValueError: More than there are.
        """
        rows = self.training_rows()
        if size > len(rows):
            raise ValueError(
                f"Expected at most {len(rows)} images to train on, as many as there are. "
                f"Received: {size}."
            )
        if size == len(rows):
            return rows
        return rows[stratified_split(self.array("train_labels")[rows], size, seed)[1]]

    def train(self, rows, distortion=None):
        """`(images, labels)` of training rows, distorted where one is named.

        Noise depends on an image's row, not on the rows drawn with it.
        """
        images = np.asarray(self.array("train_images")[rows])
        if distortion is not None:
            images = _distort_rows(images, rows, distortion)
        return images, np.asarray(self.array("train_labels")[rows])

    def test(self, distortion=None):
        """`(images, labels)` of the test set, distorted where one is named."""
        return _test_images(self.folder, distortion), np.asarray(self.array("test_labels"))


@functools.lru_cache(maxsize=2)
def _split(folder):
    labels = np.asarray(ImageStore(folder).array("train_labels"))
    return stratified_split(labels, len(labels) // 5, seed=0)


# Of all severities of the paper's distortions and the clean images; 30 MB each for CIFAR.
@functools.lru_cache(maxsize=7)
def _test_images(folder, distortion):
    images = np.asarray(ImageStore(folder).array("test_images"))
    return images if distortion is None else parse_distortion(distortion, _TEST_SEED)(images)


def _distort_rows(images, rows, distortion):
    effect = parse_distortion(distortion, seed=0)
    if not takes_first_index(effect):
        return effect(images)
    return np.concatenate(
        [
            effect(image[np.newaxis], first_index=int(row))
            for image, row in zip(images, rows, strict=True)
        ]
    )
