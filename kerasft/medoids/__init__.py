"""Exact medoids of large sets, and k medoids of small ones."""

from kerasft.medoids.hamming import hamming_distances, hamming_medoid
from kerasft.medoids.k_medoids import k_medoids
from kerasft.medoids.medoid import euclidean_medoid

__all__ = ["euclidean_medoid", "hamming_distances", "hamming_medoid", "k_medoids"]
