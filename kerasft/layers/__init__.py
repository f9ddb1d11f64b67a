"""Keras layers."""

from kerasft.layers.partially_trainable_conv2d import PartiallyTrainableConv2D

__all__ = ["PartiallyTrainableConv2D"]
