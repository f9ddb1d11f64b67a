"""What happens to images: blur, noise, compression and others, and a registry of presets."""

from kerasft.distortions.additive_white_gaussian_noise import (
    AdditiveWhiteGaussianNoise,
    additive_white_gaussian_noise,
)
from kerasft.distortions.contrast import Contrast, contrast
from kerasft.distortions.gaussian_blur import GaussianBlur, gaussian_blur
from kerasft.distortions.impulse_noise import ImpulseNoise, impulse_noise
from kerasft.distortions.jpeg_compression import JpegCompression, jpeg_compression
from kerasft.distortions.motion_blur import MotionBlur, motion_blur
from kerasft.distortions.registry import DISTORTIONS, PRESETS, parse_distortion
from kerasft.distortions.shot_noise import ShotNoise, shot_noise
from kerasft.distortions.takes_first_index import takes_first_index

__all__ = [
    "DISTORTIONS",
    "PRESETS",
    "AdditiveWhiteGaussianNoise",
    "Contrast",
    "GaussianBlur",
    "ImpulseNoise",
    "JpegCompression",
    "MotionBlur",
    "ShotNoise",
    "additive_white_gaussian_noise",
    "contrast",
    "gaussian_blur",
    "impulse_noise",
    "jpeg_compression",
    "motion_blur",
    "parse_distortion",
    "shot_noise",
    "takes_first_index",
]
