from kerasft.criteria.correction import correction
from kerasft.criteria.emd import emd
from kerasft.criteria.emd_borda import emd_borda
from kerasft.criteria.emd_gradient import emd_gradient
from kerasft.criteria.gradient import gradient
from kerasft.criteria.kernel_norm import kernel_norm
from kerasft.criteria.random_criterion import random_criterion

# The paper's first.
CRITERIA = {
    "emd_borda": emd_borda,
    "emd": emd,
    "kernel_norm": kernel_norm,
    "random": random_criterion(0),
    "gradient": gradient,
    "emd_gradient": emd_gradient,
    "correction": correction,
}
