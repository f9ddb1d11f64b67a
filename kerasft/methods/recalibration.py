"""Batch-normalization statistics of the distorted images, without training.

Reference:
    Schneider et al., *Improving robustness against common corruptions by
    covariate shift adaptation*, NeurIPS 2020; Nado et al., *Evaluating
    Prediction-Time Batch Normalization for Robustness under Covariate Shift*,
    arXiv 2006.10963.
"""

from kerasft.batch_norm import recalibrate_batch_norm
from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome
from kerasft.methods.reasons import no_batch_norm

RECALIBRATION = Method(
    name="batch norm",
    apply=lambda problem, seed: Outcome(recalibrate_batch_norm(problem.model, problem.distorted)),
    needs_labels=False,
    reason_against=no_batch_norm,
)
