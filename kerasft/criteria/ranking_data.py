import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class RankingData:
    """The images by which criteria rank filters.

    Nothing is needed until a criterion uses it; what `rank_filters_by` is
    given is then looked at before any work starts.

    Attributes:
        clean: Clean images `(images, height, width, channels)`, pixels in the
            range that the model takes, or `None`.
        distorted: Their distorted versions in the same order, or, for criteria
            that look at distorted images alone, any distorted images.
        labels: The class of each image, `(images,)` integers, or one-hot
            `(images, classes)`.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> kerasft.RankingData(distorted=images[:20], labels=labels[:20]).images
    20
    """

    clean: Any = None
    distorted: Any = None
    labels: Any = None

    @property
    def images(self):
        """The number of images, 0 where there are none.

        Raises:
            ValueError: Images that have no number, such as an iterator.
        """
        for name in ("distorted", "clean"):
            images = getattr(self, name)
            if images is not None:
                return _count(images, name)
        return 0

    def require(self, *names):
        """The parts that a criterion needs.

        Args:
            *names: Of `"clean"`, `"distorted"`, `"labels"`.

        Returns:
            A tuple of arrays, all of one length.

        Raises:
            ValueError: One of them is missing, there are no images, or
                different numbers of them.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"Expected data with {' and '.join(names)} for this criterion. "
                f"Received: RankingData without {' and '.join(missing)}."
            )
        arrays = tuple(np.asarray(getattr(self, name)) for name in names)
        lengths = {name: len(x) for name, x in zip(names, arrays, strict=True) if x.ndim}
        if len(lengths) < len(names) or 0 in lengths.values() or len(set(lengths.values())) != 1:
            raise ValueError(
                f"Expected as many {' as '.join(names)}, at least one. Received: {lengths}."
            )
        return arrays


def _count(images, name):
    try:
        return len(images)
    except TypeError:
        raise ValueError(
            f"Expected {name} images as an array. Received: {type(images).__name__}."
        ) from None
