"""The model as it is: what every method is measured against."""

from kerasft.methods.copies import copy_model
from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome

NOTHING = Method(
    name="nothing",
    # Twice, since a copy only stands in for a model with a constructor of its own.
    apply=lambda problem, seed: Outcome(copy_model(copy_model(problem.model), give_back=True)),
    needs_labels=False,
    reason_against=lambda problem: None,
)
