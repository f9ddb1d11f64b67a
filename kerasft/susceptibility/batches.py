"""Batches of images, whatever holds them."""

import keras
import numpy as np


def is_arrays(data):
    """Whether data are an array or a structure of arrays, and no dataset."""
    leaves = keras.tree.flatten(data)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


def count_rows(data):
    """The number of images of an array or a structure of arrays; `None` for others.

    Raises:
        ValueError: Arrays of different lengths.
    """
    if not is_arrays(data):
        return None
    lengths = [len(leaf) for leaf in keras.tree.flatten(data)]
    if len(set(lengths)) > 1:
        raise ValueError(f"Expected as many rows in each array. Received: {lengths}.")
    return lengths[0]


def stream_batches(data, batch_size, order=None):
    """Stream images in batches of one size.

    Args:
        data: Arrays, a structure of arrays, or an iterable of batches of
            them: `tf.data.Dataset`, `keras.utils.PyDataset`, PyTorch
            `DataLoader`. Of batches that are tuples `(images, labels, …)` the
            images are used.
        batch_size: Number of images in each batch but the last.
        order: `(images,)`, integers: the rows of arrays in the order they are
            wanted. Default: as they are.

    Yields:
        Structures of NumPy arrays.

    Raises:
        TypeError: Not images.
        ValueError: Images of several shapes in a dataset, to be run together.
    """
    if is_arrays(data):
        for start in range(0, count_rows(data), batch_size):
            stop = start + batch_size
            if order is None:
                yield keras.tree.map_structure(lambda x, a=start, b=stop: to_numpy(x[a:b]), data)
            else:
                rows = order[start:stop]
                yield keras.tree.map_structure(lambda x, r=rows: _take(x, r), data)
        return
    held, rows = [], 0
    for batch in _source_batches(data):
        batch = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not is_arrays(batch):
            raise TypeError(
                "Expected images as arrays, or a dataset of batches of them. "
                f"Received: {type(data).__name__} of {type(batch).__name__}."
            )
        batch = keras.tree.map_structure(to_numpy, batch)
        if held and _shapes(batch) != _shapes(held[0]):
            raise ValueError(
                f"Expected images of one shape, {batch_size} of which are run together. Received: "
                f"{_shapes(held[0])[0]} and {_shapes(batch)[0]}; give batch_size=1."
            )
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


def refuse_endless(data):
    """Refuse a dataset that says of itself that it never ends.

    Raises:
        ValueError: It does.
    """
    if isinstance(data, keras.utils.PyDataset):
        endless = data.num_batches is None
    else:
        # How `tf.data.Dataset` says that it repeats for ever.
        endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1
    if endless:
        raise ValueError(
            f"Expected a dataset of images that ends. Received: an endless {type(data).__name__}."
        )


def to_numpy(x):
    """A tensor of any kind as a NumPy array."""
    return x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)


def is_finite(x):
    """Whether no value of an array or tensor is NaN or infinity."""
    x = to_numpy(x)
    return not np.issubdtype(x.dtype, np.inexact) or bool(np.isfinite(x).all())


def _shapes(batch):
    return [x.shape[1:] for x in keras.tree.flatten(batch)]


def _take(x, rows):
    if isinstance(x, np.ndarray):
        return x[rows]
    if keras.ops.is_tensor(x):
        return to_numpy(keras.ops.take(x, rows, axis=0))
    # Files behind arrays and foreign tensors know slices, but not every list of rows.
    return np.concatenate([to_numpy(x[row : row + 1]) for row in rows.tolist()])


def _source_batches(data):
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(data.num_batches))
    if hasattr(data, "__iter__"):
        return iter(data)
    raise TypeError(
        "Expected images as arrays, a tf.data.Dataset, a PyDataset or a DataLoader. "
        f"Received: {type(data).__name__}."
    )
