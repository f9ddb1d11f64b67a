import numpy as np

from kerasft.criteria.joint_criterion import JointCriterion
from kerasft.criteria.loss_gradients import loss_gradients


@JointCriterion
def gradient(model, data, layers):
    """Squared gradient of the loss of distorted images, summed over each filter's weights.

    To the first order, and for steps of one size, by so much a step of
    gradient descent on this filter alone lowers the loss. The gradient is that
    of the mean cross-entropy over all images, kernel and bias together: sums
    of squares over single images or batches would also count what images pull
    in opposite directions, which training averages out, and the latter would
    depend on the batch size.

    Needs distorted images and their labels; no clean images.

    Reference:
        H. He et al., *Sensitivity-aware visual parameter-efficient
        fine-tuning*, ICCV 2023 (arXiv 2303.08566), which adds up squared
        gradients over training samples.
    """
    return {
        name: sum(np.square(x).reshape(-1, x.shape[-1]).sum(axis=0) for x in parts)
        for name, parts in loss_gradients(model, data, layers).items()
    }
