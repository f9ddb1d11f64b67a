"""Image folders: `<folder>/<class>/*.jpg|png…`, the layout practitioners have."""

import collections
import dataclasses
import os
import pathlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import keras
import numpy as np
from PIL import Image

from kerasft.progress import track
from kerasft.whole_number import is_whole

# What Keras's own `image_dataset_from_directory` accepts.
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, in memory.

    Attributes:
        images: `(n, height, width, channels)` array of uint8, 0 to 255.
        labels: `(n,)` array of int64, indices into `class_names`.
        class_names: Names of the classes, in output order.
        paths: `n` file paths relative to the folder, with forward slashes.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    paths: tuple[str, ...]


def list_image_folder(folder, classes=None):
    """List the image files of a folder with one subfolder per class.

    Args:
        folder: Path of a folder that holds one subfolder per class. Files
            are looked for at any depth below a class folder; hidden files and
            files that are not images by their suffix are passed over, links
            to folders are not followed.
        classes: Names of the class folders in output order. Default: all
            subfolders in alphabetical order, as Keras does.

    Returns:
        `(class_names, paths, labels)`: a tuple of names, a list of paths
        relative to `folder` sorted class by class, a list of integers.

    Raises:
        FileNotFoundError: The folder does not exist.
        NotADirectoryError: It is a file.
        ValueError: It has no class subfolders, no images, or not the
            `classes` named, a folder in it cannot be read, or the name of a
            class is no text.
    """
    folder = pathlib.Path(folder)
    if not folder.exists():
        raise FileNotFoundError(
            f"Expected an image folder. Received: {folder}, which does not exist."
        )
    if not folder.is_dir():
        raise NotADirectoryError(f"Expected an image folder. Received: {folder}, which is a file.")
    try:
        held = list(folder.iterdir())
    except OSError as error:
        raise _unreadable(error) from error
    found = sorted(p.name for p in held if p.is_dir() and not p.name.startswith("."))
    # Class names are written to reports and tables.
    nameless = [name for name in found if not _is_text(name)]
    if nameless:
        raise ValueError(
            f"Expected class folders with names in UTF-8. Received: {nameless[0]!r} in {folder}."
        )
    if not found:
        kind = "files but no subfolder" if held else "no files"
        raise ValueError(
            f"Expected one subfolder per class in {folder} (folder/class/image.jpg). "
            f"Received a folder with {kind}."
        )
    names = tuple(found if classes is None else classes)
    if len(set(names)) != len(names):
        raise ValueError(f"Expected class names without repetition. Received: {list(names)}.")
    unknown = sorted(set(found) ^ set(names))
    if unknown:
        raise ValueError(
            f"Expected the class folders {list(names)} in {folder}. Received: {found}."
        )
    paths, labels = [], []
    for label, name in enumerate(names):
        files = []
        # By itself `os.walk` passes over what it may not read.
        for parent, directories, entries in os.walk(folder / name, onerror=_refuse):
            directories[:] = [d for d in directories if not d.startswith(".")]
            files.extend(
                pathlib.Path(parent, entry).relative_to(folder).as_posix()
                for entry in entries
                if entry.lower().endswith(IMAGE_SUFFIXES) and not entry.startswith(".")
            )
        paths.extend(sorted(files))
        labels.extend([label] * len(files))
    if not paths:
        raise ValueError(
            f"Expected image files ({', '.join(IMAGE_SUFFIXES)}) below the class folders "
            f"of {folder}. Received none."
        )
    return names, paths, labels


def load_image_folder(folder, *, image_size=None, channels=3, classes=None, paths=None):
    """Read an image folder into memory.

    Files are decoded by Pillow to the pixels that `keras.utils.load_img`
    gives, so a grayscale file becomes three equal channels, transparency is
    dropped. A picture of another size is resized bilinearly to
    `image_size`, with Pillow, which averages over the area where a picture
    shrinks, as `keras.utils.image_dataset_from_directory` does not. Grayscale
    of 16 bits, which Keras would clip to white, is scaled to 0–255.

    Args:
        folder: Path of a folder that holds one subfolder per class.
        image_size: `(height, width)` to resize to. Default: no resizing, all
            files must have the same size.
        channels: 1, 3 or 4.
        classes: Names of the class folders in output order. Default:
            alphabetical.
        paths: Read only these, relative to `folder`. Default: all.

    Returns:
        An `ImageFolder`.

    Raises:
        FileNotFoundError, NotADirectoryError: No such folder.
        ValueError: No class subfolders, no images, an image that cannot be
            read (named), images of different sizes, wrong `channels`,
            `image_size` or `paths`.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import kerasft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> pixels = np.zeros((2, 8, 8, 3), "uint8")
    >>> kerasft.datasets.save_image_folder(folder, pixels, ["cat/0.png", "dog/0.png"])
    >>> kerasft.datasets.load_image_folder(folder).images.shape
    (2, 8, 8, 3)
    """
    if not is_whole(channels) or channels not in _MODES:
        raise ValueError(f"Expected channels to be one of {sorted(_MODES)}. Received: {channels}.")
    if image_size is not None and not _is_size(image_size):
        raise ValueError(
            "Expected image_size as (height, width), whole numbers of at least 1. "
            f"Received: {image_size}."
        )
    folder = pathlib.Path(folder)
    names, files, labels = list_image_folder(folder, classes)
    if paths is not None:
        if isinstance(paths, str):
            raise ValueError(f"Expected paths as a list. Received: {paths!r}.")
        if not len(paths):
            raise ValueError("Expected at least one path. Received: none.")
        label_of = dict(zip(files, labels, strict=True))
        files = [pathlib.PurePath(path).as_posix() for path in paths]
        missing = [path for path in files if path not in label_of]
        if missing:
            raise ValueError(
                f"Expected {folder / missing[0]} to be an image file. Received no such file."
            )
        labels = [label_of[path] for path in files]

    images = read_images(folder, files, channels, image_size)
    return ImageFolder(images, np.asarray(labels, "int64"), names, tuple(files))


