import datetime
import importlib.metadata

import keras


def provenance():
    """When and with what a result was made, for the columns of its file.

    Returns:
        `date` (ISO 8601, UTC), `kerasft` and `keras` (versions), `backend`.

    Example:

    >>> from kerasft.experiments import provenance
    >>> sorted(provenance())
    ['backend', 'date', 'keras', 'kerasft']
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "kerasft": importlib.metadata.version("kerasft"),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
