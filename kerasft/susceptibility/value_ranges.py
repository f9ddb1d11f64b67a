"""Whether two sets of images run over one range of values, or over 0–1 and 0–255."""

import keras

from kerasft.susceptibility.batches import is_arrays, stream_batches, to_numpy

# Images that are looked through together for a bright one.
_BATCH_SIZE = 256


class ValueRanges:
    """Compares clean and distorted images while they are streamed.

    Sets are compared and not their batches, of which any may be dark.

    Args:
        clean: As for `kerasft.susceptibility.pairs.stream_pairs`.
        distorted: The same.
    """

    def __init__(self, clean, distorted):
        self._sets = clean, distorted
        self._peaks = [0.0, 0.0]
        self._complaint = None

    def hear(self, batch, complaint):
        """Hear that a distortion takes a clean batch for one of another range.

        Args:
            batch: What it was given.
            complaint: The exception that it would raise.

        Raises:
            ValueError: The complaint, where the batch is bright: it is then
                about something else that the distortion was applied to.
        """
        if peak(batch) > 1:
            raise complaint
        self._complaint = complaint

    def doubt(self, clean, distorted):
        """Compare all so far, with one more batch of pairs.

        Args:
            clean: Structure of NumPy arrays.
            distorted: The same.

        Returns:
            An exception to raise if no brighter images come; `None` where all
            is well.

        Raises:
            ValueError: None will come.
        """
        for side, batch in enumerate((clean, distorted)):
            self._peaks[side] = max(self._peaks[side], peak(batch))
        if self._complaint is not None and self._is_dark(0, self._complaint):
            return self._complaint
        doubt = two_ranges(self._peaks, "clean and distorted images")
        dark = self._peaks.index(min(self._peaks))
        return doubt if doubt is not None and self._is_dark(dark, doubt) else None

    def _is_dark(self, side, error):
        """Whether a set has had no bright image yet; raises the error where it has none."""
        if self._peaks[side] <= 1 and is_arrays(self._sets[side]):
            peaks = map(peak, stream_batches(self._sets[side], _BATCH_SIZE))
            bright = next((found for found in peaks if found > 1), None)
            if bright is None:
                raise error
            self._peaks[side] = bright
        return self._peaks[side] <= 1


def peak(images):
    """The largest absolute value of a structure of arrays."""
    arrays = map(to_numpy, keras.tree.flatten(images))
    # Of the lowest of all integers there is no absolute value.
    return max(max(float(x.max()), -float(x.min())) for x in arrays)


def two_ranges(peaks, images):
    """What to raise where of two sets one runs over 0–1 and the other over 0–255.

    Args:
        peaks: The largest absolute value of each.
        images: What they are, for the error.

    Returns:
        An exception, or `None`.
    """
    # No distortion makes 0–1 images ten times brighter; 0–255 is.
    if 0 < min(peaks) <= 1 and max(peaks) > 10:
        return ValueError(
            f"Expected {images} over the same value range. Received: values up to {peaks[0]:g} "
            f"and up to {peaks[1]:g}."
        )
    return None
