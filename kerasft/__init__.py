"""Recover the accuracy of a Keras image classifier on bad images.

Ranks convolution filters by how much a distortion disturbs them and
fine-tunes only the most disturbed (Bianchi et al., arXiv 1904.03949).
"""

import importlib

# Imported at once: Keras can load a file with such a layer only after the layer
# has been registered.
from kerasft.layers import (
    PartiallyTrainableConv1D,
    PartiallyTrainableConv2D,
    PartiallyTrainableConv3D,
)
from kerasft.stand_in import StandIn  # noqa: F401, registered by the import
from kerasft.version import __version__

# Imported when first used, so that `import kerasft` does not wait for SciPy,
# pandas and scikit-learn.
_MODULE_OF = {
    "AdditiveWhiteGaussianNoise": "kerasft.distortions",
    "Comparison": "kerasft.comparison",
    "Contrast": "kerasft.distortions",
    "DisparitySummary": "kerasft.invariance",
    "FilterRanking": "kerasft.susceptibility",
    "FineTuned": "kerasft.finetuning",
    "GaussianBlur": "kerasft.distortions",
    "ImpulseNoise": "kerasft.distortions",
    "JpegCompression": "kerasft.distortions",
    "LayerRanking": "kerasft.susceptibility",
    "MotionBlur": "kerasft.distortions",
    "RankingData": "kerasft.criteria",
    "ShotNoise": "kerasft.distortions",
    "SusceptibilityAnalyzer": "kerasft.susceptibility",
    "additive_white_gaussian_noise": "kerasft.distortions",
    "borda_count": "kerasft.susceptibility",
    "choose_layers": "kerasft.criteria",
    "compare": "kerasft.comparison",
    "contrast": "kerasft.distortions",
    "disparity_maps": "kerasft.invariance",
    "find_exemplar": "kerasft.susceptibility",
    "fine_tune": "kerasft.finetuning",
    "gaussian_blur": "kerasft.distortions",
    "impulse_noise": "kerasft.distortions",
    "jpeg_compression": "kerasft.distortions",
    "make_partially_trainable": "kerasft.surgery",
    "mean_disparity": "kerasft.invariance",
    "merge": "kerasft.surgery",
    "motion_blur": "kerasft.distortions",
    "parse_distortion": "kerasft.distortions",
    "rank_filters": "kerasft.susceptibility",
    "rank_filters_by": "kerasft.criteria",
    "rank_filters_from_exemplars": "kerasft.susceptibility",
    "recalibrate_batch_norm": "kerasft.batch_norm",
    "select_within_budget": "kerasft.criteria",
    "shot_noise": "kerasft.distortions",
    "wasserstein_distances": "kerasft.susceptibility",
}
_MODULES = ("criteria", "datasets", "distortions", "methods", "models", "report")

__all__ = [
    "PartiallyTrainableConv1D",
    "PartiallyTrainableConv2D",
    "PartiallyTrainableConv3D",
    "__version__",
    *_MODULE_OF,
    *_MODULES,
]


def __getattr__(name):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"kerasft.{name}")
    raise AttributeError(f"module 'kerasft' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
