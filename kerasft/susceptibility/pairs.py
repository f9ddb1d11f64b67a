"""Streams of clean and distorted batches, whatever they come from."""

import functools

import keras
import numpy as np

from kerasft.distortions import takes_first_index
from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import complaints_heard_by
from kerasft.susceptibility.batches import (
    count_rows,
    is_arrays,
    is_finite,
    refuse_endless,
    stream_batches,
    to_numpy,
)
from kerasft.susceptibility.model_input import (
    refuse_channels_first,
    refuse_single_images,
    validate_model_input,
    validate_numbers,
)
from kerasft.susceptibility.value_ranges import ValueRanges

_ORDER_SEED = 0

# So many pairs that look as if from two ranges are not a dark beginning; more would fill memory.
_MOST_HELD_BACK = 256


def count_batches(model, clean, distorted, batch_size):
    """The number of batches of pairs, after checks that need no pass over the images.

    Args:
        model: The `keras.Model` that they go into.
        clean: As for `stream_pairs`.
        distorted: As for `stream_pairs`.
        batch_size: Number of pairs in each batch but the last.

    Returns:
        An integer; `None` where it is not known.

    Raises:
        ValueError: Arrays of different lengths, or of shapes that the model
            does not take; a `tf.data.Dataset` of single images; a distortion
            of the package for images with channels first.
    """
    rows = count_rows(clean), None if callable(distorted) else count_rows(distorted)
    if None not in rows and rows[0] != rows[1]:
        raise ValueError(
            "Expected as many clean as distorted images. Received: "
            f"{rows[0]} clean and {rows[1]} distorted."
        )
    if isinstance(distorted, Distortion):
        refuse_channels_first(model, distorted)
    for name, images, known in zip(("clean", "distorted"), (clean, distorted), rows, strict=True):
        refuse_single_images(model, images, name)
        if known is not None:
            validate_model_input(model, images, name)
    return None if rows[0] is None else -(-rows[0] // batch_size)


def count_pairs(clean, distorted):
    """The number of pairs; `None` where only a pass over the images would tell.

    Args:
        clean: As for `stream_pairs`.
        distorted: As for `stream_pairs`.
    """
    rows = count_rows(clean)
    return count_rows(distorted) if rows is None and not _is_function(distorted) else rows


def random_order(clean, distorted):
    """A random order of the pairs, the same for each set of one size.

    Args:
        clean: As for `stream_pairs`.
        distorted: As for `stream_pairs`.

    Returns:
        `(pairs,)`, int64, the row of each pair in the order in which they are
        to be visited; `None` where clean or distorted images come from a
        dataset, which gives them in an order of its own.
    """
    if not is_arrays(clean) or not (is_arrays(distorted) or _is_function(distorted)):
        return None
    return np.random.default_rng(_ORDER_SEED).permutation(count_rows(clean))


def stream_pairs(clean, distorted, batch_size, order=None):
    """Stream batches of pairs.

    Pairs that look as if over 0–1 beside 0–255 are held back until a brighter
    image shows that they were only dark.

    Args:
        clean: Arrays (or a structure of arrays, for models with several
            inputs), or an iterable of batches: `tf.data.Dataset`,
            `keras.utils.PyDataset`, PyTorch `DataLoader`. Of batches that are
            tuples `(images, labels, …)` the images are used.
        distorted: The same, or a function from a batch of clean images to a
            distorted one; where it takes an argument `first_index`, it gets
            the index of the batch's first image. It may change its batch.
        batch_size: Number of pairs in each batch but the last.
        order: As `random_order` gives it; a function with `first_index` then
            gets one image at a time. Default: as they come.

    Yields:
        `(clean batch, distorted batch)`, structures of NumPy arrays.

    Raises:
        TypeError: Not images.
        ValueError: Different numbers or shapes of images, NaN or infinity,
            one set in 0–1 and the other in 0–255, no images, a dataset that
            does not end.
    """
    for data in (clean, distorted):
        refuse_endless(data)
    ranges = ValueRanges(clean, distorted)
    batches = stream_batches(clean, batch_size, order)
    if _is_function(distorted):
        pairs = _distort(batches, distorted, ranges.hear, order)
    else:
        pairs = _zip(batches, stream_batches(distorted, batch_size, order))
    held_back, doubt, is_empty = [], None, True
    for pair in pairs:
        is_empty = False
        _validate(*pair)
        doubt = ranges.doubt(*pair)
        held_back.append(pair)
        if doubt is None:
            yield from held_back
            held_back = []
        elif len(held_back) * batch_size >= _MOST_HELD_BACK:
            break
    if doubt is not None:
        raise doubt
    if is_empty:
        raise ValueError("Expected at least one pair of images. Received: none.")


def _is_function(data):
    # Datasets may be callable too.
    return callable(data) and not (hasattr(data, "__iter__") or hasattr(data, "__getitem__"))


def _distort(batches, distortion, hear, order):
    takes_index = takes_first_index(distortion)
    index = 0
    for batch in batches:
        size = len(keras.tree.flatten(batch)[0])
        if takes_index and order is not None:
            distorted = _distort_each(batch, distortion, hear, order[index : index + size])
        else:
            where = {"first_index": index} if takes_index else {}
            distorted = _distort_batch(batch, distortion, hear, **where)
        yield batch, distorted
        index += size


def _distort_batch(batch, distortion, hear, **where):
    # A copy: a function that works in place must not change the clean images.
    copy = keras.tree.map_structure(np.array, batch)
    if isinstance(distortion, Distortion) and not isinstance(copy, np.ndarray):
        raise ValueError(
            "Expected a function of all arrays together, for images of several arrays. "
            f"Received: {distortion!r}, which distorts one array of images."
        )
    with complaints_heard_by(functools.partial(hear, batch)):
        return keras.tree.map_structure(to_numpy, distortion(copy, **where))


def _distort_each(batch, distortion, hear, rows):
    """Each image as its own row in the set is distorted, whatever its place in the batch."""
    images = []
    for place, row in enumerate(rows.tolist()):
        clean = keras.tree.map_structure(lambda x, i=place: x[i : i + 1], batch)
        distorted = _distort_batch(clean, distortion, hear, first_index=row)
        _validate(clean, distorted)
        images.append(distorted)
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *images)


def _zip(clean, distorted):
    pairs = 0
    while True:
        clean_batch, distorted_batch = next(clean, None), next(distorted, None)
        if clean_batch is None and distorted_batch is None:
            return
        sizes = [
            0 if batch is None else len(keras.tree.flatten(batch)[0])
            for batch in (clean_batch, distorted_batch)
        ]
        if sizes[0] != sizes[1]:
            fewer, more = ("clean", "distorted") if sizes[0] < sizes[1] else ("distorted", "clean")
            raise ValueError(
                "Expected as many clean as distorted images. Received: "
                f"{pairs + min(sizes)} {fewer} images and more {more} ones."
            )
        pairs += sizes[0]
        yield clean_batch, distorted_batch


def _validate(clean, distorted):
    shapes = [[x.shape for x in keras.tree.flatten(batch)] for batch in (clean, distorted)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "Expected clean and distorted images of one shape. Received: "
            f"batches {', '.join(map(str, shapes[0]))} and {', '.join(map(str, shapes[1]))}."
        )
    for name, batch in (("clean", clean), ("distorted", distorted)):
        validate_numbers(batch, f"{name} images")
        if not all(map(is_finite, keras.tree.flatten(batch))):
            raise ValueError(
                f"Expected finite pixels. Received: {name} images with NaN or infinity."
            )
