"""How susceptible the filters of a network are to a distortion."""

from kerasft.susceptibility.analyzer import SusceptibilityAnalyzer
from kerasft.susceptibility.borda import borda_count
from kerasft.susceptibility.find_exemplar import find_exemplar
from kerasft.susceptibility.layer_ranking import LayerRanking
from kerasft.susceptibility.rank_filters import rank_filters
from kerasft.susceptibility.rank_filters_from_exemplars import rank_filters_from_exemplars
from kerasft.susceptibility.ranking import FilterRanking
from kerasft.susceptibility.wasserstein import wasserstein_distances

__all__ = [
    "FilterRanking",
    "LayerRanking",
    "SusceptibilityAnalyzer",
    "borda_count",
    "find_exemplar",
    "rank_filters",
    "rank_filters_from_exemplars",
    "wasserstein_distances",
]
