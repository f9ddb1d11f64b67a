"""Streams of clean and distorted batches, whatever they come from."""

import inspect

import keras
import numpy as np

from kerasft.susceptibility.model_input import validate_model_input


def count_rows(data):
    """The number of images of an array or a structure of arrays; `None` for others.

    Raises:
        ValueError: Arrays of different lengths.
    """
    if not _is_arrays(data):
        return None
    lengths = [len(leaf) for leaf in keras.tree.flatten(data)]
    if len(set(lengths)) > 1:
        raise ValueError(f"Expected as many rows in each array. Received: {lengths}.")
    return lengths[0]


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
            does not take.
    """
    rows = count_rows(clean), None if callable(distorted) else count_rows(distorted)
    if None not in rows and rows[0] != rows[1]:
        raise ValueError(
            "Expected as many clean as distorted images. Received: "
            f"{rows[0]} clean and {rows[1]} distorted."
        )
    for name, images, known in zip(("clean", "distorted"), (clean, distorted), rows, strict=True):
        if known is not None:
            validate_model_input(model, images, name)
    return None if rows[0] is None else -(-rows[0] // batch_size)


def stream_pairs(clean, distorted, batch_size):
    """Stream batches of pairs.

    Args:
        clean: Arrays (or a structure of arrays, for models with several
            inputs), or an iterable of batches: `tf.data.Dataset`,
            `keras.utils.PyDataset`, PyTorch `DataLoader`. Of batches that are
            tuples `(images, labels, …)` the images are used.
        distorted: The same, or a function from a batch of clean images to a
            distorted one; where it takes an argument `first_index`, it gets
            the index of the batch's first image. It may change its batch.
        batch_size: Number of pairs in each batch but the last.

    Yields:
        `(clean batch, distorted batch)`, structures of NumPy arrays.

    Raises:
        TypeError: Not images.
        ValueError: Different numbers or shapes of images, NaN or infinity,
            one set in 0–1 and the other in 0–255, no images, a dataset that
            does not end.
    """
    for data in (clean, distorted):
        _refuse_endless(data)
    if callable(distorted) and not _is_dataset(distorted):
        pairs = _distort(_batches(clean, batch_size), distorted)
    else:
        pairs = _zip(_batches(clean, batch_size), _batches(distorted, batch_size))
    peaks = None
    for clean_batch, distorted_batch in pairs:
        _validate(clean_batch, distorted_batch)
        peaks = _validate_range(peaks, clean_batch, distorted_batch)
        yield clean_batch, distorted_batch
    if peaks is None:
        raise ValueError("Expected at least one pair of images. Received: none.")


def _is_arrays(data):
    leaves = keras.tree.flatten(data)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


def _is_dataset(data):
    return hasattr(data, "__iter__") or hasattr(data, "__getitem__")


def _distort(batches, distortion):
    try:
        takes_index = "first_index" in inspect.signature(distortion).parameters
    except ValueError:  # Compiled functions may have no signature.
        takes_index = False
    index = 0
    for batch in batches:
        size = len(keras.tree.flatten(batch)[0])
        # A copy: a function that works in place must not change the clean images.
        copy = keras.tree.map_structure(np.array, batch)
        distorted = distortion(copy, first_index=index) if takes_index else distortion(copy)
        yield batch, keras.tree.map_structure(_to_numpy, distorted)
        index += size


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


def _batches(data, batch_size):
    """Batches of exactly `batch_size` rows (the last may be smaller)."""
    if _is_arrays(data):
        for start in range(0, count_rows(data), batch_size):
            stop = start + batch_size
            yield keras.tree.map_structure(lambda x, a=start, b=stop: _to_numpy(x[a:b]), data)
        return
    held, rows = [], 0
    for batch in _source_batches(data):
        batch = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not _is_arrays(batch):
            raise TypeError(
                "Expected images as arrays, or a dataset of batches of them. "
                f"Received: {type(data).__name__} of {type(batch).__name__}."
            )
        batch = keras.tree.map_structure(_to_numpy, batch)
        held.append(batch)
        rows += len(keras.tree.flatten(batch)[0])
        if rows >= batch_size:
            whole = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *held)
            for start in range(0, rows - rows % batch_size, batch_size):
                stop = start + batch_size
                yield keras.tree.map_structure(lambda x, a=start, b=stop: x[a:b], whole)
            rows %= batch_size
            held = (
                [keras.tree.map_structure(lambda x, n=rows: x[len(x) - n :], whole)] if rows else []
            )
    if rows:
        yield keras.tree.map_structure(lambda *parts: np.concatenate(parts), *held)


def _source_batches(data):
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(data.num_batches))
    if hasattr(data, "__iter__"):
        return iter(data)
    raise TypeError(
        "Expected images as arrays, a tf.data.Dataset, a PyDataset or a DataLoader. "
        f"Received: {type(data).__name__}."
    )


def _to_numpy(x):
    return x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)


def _refuse_endless(data):
    if isinstance(data, keras.utils.PyDataset):
        endless = data.num_batches is None
    else:
        # How `tf.data.Dataset` says that it repeats for ever.
        endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1
    if endless:
        raise ValueError(
            f"Expected a dataset of images that ends. Received: an endless {type(data).__name__}."
        )


def _validate(clean, distorted):
    shapes = [[x.shape for x in keras.tree.flatten(batch)] for batch in (clean, distorted)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "Expected clean and distorted images of one shape. Received: "
            f"batches {', '.join(map(str, shapes[0]))} and {', '.join(map(str, shapes[1]))}."
        )
    for name, batch in (("clean", clean), ("distorted", distorted)):
        if not all(_is_finite(x) for x in keras.tree.flatten(batch)):
            raise ValueError(
                f"Expected finite pixels. Received: {name} images with NaN or infinity."
            )


def _validate_range(peaks, clean, distorted):
    """Compare the largest values so far; a batch alone may be black."""
    peaks = [
        max([so_far, *(float(np.max(np.abs(x))) for x in keras.tree.flatten(batch))])
        for so_far, batch in zip(peaks or (0.0, 0.0), (clean, distorted), strict=True)
    ]
    # No distortion makes 0–1 images ten times brighter; 0–255 is.
    if 0 < min(peaks) <= 1 and max(peaks) > 10:
        raise ValueError(
            "Expected clean and distorted images over the same value range. Received: "
            f"values up to {peaks[0]:g} and up to {peaks[1]:g}."
        )
    return peaks


def _is_finite(x):
    return not np.issubdtype(x.dtype, np.inexact) or np.isfinite(x).all()
