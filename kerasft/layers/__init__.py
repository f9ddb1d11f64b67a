"""Keras layers."""

from kerasft.layers.partially_trainable import PartiallyTrainable
from kerasft.layers.partially_trainable_conv1d import PartiallyTrainableConv1D
from kerasft.layers.partially_trainable_conv2d import PartiallyTrainableConv2D
from kerasft.layers.partially_trainable_conv3d import PartiallyTrainableConv3D

__all__ = [
    "PartiallyTrainable",
    "PartiallyTrainableConv1D",
    "PartiallyTrainableConv2D",
    "PartiallyTrainableConv3D",
]
