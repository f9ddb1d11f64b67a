import datetime
import importlib.metadata

import keras

from kerasft.backend import has_accelerator


def provenance():
    """When and with what a result was made, for the columns of its file.

    Returns:
        `date` (ISO 8601, UTC), `kerasft` and `keras` (versions), `backend`, and
        `device` (`"cpu"` or `"accelerator"`), without which seconds say little.

    Example:

    >>> from kerasft.experiments import provenance
    >>> sorted(provenance())
    ['backend', 'date', 'device', 'keras', 'kerasft']
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "kerasft": importlib.metadata.version("kerasft"),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "device": "accelerator" if has_accelerator() else "cpu",
    }
