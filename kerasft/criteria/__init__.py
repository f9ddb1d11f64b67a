"""What filters are ranked by: the paper's criterion and its rivals.

A criterion is a function `(model, data, layer)` that gives each filter of a
layer a score, larger for filters that should rather be tuned.
"""

from kerasft.criteria.by_name import CRITERIA
from kerasft.criteria.choose_layers import choose_layers
from kerasft.criteria.joint_criterion import JointCriterion
from kerasft.criteria.random_criterion import random_criterion
from kerasft.criteria.rank_filters_by import rank_filters_by
from kerasft.criteria.ranking_data import RankingData
from kerasft.criteria.relative_gradient_norms import relative_gradient_norms
from kerasft.criteria.select_within_budget import select_within_budget

__all__ = [
    "CRITERIA",
    "JointCriterion",
    "RankingData",
    "choose_layers",
    "random_criterion",
    "rank_filters_by",
    "relative_gradient_norms",
    "select_within_budget",
]
