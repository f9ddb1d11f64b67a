"""Every layer: batch normalizations in training mode, or with recalibrated statistics."""

from kerasft.batch_norm import all_batch_normalizations, recalibrate_batch_norm
from kerasft.methods.copies import copy_model
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_batch_norm, no_labels
from kerasft.methods.training import train
from kerasft.seeding import seed_keras


def _apply(problem, seed):
    seed_keras(seed)
    return train(copy_model(problem.model), problem)


WHOLE_NETWORK = Method(
    name="whole network", apply=_apply, needs_labels=True, reason_against=no_labels
)


def _apply_recalibrated(problem, seed):
    seed_keras(seed)
    model = copy_model(recalibrate_batch_norm(problem.model, problem.distorted))
    # Trained ones would take other statistics again.
    for layer in all_batch_normalizations(model):
        layer.trainable = False
    return train(model, problem)


WHOLE_NETWORK_RECALIBRATED = Method(
    name="whole network recalibrated",
    apply=_apply_recalibrated,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_batch_norm),
)
