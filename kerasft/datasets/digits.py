import numpy as np
from sklearn.datasets import load_digits


def digits():
    """The 1,797 handwritten digits that scikit-learn ships, for work offline.

    Real scans of 8×8 pixels by 43 people. The original's 17 gray levels are
    spread over 0 to 255.

    Returns:
        `(images, labels)`: uint8 of shape `(1797, 8, 8, 1)`, 0 to 255, and
        int64 of shape `(1797,)`, 0 to 9.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> images.shape, int(images.max())
    ((1797, 8, 8, 1), 255)

    Reference:
        E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*,
        UCI Machine Learning Repository, 1998; as `sklearn.datasets.load_digits`.
    """
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    return images, bunch.target.astype("int64")
