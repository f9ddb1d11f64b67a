"""The two baseline architectures of the paper (Figure 3)."""

from kerasft.models.all_conv_net import all_conv_net
from kerasft.models.cifar10_cnn import cifar10_cnn

__all__ = ["all_conv_net", "cifar10_cnn"]
