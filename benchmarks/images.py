"""Images for benchmarks that anyone can run: made, not downloaded."""

import numpy as np


def photograph_like(count, size=32, seed=0):
    """Random images whose spectrum falls as that of photographs does, with 1 / frequency.

    Args:
        count: Number of images.
        size: Height and width, even.
        seed: Seed of the draw.

    Returns:
        `(count, size, size, 3)`, uint8.
    """
    white = np.random.default_rng(seed).standard_normal((count, size, size, 3))
    # Channels of a photograph differ little from each other.
    white = 0.3 * white + white.mean(axis=-1, keepdims=True)
    frequency = np.hypot(np.fft.fftfreq(size)[:, np.newaxis], np.fft.rfftfreq(size))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(white, axes=(1, 2)) / frequency[..., np.newaxis]
    images = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    images /= images.std(axis=(1, 2, 3), keepdims=True)
    return np.clip(np.rint(120 + 55 * images), 0, 255).astype("uint8")
