import keras

from kerasft.datasets.cifar_files import CifarFormat, load_cifar

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_FORMAT = CifarFormat(
    name="CIFAR-10",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels=b"labels",
    meta="batches.meta",
    names=b"label_names",
)


def cifar10(path=None):
    """CIFAR-10: 50,000 training and 10,000 test photographs of 10 classes, 32×32 pixels.

    Args:
        path: Where the data lies: the official python archive
            (`cifar-10-python.tar.gz`) or its folder, or a folder or `.tar.gz`
            archive of image files `train/<class>/*` and `test/<class>/*`. A
            smaller set in one of these forms serves too. Default: by
            `keras.datasets`, which downloads it once.

    Returns:
        An `ImageDataset`.

    Raises:
        FileNotFoundError: Nothing at `path`.
        ValueError: Neither form, a damaged archive or file, other classes, or
            no `path` and no network.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import kerasft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    >>> pixels = np.zeros((10, 32, 32, 3), "uint8")
    >>> for part in ("train", "test"):
    ...     paths = [f"{part}/{name}/0.png" for name in names]
    ...     kerasft.datasets.save_image_folder(folder, pixels, paths)
    >>> kerasft.datasets.cifar10(folder).train_images.shape
    (10, 32, 32, 3)

    Reference:
        A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.
    """
    return load_cifar(_FORMAT, CLASSES, path, keras.datasets.cifar10.load_data)
