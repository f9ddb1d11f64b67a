import contextlib
import functools
import io
import math
import numbers
import pathlib
import tarfile
from collections.abc import Callable

import numpy as np

from kerasft.datasets.cifar10 import CLASSES

SEVERITIES = (1, 2, 3, 4, 5)

_FOLDER = "CIFAR-10-C"
_LABELS = "labels"
_SHAPE = (32, 32, 3)
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def cifar10_c(path, corruption, severity):
    """CIFAR-10-C: the test images of CIFAR-10 under one corruption at one severity.

    Only the images of that severity are read.

    Args:
        path: Where the release lies: its archive `CIFAR-10-C.tar`, the folder
            `CIFAR-10-C` in it, or the folder around that. A smaller set in the
            same form serves too: a file `labels.npy` and for each corruption a
            file of as many images, those of one severity after those of
            another, equally many of each.
        corruption: Name of a file without its suffix, such as
            `"gaussian_noise"`; see `cifar10_c_corruptions`.
        severity: 1 to 5.

    Returns:
        `(images, labels)`: uint8 of shape `(10000, 32, 32, 3)`, int64 of shape
        `(10000,)`.

    Raises:
        FileNotFoundError: Nothing at `path`, or no `labels.npy`.
        ValueError: A `corruption` that is not there, another `severity`, a
            file that is damaged or in another form.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import kerasft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "fog.npy", np.zeros((20, 32, 32, 3), "uint8"))
    >>> np.save(folder / "labels.npy", np.arange(20) % 4)
    >>> images, labels = kerasft.datasets.cifar10_c(folder, "fog", severity=3)
    >>> images.shape, labels.tolist()
    ((4, 32, 32, 3), [0, 1, 2, 3])

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019.
    """
    if not isinstance(severity, numbers.Integral) or severity not in SEVERITIES:
        raise ValueError(f"Expected a severity from 1 to 5. Received: {severity!r}.")
    with _files(path) as files:
        names = _corruptions(files)
        if corruption not in names:
            raise ValueError(
                f"Expected a corruption that is in {path}: {', '.join(names) or 'there is none'}. "
                f"Received: {corruption!r}."
            )
        labels = _read(files, path, _LABELS)
        count, rest = divmod(len(labels), len(SEVERITIES))
        if rest or not count:
            raise ValueError(
                f"Expected as many labels of each of {len(SEVERITIES)} severities. Received: "
                f"{len(labels)} in {path}."
            )
        stop = int(severity) * count
        part = slice(stop - count, stop)
        images = _read(files, path, corruption, part, len(labels))
    return images, labels[part].astype("int64")


def cifar10_c_corruptions(path):
    """The corruptions that are there.

    Args:
        path: As for `cifar10_c`.

    Returns:
        Sorted list of names.

    Raises:
        FileNotFoundError: Nothing at `path`, or no `labels.npy`.
        ValueError: A file that is no archive.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import kerasft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("labels", "fog", "contrast"):
    ...     np.save(folder / f"{name}.npy", np.zeros(5, "uint8"))
    >>> kerasft.datasets.cifar10_c_corruptions(folder)
    ['contrast', 'fog']
    """
    with _files(path) as files:
        return _corruptions(files)


def _corruptions(files):
    return sorted(set(files) - {_LABELS})


@contextlib.contextmanager
def _files(path):
    """What opens each `.npy` file, by its name without suffix."""
    path = pathlib.Path(path)
    files: dict[str, Callable]
    if not path.exists():
        raise FileNotFoundError(
            f"Expected CIFAR-10-C as a folder or an archive. Received: {path}, which does not "
            "exist."
        )
    with contextlib.ExitStack() as stack:
        if path.is_dir():
            folder = path / _FOLDER if (path / _FOLDER).is_dir() else path
            found = ((file, functools.partial(open, file, "rb")) for file in folder.iterdir())
            files = {file.stem: opener for file, opener in found if _is_array(file, file.is_file())}
        else:
            try:
                archive = stack.enter_context(tarfile.open(path))
                files = {
                    pathlib.PurePosixPath(member.name).stem: functools.partial(
                        archive.extractfile, member
                    )
                    for member in archive
                    if _is_array(pathlib.PurePosixPath(member.name), member.isreg())
                }
            except Exception as error:  # A damaged archive raises nearly anything.
                raise _unreadable(path, error) from error
        if _LABELS not in files:
            raise FileNotFoundError(
                f"Expected {_LABELS}.npy and a .npy file for each corruption. Received: {path} "
                f"with {', '.join(sorted(files)) or 'none of them'}."
            )
        yield files


def _is_array(name, regular):
    return regular and name.suffix == ".npy" and not name.name.startswith(".")


def _read(files, path, name, rows=None, length=None):
    """Labels, or images of some rows; `length` is the number of images there must be."""
    try:
        with files[name]() as file:
            # Nothing is unpickled: an array of objects has no bytes to be read.
            shape, in_columns, dtype = _READ_HEADER[np.lib.format.read_magic(file)](file)
            _validate(path, name, shape, in_columns, dtype, length)
            row = math.prod(shape[1:]) * dtype.itemsize
            start, stop = (0, shape[0]) if rows is None else (rows.start, rows.stop)
            first = file.tell()
            if file.seek(0, io.SEEK_END) < first + shape[0] * row:
                raise EOFError("it is cut off")
            file.seek(first + start * row)
            content = file.read((stop - start) * row)
    except _WrongForm:
        raise
    except Exception as error:  # A damaged file raises nearly anything.
        raise _unreadable(f"{name}.npy in {path}", error) from error
    array = np.frombuffer(content, dtype).reshape(-1, *shape[1:]).copy()
    if name == _LABELS and array.size and not 0 <= array.min() <= array.max() < len(CLASSES):
        raise ValueError(
            f"Expected labels from 0 to {len(CLASSES) - 1}. Received: {array.min()} to "
            f"{array.max()} in {path}."
        )
    return array


class _WrongForm(ValueError):
    """An array that can be read but is none of the release."""


def _validate(path, name, shape, in_columns, dtype, length):
    if name == _LABELS:
        fits = len(shape) == 1 and dtype.kind in "iu"
        expected = "labels as whole numbers of shape (images,)"
    else:
        fits = shape == (length, *_SHAPE) and dtype == np.uint8 and not in_columns
        expected = f"images of uint8 and shape {(length, *_SHAPE)}, row by row"
    if not fits:
        order = ", column by column" if in_columns and len(shape) > 1 else ""
        raise _WrongForm(
            f"Expected {expected}. Received: {dtype} {shape}{order} in {name}.npy in {path}."
        )


def _unreadable(what, error):
    line = str(error).strip().partition("\n")[0].rstrip(":.")
    return ValueError(
        f"Expected a file of CIFAR-10-C that can be read. Received: {what} "
        f"({type(error).__name__}: {line})."
    )
