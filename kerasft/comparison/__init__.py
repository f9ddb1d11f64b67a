"""Rival methods side by side on one model and its bad images."""

from kerasft.comparison.compare import compare
from kerasft.comparison.comparison import Comparison

__all__ = ["Comparison", "compare"]
