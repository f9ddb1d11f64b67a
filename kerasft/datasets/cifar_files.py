"""CIFAR-10 and CIFAR-100 in the forms that people have them."""

import contextlib
import dataclasses
import pathlib
import pickle
import tarfile
import tempfile

import numpy as np

from kerasft.datasets.image_dataset import ImageDataset
from kerasft.datasets.image_folder import load_image_folder

_SHAPE = (32, 32, 3)


@dataclasses.dataclass(frozen=True)
class CifarFormat:
    """The files of an official python archive.

    Attributes:
        name: Name of the data set.
        folder: Folder in the archive.
        train: Files of the training images.
        test: File of the test images.
        labels: Key of the labels in these.
        meta: File of the class names.
        names: Key of the class names in it.
    """

    name: str
    folder: str
    train: tuple[str, ...]
    test: str
    labels: bytes
    meta: str
    names: bytes


def load_cifar(form, classes, path, download):
    """Read CIFAR from an archive or a folder, or download it.

    Args:
        form: A `CifarFormat`.
        classes: Names of the classes in label order.
        path: Archive or folder, or `None`.
        download: What `keras.datasets` offers, for `None`.

    Returns:
        An `ImageDataset`.

    Raises:
        FileNotFoundError: Nothing at `path`.
        ValueError: What is there cannot be read as this data set.
    """
    if path is None:
        return _downloaded(form, classes, download)
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"Expected {form.name} as an archive or a folder. Received: {path}, which does not "
            "exist."
        )
    with _unpacked(path, form) as folder:
        inside = folder / form.folder
        official = inside if inside.is_dir() else folder
        if (official / form.meta).is_file():
            return _read_official(form, classes, official)
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return _read_image_folders(classes, folder)
    raise ValueError(
        f"Expected {form.name}: the official python archive or its folder {form.folder}, or "
        f"folders train/<class> and test/<class> of images. Received: {path}."
    )


def _downloaded(form, classes, download):
    try:
        (train_images, train_labels), (test_images, test_labels) = download()
    except Exception as error:  # Keras wraps whatever the network raises in a bare Exception.
        raise ValueError(
            f"Expected a network from which keras.datasets can download {form.name}, or the data "
            f"itself (--data). Received: {_first_line(error)}."
        ) from error
    return ImageDataset(
        train_images,
        train_labels.ravel().astype("int64"),
        test_images,
        test_labels.ravel().astype("int64"),
        classes,
    )


@contextlib.contextmanager
def _unpacked(path, form):
    """The folder itself, or a temporary one with what is in the archive."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        try:
            with tarfile.open(path) as archive:
                # No links or paths that lead out of the folder.
                archive.extractall(folder, filter="data")
                # On to the end of the compressed file, where its checksum is.
                while archive.fileobj.read(2**20):
                    pass
        except Exception as error:  # A damaged archive raises nearly anything.
            raise ValueError(
                f"Expected {form.name} as a .tar.gz archive. Received: {path} "
                f"({_first_line(error)})."
            ) from error
        try:
            yield pathlib.Path(folder)
        except (FileNotFoundError, ValueError) as error:
            # The temporary folder means nothing to whoever reads the message.
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(str(error).replace(folder, str(path))) from error


def _read_official(form, classes, folder):
    meta = _unpickle(folder / form.meta)
    try:
        names = tuple(name.decode() for name in meta[form.names])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise _not_official(folder / form.meta, error) from error
    _check_classes(form.name, classes, names, folder)
    train = [_read_batch(folder / file, form.labels, len(classes)) for file in form.train]
    test_images, test_labels = _read_batch(folder / form.test, form.labels, len(classes))
    return ImageDataset(
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        test_images,
        test_labels,
        classes,
    )


def _read_batch(file, key, classes):
    content = _unpickle(file)
    try:
        pixels, labels = np.asarray(content[b"data"]), np.asarray(content[key])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_official(file, error) from error
    height, width, channels = _SHAPE
    fits = (
        pixels.dtype == np.uint8
        and pixels.ndim == 2
        and pixels.shape[1] == height * width * channels
        and labels.shape == (len(pixels),)
        and labels.dtype.kind in "iu"
        and len(pixels) > 0
    )
    if not fits:
        raise ValueError(
            f"Expected rows of {height * width * channels} pixels of uint8 and as many labels. "
            f"Received: {pixels.dtype} {pixels.shape} and labels {labels.dtype} {labels.shape} "
            f"in {file}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}. Received: {labels.min()} to "
            f"{labels.max()} in {file}."
        )
    # Stored plane by plane: all reds, then all greens, then all blues.
    images = pixels.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype("int64")


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays, numbers and bytes; runs nothing that a file may name."""

    _ALLOWED = frozenset(
        {
            ("_codecs", "encode"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
        }
    )

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")
        return super().find_class(module, name)


def _unpickle(file):
    try:
        with open(file, "rb") as opened:
            content = _ArraysOnly(opened, encoding="bytes").load()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"Expected a file of the official archive. Received: {file}, which does not exist."
        ) from None
    except Exception as error:  # A damaged pickle raises nearly anything.
        raise _not_official(file, error) from error
    if not isinstance(content, dict):
        raise _not_official(file, f"it holds a {type(content).__name__}")
    return content


def _not_official(file, error):
    return ValueError(
        f"Expected a file of the official archive. Received: {file} "
        f"({type(error).__name__}: {_first_line(error)})."
    )


def _read_image_folders(classes, folder):
    train, test = (
        load_image_folder(folder / part, image_size=_SHAPE[:2], classes=classes)
        for part in ("train", "test")
    )
    return ImageDataset(train.images, train.labels, test.images, test.labels, classes)


def _check_classes(name, expected, received, folder):
    if received != expected:
        raise ValueError(
            f"Expected the {len(expected)} classes of {name}. Received: {len(received)} "
            f"({', '.join(received[:5])}, …) in {folder}."
        )


def _first_line(error):
    return str(error).strip().partition("\n")[0].rstrip(":.") or type(error).__name__
