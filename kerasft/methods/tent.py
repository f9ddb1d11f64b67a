"""Scale and offset of batch normalizations that make the model sure of itself.

Tent minimises the entropy of predictions on images without labels. Here it does
so offline: five epochs over the distorted images, each batch normalized by its
own statistics; then the statistics of all of them are put in place, so that the
result is an ordinary model, whose prediction for an image does not depend on
its batch.

Reference:
    Wang et al., *Tent: Fully Test-Time Adaptation by Entropy Minimization*,
    ICLR 2021, arXiv 2006.10726.
"""

import keras
import numpy as np
from keras import ops

from kerasft.backend import default_jit_compile
from kerasft.batch_norm import batch_normalizations, recalibrate_batch_norm
from kerasft.cross_entropy import cross_entropy
from kerasft.methods.copies import copy_model, train_only
from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome
from kerasft.methods.reasons import first_reason, no_batch_norm
from kerasft.methods.training import count_parameters
from kerasft.seeding import seed_keras

# Without labels nothing can tell when to stop, and many epochs end in one class.
EPOCHS = 5


def _apply(problem, seed):
    seed_keras(seed)
    model = copy_model(problem.model)
    train_only(model, batch_normalizations(model))
    targets = np.zeros((len(problem.distorted), 1), "int32")
    from_logits = cross_entropy(model, problem.distorted[:8], targets, "train").from_logits

    def entropy(_, outputs):
        return _entropy(outputs, from_logits)

    parameters = count_parameters(model.trainable_weights)
    model.compile(
        keras.optimizers.Adam(problem.learning_rate), entropy, jit_compile=default_jit_compile()
    )
    epochs = min(EPOCHS, problem.epochs)
    model.fit(problem.distorted, targets, batch_size=problem.batch_size, epochs=epochs, verbose=0)
    adapted = copy_model(model, give_back=True)
    adapted = recalibrate_batch_norm(adapted, problem.distorted, prior=0)
    return Outcome(adapted, parameters, epochs=epochs)


def _entropy(outputs, from_logits):
    """Entropy of each prediction, `(images,)`."""
    if outputs.shape[-1] == 1:
        other = ops.zeros_like(outputs) if from_logits else 1 - outputs
        outputs = ops.concatenate([outputs, other], axis=-1)
    if from_logits:
        logarithms = ops.log_softmax(outputs, axis=-1)
        return -ops.sum(ops.exp(logarithms) * logarithms, axis=-1)
    return -ops.sum(outputs * ops.log(ops.maximum(outputs, keras.config.epsilon())), axis=-1)


def _nothing_to_learn(problem):
    layers = batch_normalizations(problem.model).values()
    if not layers:
        # Training reaches a layer by its name, measuring does not need one.
        return "The model's batch normalizations stand inside layers that train as a whole."
    if not any(layer.scale or layer.center for layer in layers):
        return "The model's batch normalizations have no scale and no offset."
    return None


TENT = Method(
    name="tent",
    apply=_apply,
    needs_labels=False,
    reason_against=first_reason(no_batch_norm, _nothing_to_learn),
)
