import dataclasses
from typing import Any

from kerasft.distortions.additive_white_gaussian_noise import AdditiveWhiteGaussianNoise
from kerasft.distortions.contrast import Contrast
from kerasft.distortions.gaussian_blur import GaussianBlur
from kerasft.distortions.impulse_noise import ImpulseNoise
from kerasft.distortions.jpeg_compression import JpegCompression
from kerasft.distortions.motion_blur import MotionBlur
from kerasft.distortions.shot_noise import ShotNoise
from kerasft.whole_number import validate_count

# In the order in which figures show them.
DISTORTIONS: dict[str, Any] = {
    distortion.kind: distortion
    for distortion in (
        GaussianBlur,
        AdditiveWhiteGaussianNoise,
        JpegCompression,
        MotionBlur,
        Contrast,
        ImpulseNoise,
        ShotNoise,
    )
}

# Blur and AWGN: severities of DeepCorrect on CIFAR, pixels from 0 to 255; the
# central noise is that of the paper's Table 1. The others: severities 1, 3 and 5 of
# CIFAR-10-C, from the code that Hendrycks and Dietterich published. Their
# motion blur is another; these lengths spread a point about as far.
PRESETS: dict[str, dict[str, float]] = {
    "blur": {"low": 0.5, "central": 1.0, "high": 1.5},
    "awgn": {"low": 5.0, "central": 15.0, "high": 25.0},
    "jpeg": {"low": 80, "central": 58, "high": 40},
    "motion": {"low": 2, "central": 4, "high": 5},
    "contrast": {"low": 0.75, "central": 0.4, "high": 0.15},
    "impulse": {"low": 0.01, "central": 0.03, "high": 0.07},
    "shot": {"low": 500.0, "central": 100.0, "high": 50.0},
}


def parse_distortion(text, seed=0):
    """Make a distortion from its short form.

    Args:
        text: `name:number` or `name:level`: `awgn:15`, `blur:1.5`, `jpeg:30`,
            `motion:5`, `contrast:0.5`, `impulse:0.05`, `shot:60`,
            `awgn:central`. Levels are `low`, `central` and `high`.
        seed: Seed of the noise, and of the direction of motion blur.

    Returns:
        A distortion for pixels from 0 to 255.

    Raises:
        ValueError: No text, an unknown name or level, a number out of the distortion's
            range, a seed that is no whole number of at least 0.

    Example:

    >>> import kerasft
    >>> kerasft.parse_distortion("awgn:central")
    AdditiveWhiteGaussianNoise(sigma=15.0, seed=0, clip=True, value_range=(0, 255))
    >>> kerasft.parse_distortion("jpeg:30")
    JpegCompression(quality=30, value_range=(0, 255))
    """
    if not isinstance(text, str):
        raise _unknown(text)
    name, _, level = text.partition(":")
    if name not in DISTORTIONS:
        raise _unknown(text)
    distortion = DISTORTIONS[name]
    number = PRESETS[name].get(level)
    if number is None:
        try:
            number = float(level)
        except ValueError:
            raise _unknown(text) from None
    if distortion.whole and float(number).is_integer():
        number = int(number)
    validate_count(seed, "seed")
    seeded = any(field.name == "seed" for field in dataclasses.fields(distortion))
    try:
        return distortion(number, seed=seed) if seeded else distortion(number)
    except ValueError as error:
        expected = str(error).partition(" Received: ")[0]
        raise ValueError(f"{expected} Received: {text!r}.") from None


def _unknown(text):
    forms = (
        f"{name}:{dataclasses.fields(distortion)[0].name.upper()}"
        for name, distortion in DISTORTIONS.items()
    )
    return ValueError(
        f"Expected a distortion as {', '.join(forms)}, or a level low, central or high instead "
        f"of the number. Received: {text!r}."
    )
