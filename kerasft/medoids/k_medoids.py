import warnings

import numpy as np


def k_medoids(distances, k, seed=0):
    """Find k medoids from the matrix of all distances.

    scikit-learn-extra does the work where it is installed and fits the NumPy
    beside it (NumPy 1), else kmedoids (FasterPAM). For k = 1 both give a point
    with the smallest sum.

    Args:
        distances: `(points, points)`, float64, symmetric.
        k: Number of medoids, from 1 to the number of points.
        seed: Seed of the random start, where there is one.

    Returns:
        Sorted list of k indices.

    Example:

    >>> import numpy as np
    >>> from kerasft.medoids import k_medoids
    >>> points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> k_medoids(np.abs(points[:, np.newaxis] - points), 2)
    [1, 4]

    References:
        L. Kaufman, P. Rousseeuw, *Clustering by means of medoids*, 1987;
        E. Schubert, P. Rousseeuw, *Fast and eager k-medoids clustering*, 2021.
    """
    estimator = _scikit_learn_extra()
    if estimator is not None:
        # PAM swaps need two medoids; one is already the best of all points
        # after the initialization.
        engine = estimator(
            n_clusters=k,
            metric="precomputed",
            method="alternate" if k == 1 else "pam",
            init="heuristic" if k == 1 else "build",
            random_state=seed,
        )
        indices = engine.fit(distances).medoid_indices_
    else:
        import kmedoids

        indices = kmedoids.fasterpam(distances, k, random_state=seed, init="build").medoids
    return sorted(int(i) for i in np.asarray(indices))


def _scikit_learn_extra():
    """Its `KMedoids`, or `None` where it is not installed or was built for another NumPy."""
    with warnings.catch_warnings():
        # It asks for scikit-learn's version in a way that is outdated.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from sklearn_extra.cluster import KMedoids
        except (ImportError, ValueError):
            return None
    return KMedoids