def _is_size(size):
    return np.shape(size) == (2,) and all(is_whole(side) and side >= 1 for side in size)


def read_images(folder, files, channels, image_size):
    """Read image files of a folder as `load_image_folder` does; at least one."""
    # Pillow warns of large photographs and of damage beside the pixels.
    with warnings.catch_warnings(action="ignore"):
        return _read_images(folder, files, _MODES[channels], image_size)


def _read_images(folder, files, mode, image_size):
    def read(path):
        return _read_image(folder / path, mode, image_size)

    first = read(files[0])
    images = np.empty((len(files), *first.shape), "uint8")
    # Pillow releases the interpreter lock while it decodes.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        closing(track(pool.map(read, files), len(files), f"Reading {folder.name}")) as decoded,
    ):
        for i, image in enumerate(decoded):
            if image.shape != first.shape:
                pool.shutdown(cancel_futures=True)
                raise ValueError(
                    f"Expected images of one size, {first.shape[1]}×{first.shape[0]} pixels as "
                    f"{folder / files[0]}. Received: {folder / files[i]} with "
                    f"{image.shape[1]}×{image.shape[0]} pixels."
                )
            images[i] = image
    return images


def save_image_folder(folder, images, paths):
    """Write images as lossless PNG files.

    Args:
        folder: Path of the folder to write below; made where missing.
        images: `(n, height, width, channels)` array of uint8, 1, 3 or 4
            channels.
        paths: `n` relative paths ending in `.png`; existing files are
            replaced.

    Raises:
        ValueError: Wrong dtype or shape, a number of paths other than `n`, a
            path that is repeated, leaves the folder or is not `.png`.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in _MODES:
        raise ValueError(
            "Expected images as a uint8 array of shape (n, height, width, 1, 3 or 4). "
            f"Received: {images.dtype} {images.shape}."
        )
    if len(paths) != len(images):
        raise ValueError(f"Expected {len(images)} paths. Received: {len(paths)}.")
    # Two spellings may name one file.
    targets = list(map(pathlib.PurePosixPath, paths))
    counts = collections.Counter(targets)
    if len(counts) != len(targets):
        path, count = counts.most_common(1)[0]
        raise ValueError(f"Expected a path for each image. Received: {path}, {count} times.")
    folder = pathlib.Path(folder)
    for path in targets:
        if path.is_absolute() or ".." in path.parts or path.suffix != ".png":
            raise ValueError(f"Expected relative paths of .png files. Received: {path}.")
    for image, path in zip(images, targets, strict=True):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(target, image, data_format="channels_last", scale=False)


def _unreadable(error):
    return ValueError(
        f"Expected a folder that can be read. Received: {error.filename} ({error.strerror})."
    )


def _refuse(error):
    raise _unreadable(error) from error


def _is_text(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_image(path, mode, image_size):
    try:
        if path.exists() and not path.is_file():
            # Reading a pipe would wait for ever.
            raise ValueError("no regular file")
        with Image.open(path) as file:
            image = _with_eight_bits(file).convert(mode)
        if image_size is not None:
            height, width = image_size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
    except MemoryError:
        raise
    except Exception as error:  # A damaged file raises nearly anything.
        raise ValueError(
            f"Expected a readable image. Received: {path} ({type(error).__name__}: "
            f"{_first_line(error)})."
        ) from error
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _with_eight_bits(image):
    if image.mode.startswith("I"):
        pixels = np.rint(np.asarray(image) / 257.0)
        return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
    # By way of RGBA, for which Pillow knows what a transparent palette means.
    return image.convert("RGBA") if "transparency" in image.info else image


def _first_line(error):
    text = str(error).partition("\n")[0]
    return "cannot identify the file format" if "<_io." in text else text
